import asyncio

from service.holds import Holds


def test_whoever_takes_something_away_waits_for_its_last_user() -> None:
    async def scenario() -> None:
        holds = Holds()
        await holds.released("a")
        with holds.hold(["a", "b"]):
            with holds.hold(["a"]):
                waiting = asyncio.create_task(holds.released("a"))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
        await holds.released("b")

    asyncio.run(scenario())


def test_a_user_that_fails_is_none_any_more() -> None:
    async def scenario() -> None:
        holds = Holds()
        try:
            with holds.hold(["a"]):
                raise RuntimeError
        except RuntimeError:
            pass
        await asyncio.wait_for(holds.released("a"), 1)

    asyncio.run(scenario())
