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
        slots, log = Slots(1, clock=lambda: 0.0), list[Priority]()
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
        slots, log = Slots(1, clock=lambda: 0.0), list[Priority]()
        async with slots.hold(Priority.INTERACTIVE):
            leaving = asyncio.create_task(hold(slots, Priority.INTERACTIVE, log))
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        await asyncio.wait_for(hold(slots, Priority.BULK, log), 5)
        assert log == [Priority.BULK]

    asyncio.run(scenario())


FILM, PHOTO = 0.2, 0.002  # seconds


class Bench:
    """One slot, and a clock that moves by what the work on it takes."""

    def __init__(self) -> None:
        self._now = 0.0
        self._slots = Slots(1, clock=lambda: self._now)
        self.log: list[str] = []

    async def work(self, claimant: str, seconds: float, expected_s: float) -> None:
        async with self._slots.hold(Priority.INTERACTIVE, claimant, expected_s):
            await asyncio.sleep(0)
            self._now += seconds
            self.log.append(claimant)


def test_those_who_share_slots_get_equal_time_whatever_they_take() -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        films = [bench.work("film", FILM, FILM) for _ in range(20)]
        photos = [bench.work("photo", PHOTO, PHOTO) for _ in range(200)]
        await asyncio.gather(*films, *photos)
        return bench.log

    log = asyncio.run(scenario())
    first_photos = log.index("photo")
    assert first_photos <= 2  # they need not wait for all of the films that came before them
    assert log[: log.index("film", first_photos)].count("photo") > 50


def test_what_takes_longer_than_was_expected_is_charged_for() -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        slow, fast = (
            (bench.work("slow", 4.0, 1.0) for _ in range(20)),
            (bench.work("fast", 1.0, 1.0) for _ in range(80)),
        )
        await asyncio.gather(*slow, *fast)
        return bench.log

    log = asyncio.run(scenario())
    assert 6 <= log[:50].count("slow") <= 14  # a fifth


def test_quick_work_has_a_slot_that_long_work_is_kept_from() -> None:
    async def scenario() -> None:
        slots = Slots(1, express=1)
        async with slots.hold(Priority.INTERACTIVE, "film", FILM):
            film = asyncio.create_task(hold_for(slots, "film", FILM))
            await asyncio.sleep(0)
            async with asyncio.timeout(5), slots.hold(Priority.INTERACTIVE, "photo", PHOTO):
                photo = asyncio.create_task(hold_for(slots, "photo", PHOTO))
                await asyncio.sleep(0)
                assert not photo.done()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert photo.done()
            assert not film.done()
        async with asyncio.timeout(5):
            await film

    asyncio.run(scenario())


async def hold_for(slots: Slots, claimant: str, cost_s: float) -> None:
    async with slots.hold(Priority.INTERACTIVE, claimant, cost_s):
        pass


def test_the_express_slot_is_for_those_who_hold_no_other() -> None:
    async def scenario() -> None:
        slots = Slots(2, express=1)
        async with asyncio.timeout(5), slots.hold(Priority.INTERACTIVE, "film", PHOTO):
            async with slots.hold(Priority.INTERACTIVE, "sound", PHOTO) as express:
                assert not express
                sound, film = (asyncio.create_task(hold_for(slots, name, PHOTO)) for name in ("sound", "film"))
                await asyncio.sleep(0)
                async with slots.hold(Priority.INTERACTIVE, "photo", PHOTO) as express:
                    assert express
                await asyncio.sleep(0)
                assert not sound.done()
                assert not film.done()
            await asyncio.gather(sound, film)

    asyncio.run(scenario())


def test_who_waits_may_have_the_express_slot_once_the_own_work_is_done() -> None:
    async def scenario() -> bool:
        slots = Slots(2, express=1)
        async with asyncio.timeout(5), slots.hold(Priority.INTERACTIVE, "film", FILM):
            async with slots.hold(Priority.INTERACTIVE, "sound", PHOTO):
                waiting = [asyncio.create_task(lane_of(slots, name)) for name in ("film", "sound")]
                await asyncio.sleep(0)
            return set(await asyncio.gather(*waiting)) == {False, True}

    assert asyncio.run(scenario())


async def lane_of(slots: Slots, claimant: str) -> bool:
    async with slots.hold(Priority.INTERACTIVE, claimant, PHOTO) as express:
        for _ in range(3):
            await asyncio.sleep(0)
        return express
