import asyncio

import psutil

from service.engine import head_start
from service.engine.process import ProcessEngine
from service.settings import Settings


def cradles() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "service.engine.cradle" in " ".join(child.cmdline())]


def test_an_engine_takes_the_process_that_has_begun_and_ends_it() -> None:
    before = set(cradles())
    head_start.begin()
    begun = set(cradles()) - before
    engine = ProcessEngine(Settings(device="cpu"))
    head_start.end()
    assert set(cradles()) - before == begun != set()
    asyncio.run(engine.close())
    assert set(cradles()) == before


def test_what_nobody_takes_is_ended() -> None:
    before = set(cradles())
    head_start.begin()
    assert set(cradles()) - before
    head_start.end()
    assert set(cradles()) == before
