import asyncio

import psutil

from service.engine import prestart
from service.engine.process import ProcessEngine
from service.settings import Settings


def fork_servers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "service.engine.forker" in " ".join(child.cmdline())]


def test_an_engine_takes_the_process_that_has_begun_and_ends_it() -> None:
    before = set(fork_servers())
    prestart.begin()
    begun = set(fork_servers()) - before
    engine = ProcessEngine(Settings(device="cpu"))
    prestart.end()
    assert set(fork_servers()) - before == begun != set()
    asyncio.run(engine.close())
    assert set(fork_servers()) == before


def test_what_nobody_takes_is_ended() -> None:
    before = set(fork_servers())
    prestart.begin()
    assert set(fork_servers()) - before
    prestart.end()
    assert set(fork_servers()) == before
