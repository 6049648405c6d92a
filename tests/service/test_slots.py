import asyncio
import random

from service.priority import Priority
from service.slots import Slots


async def hold(slots: Slots, priority: Priority, log: list[Priority], steps: int = 1) -> None:
    async with slots.hold(priority):
        log.append(priority)
        for _ in range(steps):
            await asyncio.sleep(0)


def test_no_more_hold_a_slot_than_there_are_whoever_is_cancelled() -> None:
    async def scenario() -> None:
        rng = random.Random(3)
        slots, inside, most = Slots(3), 0, 0

        async def work() -> None:
            nonlocal inside, most
            async with slots.hold(rng.choice(list(Priority))):
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(rng.randrange(4)):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(work()) for _ in range(500)]
        for _ in range(200):
            rng.choice(tasks).cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (inside, most) == (0, 3)
        async with asyncio.timeout(5), slots.hold(Priority.BULK), slots.hold(Priority.BULK), slots.hold(Priority.BULK):
            pass

    asyncio.run(scenario())


def test_who_is_waited_for_goes_first_and_bulk_work_does_not_starve() -> None:
    async def scenario() -> list[Priority]:
        slots, log = Slots(1), list[Priority]()
        first = asyncio.create_task(hold(slots, Priority.BULK, log, steps=5))
        await asyncio.sleep(0)
        waiting = [hold(slots, Priority.BULK, log) for _ in range(5)]
        waiting += [hold(slots, Priority.INTERACTIVE, log) for _ in range(40)]
        await asyncio.gather(first, *waiting)
        return log

    log = asyncio.run(scenario())
    assert log[:16] == [Priority.BULK, *[Priority.INTERACTIVE] * 15]
    assert log[16:40].count(Priority.BULK) >= 1
    assert log[1:33].count(Priority.BULK) == 2


def test_a_slot_that_was_handed_to_somebody_who_leaves_is_handed_on() -> None:
    async def scenario() -> None:
        slots, log = Slots(1), list[Priority]()
        async with slots.hold(Priority.INTERACTIVE):
            leaving = asyncio.create_task(hold(slots, Priority.INTERACTIVE, log))
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        await asyncio.wait_for(hold(slots, Priority.BULK, log), 5)
        assert log == [Priority.BULK]

    asyncio.run(scenario())
