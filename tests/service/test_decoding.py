"""Decode workers: what one file does to its worker, no other file feels."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from preprocessors.base import PayloadError, Preprocessor, Sample, TooLarge, UndecodableInput
from preprocessors.image import ImageOptions, ImagePreprocessor
from service import decoding
from service.decode_worker import Preparation
from service.decoding import DecodePool, DecodersUnavailable
from service.logs import LogFormat

PREPARATION = Preparation(("preprocessors.image",), memory_bytes=1 << 30)
PATIENCE_S = 100
T = TypeVar("T")


@pytest.fixture
def pool() -> DecodePool:
    return DecodePool(2, PATIENCE_S, PREPARATION)


@pytest.fixture
def lone_worker() -> DecodePool:
    return DecodePool(1, PATIENCE_S, PREPARATION)


def run(pool: DecodePool, work: Coroutine[Any, Any, T]) -> T:
    """What comes of work that uses the pool, which is closed behind it."""

    async def use() -> T:
        async with pool, asyncio.timeout(PATIENCE_S):
            return await work

    return asyncio.run(use())


def picture(width: int = 90, height: int = 60) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 80).save(file, "PNG")
    return file.getvalue()


async def until_started(log: Path, starts: int = 1) -> int:
    """The process id of the worker that began the last of so many decodes."""
    while not log.exists() or len(log.read_text().split()) < starts:
        await asyncio.sleep(0.01)
    return int(log.read_text().split()[-1])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_decodes_as_this_process_does(pool: DecodePool) -> None:
    payload = picture()
    expected = ImagePreprocessor().decode(payload, ImageOptions())
    sample = run(pool, pool.decode(ImagePreprocessor(), payload, ImageOptions()))
    np.testing.assert_array_equal(sample.array, expected.array)
    assert sample.description == expected.description


def test_workers_import_no_torch(pool: DecodePool, faulty: Preprocessor[Any]) -> None:
    assert "torch" in sys.modules
    facts = run(pool, pool.decode(faulty, b"", None)).description
    assert facts["pid"] != os.getpid()
    assert not facts["torch"]


def test_workers_do_not_run_the_main_script_again(
    faulty: Preprocessor[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, trace = tmp_path / "script.py", tmp_path / "trace"
    script.write_text(f"open({str(trace)!r}, 'w').close()")
    main = ModuleType("__main__")
    main.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    pool = DecodePool(1, PATIENCE_S, PREPARATION)
    run(pool, pool.decode(faulty, b"", None))
    assert not trace.exists()
    assert sys.modules["__main__"] is main


@pytest.mark.parametrize("fault", [b"", b"refuse", b"segfault"])
def test_every_worker_rehearses_before_the_first_file(
    pool: DecodePool, faulty: Preprocessor[Any], tmp_path: Path, fault: bytes
) -> None:
    trace = tmp_path / "trace"
    rehearsed = sys.modules[type(faulty).__module__].RehearsedPreprocessor(trace, fault)

    async def scenario() -> Sample:
        await pool.start()
        example = await pool.warm_up(rehearsed)
        assert (example is not None) == (fault == b"")
        return await pool.decode(rehearsed, b"a file", None)

    worker = run(pool, scenario()).description["pid"]
    workers = set(map(int, trace.read_text().split()))
    assert len(workers) == pool.workers
    assert (worker in workers) == (fault != b"segfault")


@pytest.mark.parametrize(
    ("fault", "kind", "code", "reason"),
    [
        (b"exit", UndecodableInput, "undecodable_input", "crashed on this file"),
        (b"segfault", UndecodableInput, "undecodable_input", "crashed on this file"),
        (b"unportable", UndecodableInput, "undecodable_input", "Unportable"),
        (b"quit", UndecodableInput, "undecodable_input", "SystemExit"),
        (b"smuggle", UndecodableInput, "undecodable_input", "crashed on this file"),
        (b"many parts", UndecodableInput, "undecodable_input", "crashed on this file"),
        (b"large parts", UndecodableInput, "undecodable_input", "crashed on this file"),
        (b"allocate", TooLarge, "too_much_memory", "more memory"),
    ],
)
def test_a_fatal_file_fails_alone(
    pool: DecodePool, faulty: Preprocessor[Any], fault: bytes, kind: type[PayloadError], code: str, reason: str
) -> None:
    async def crowd() -> list[Sample | BaseException]:
        files = [b""] * 5 + [fault] + [b""] * 5 + [fault] + [b""] * 5
        return await asyncio.gather(*(pool.decode(faulty, file, None) for file in files), return_exceptions=True)

    results = run(pool, crowd())
    for victim in (results.pop(11), results.pop(5)):
        assert type(victim) is kind
        assert victim.code == code
        assert reason in victim.detail
    assert [result for result in results if not isinstance(result, Sample)] == []


@pytest.mark.parametrize("fault", [b"sleep", b"spin"])
def test_a_file_that_takes_too_long_is_refused(faulty: Preprocessor[Any], fault: bytes) -> None:
    async def too_long(pool: DecodePool) -> PayloadError:
        with pytest.raises(UndecodableInput, match="longer than 2 s") as refusal:
            await pool.decode(faulty, fault, None)
        await asyncio.gather(*(pool.decode(faulty, b"", None) for _ in range(5)))
        return refusal.value

    pool = DecodePool(2, 2, PREPARATION)
    error = run(pool, too_long(pool))
    assert (error.code, error.limit) == ("decode_timeout", 2)


@pytest.mark.parametrize("fault", [b"sleep", b"spin"])
def test_a_slow_file_does_not_hold_up_others(
    pool: DecodePool, faulty: Preprocessor[Any], fault: bytes, tmp_path: Path
) -> None:
    async def overtake() -> bool:
        slow = asyncio.create_task(pool.decode(faulty, fault, tmp_path / "log"))
        await until_started(tmp_path / "log")
        await asyncio.gather(*(pool.decode(faulty, b"", None) for _ in range(5)))
        return not slow.done() and slow.cancel()

    assert run(pool, overtake())


def test_a_refusal_travels_intact(pool: DecodePool, faulty: Preprocessor[Any]) -> None:
    with pytest.raises(TooLarge) as refusal:
        run(pool, pool.decode(faulty, b"refuse", None))
    error = refusal.value
    assert (error.code, error.detail, error.limit, error.actual) == ("too_many_frogs", "seven frogs", 6, 7)


def test_a_file_that_kills_its_worker_is_tried_once(
    lone_worker: DecodePool, faulty: Preprocessor[Any], tmp_path: Path
) -> None:
    with pytest.raises(UndecodableInput):
        run(lone_worker, lone_worker.decode(faulty, b"exit", tmp_path / "log"))
    assert len((tmp_path / "log").read_text().split()) == 1


@pytest.mark.parametrize("fault", [b"sleep", b"spin"])
def test_cancelling_stops_the_work_and_frees_the_worker(
    lone_worker: DecodePool, faulty: Preprocessor[Any], tmp_path: Path, fault: bytes
) -> None:
    async def give_up() -> int:
        work = asyncio.create_task(lone_worker.decode(faulty, fault, tmp_path / "log"))
        pid = await until_started(tmp_path / "log")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        async with asyncio.timeout(PATIENCE_S / 2):
            await lone_worker.decode(faulty, b"", None)
        return pid

    assert is_gone(run(lone_worker, give_up()))


def test_cancelling_a_file_that_waits_costs_no_worker(
    lone_worker: DecodePool, faulty: Preprocessor[Any], tmp_path: Path
) -> None:
    async def give_up() -> tuple[Any, Any]:
        before = await lone_worker.decode(faulty, b"", None)
        first, second = (asyncio.create_task(lone_worker.decode(faulty, b"nap", tmp_path / "log")) for _ in range(2))
        await until_started(tmp_path / "log")
        second.cancel()
        await asyncio.wait([first, second])
        after = await lone_worker.decode(faulty, b"", None)
        return before.description["pid"], after.description["pid"]

    before, after = run(lone_worker, give_up())
    assert before == after
    assert len((tmp_path / "log").read_text().split()) == 1


def test_idle_workers_that_are_killed_are_replaced(pool: DecodePool, faulty: Preprocessor[Any]) -> None:
    async def pid() -> int:
        return int((await pool.decode(faulty, b"", None)).description["pid"])

    async def survive() -> None:
        for _ in range(3):
            os.kill(await pid(), signal.SIGKILL)
            await asyncio.gather(*(pid() for _ in range(10)))

    run(pool, survive())


def test_thirty_megabytes_pass(pool: DecodePool) -> None:
    payload = picture() + bytes(30_000_000)
    assert run(pool, pool.decode(ImagePreprocessor(size=32), payload, ImageOptions())).description["bytes"] == len(
        payload
    )


def test_a_payload_that_leaves_no_memory_to_decode_it_is_refused(faulty: Preprocessor[Any]) -> None:
    pool = DecodePool(1, PATIENCE_S, PREPARATION._replace(memory_bytes=1_000_000))
    with pytest.raises(TooLarge) as refusal:
        run(pool, pool.decode(faulty, bytes(250_001), None))
    assert (refusal.value.code, refusal.value.limit, refusal.value.actual) == ("too_much_memory", 250_000, 250_001)


def heard(preprocessor: Preprocessor[Any], payload: bytes, level: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a worker writes on the standard error stream about a file."""
    pool = DecodePool(1, PATIENCE_S, PREPARATION._replace(log_level=level, log_format=LogFormat.JSON))
    with suppress(PayloadError):
        run(pool, pool.decode(preprocessor, payload, None))
    return capfd.readouterr().err


def test_libraries_do_not_write_into_the_log(faulty: Preprocessor[Any], capfd: pytest.CaptureFixture[str]) -> None:
    assert heard(faulty, b"chatter", "info", capfd) == ""
    assert heard(faulty, b"chatter", "debug", capfd) == "as a library in C says it"


def test_workers_log_as_the_server_does(faulty: Preprocessor[Any], capfd: pytest.CaptureFixture[str]) -> None:
    line = json.loads(heard(faulty, b"unportable", "info", capfd))
    assert (line["level"], line["logger"]) == ("error", "service.decode_worker")
    assert "Unportable" in line["exception"]


def test_starting_fails_where_workers_cannot_start() -> None:
    pool = DecodePool(1, PATIENCE_S, PREPARATION._replace(modules=("no_such_module",)))
    with pytest.raises(DecodersUnavailable, match="0 of 1 decode workers started"):
        run(pool, pool.start())


def test_files_are_refused_at_once_where_workers_cannot_start(faulty: Preprocessor[Any]) -> None:
    pool = DecodePool(1, PATIENCE_S, PREPARATION._replace(modules=("no_such_module",)))
    with pytest.raises(DecodersUnavailable, match="the decode workers fail to start"):
        run(pool, pool.decode(faulty, b"", None))


def test_workers_are_back_after_what_they_are_forked_from_was_killed(
    pool: DecodePool, faulty: Preprocessor[Any]
) -> None:
    async def survive() -> list[Sample]:
        await pool.start()
        assert pool.fork_server_pid is not None
        os.kill(pool.fork_server_pid, signal.SIGKILL)
        return await asyncio.gather(*(pool.decode(faulty, b"", None) for _ in range(5)))

    assert len(run(pool, survive())) == 5


def test_closing_leaves_no_worker_and_tells_those_who_wait(
    pool: DecodePool, faulty: Preprocessor[Any], tmp_path: Path
) -> None:
    async def close_early() -> list[Any]:
        tasks = [asyncio.create_task(pool.decode(faulty, b"spin", tmp_path / "log")) for _ in range(3)]
        await until_started(tmp_path / "log", 2)
        await pool.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = run(pool, close_early())
    assert [type(result) for result in results] == [DecodersUnavailable] * 3
    assert all(is_gone(int(pid)) for pid in (tmp_path / "log").read_text().split())


def test_closing_while_a_large_payload_is_on_its_way_ends_cleanly(pool: DecodePool, faulty: Preprocessor[Any]) -> None:
    async def close_early() -> list[Any]:
        await pool.start()
        tasks = [asyncio.create_task(pool.decode(faulty, bytes(30_000_000), None)) for _ in range(4)]
        await asyncio.sleep(0)
        await pool.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(result) for result in run(pool, close_early())} <= {DecodersUnavailable, UndecodableInput}


def test_a_file_that_was_decoded_is_not_blamed_for_what_kills_its_worker_later(
    pool: DecodePool, faulty: Preprocessor[Any]
) -> None:
    async def scenario() -> list[Sample]:
        await pool.start()
        for _ in range(3):
            idle = await asyncio.gather(*(pool.decode(faulty, b"", None) for _ in range(2 * pool.workers)))
            links = list(pool._links)
            for pid in {sample.description["pid"] for sample in idle}:
                os.kill(pid, signal.SIGKILL)
            while not any(link.closed for link in links):
                await asyncio.sleep(0.001)  # the server has read of their ends
        return await asyncio.gather(*(pool.decode(faulty, b"", None) for _ in range(5)))

    assert len(run(pool, scenario())) == 5


def test_workers_that_were_lost_are_replaced_when_somebody_asks_how_they_are(
    pool: DecodePool, faulty: Preprocessor[Any]
) -> None:
    async def scenario() -> None:
        await pool.start()
        first = {link.process.pid for link in pool._links}
        for pid in first:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        while any(not link.closed for link in pool._links):
            await asyncio.sleep(0.001)
        pool.check()
        while len([link for link in pool._free if link is not None and link.process.pid not in first]) < pool.workers:
            await asyncio.sleep(0.001)
        pool.check()

    run(pool, scenario())


def test_a_pool_whose_workers_cannot_be_started_says_so_until_they_can(
    pool: DecodePool, faulty: Preprocessor[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PAUSE_S", 0.01)

    def refuse(fds: Any) -> Any:
        raise BlockingIOError("no room for another process")

    async def scenario() -> Sample:
        await pool.start()
        pool.check()
        fork = pool._fork_server.fork
        monkeypatch.setattr(pool._fork_server, "fork", refuse)
        for link in pool._links:
            assert link.process.pid is not None
            os.kill(link.process.pid, signal.SIGKILL)
        with pytest.raises(DecodersUnavailable):
            await pool.decode(faulty, b"", None)
        for _ in range(2):
            with pytest.raises(DecodersUnavailable, match="cannot be started"):
                pool.check()
        with pytest.raises(DecodersUnavailable, match="cannot be started"):
            await pool.decode(faulty, b"", None)  # at once
        monkeypatch.setattr(pool._fork_server, "fork", fork)
        while True:
            with suppress(DecodersUnavailable):
                pool.check()
                return await pool.decode(faulty, b"", None)
            await asyncio.sleep(0.01)

    assert run(pool, scenario()).description["pid"] != os.getpid()
