"""What runs in the engine's process, run here in a thread."""

import os
import pickle
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from models.description import CheckpointError
from service.engine import background_loader, worker
from service.engine.arena import Arena, Slot
from service.engine.base import Load
from service.engine.channel import Kind, Message, encoded, messages
from service.engine.device import CpuDevice
from service.engine.exit_codes import DEVICE_BROKEN, LOAD_FAILED
from service.engine.order import written_order
from service.engine.worker import main
from service.pipeline import Pipeline
from service.settings import Settings
from tests.service.engine import puppet
from tests.service.engine.conftest import CPU


@dataclass
class Server:
    """The other end. ended: the exit code of the engine."""

    connection: socket.socket
    slot: Slot
    ended: Future[int]
    inbound: Iterator[Message]

    def ask(self, kind: Kind, body: bytes = b"") -> Any:
        self.connection.sendall(encoded(kind, body))
        answer, found = next(self.inbound)
        return answer, pickle.loads(found) if answer is Kind.LOADED else orjson.loads(found or b"null")

    def load(self, function: Load) -> Any:
        return self.ask(Kind.LOAD, written_order(function, CPU))

    def run(self, value: float) -> Any:
        layout = self.slot.inbox.write({"views": [np.array([value])]})
        return self.ask(Kind.RUN, orjson.dumps((0, "puppet", layout["views"])))


@pytest.fixture
def server() -> Iterator[Server]:
    ours, theirs = socket.socketpair()
    slot = Slot(Arena(), Arena())
    fds = [theirs.detach(), os.dup(slot.inbox.fd), os.dup(slot.outbox.fd)]
    with ours, ThreadPoolExecutor(1) as thread:
        yield Server(ours, slot, thread.submit(main, fds), messages(ours))
        ours.close()
    for fd in fds[1:]:
        os.close(fd)
    slot.close()


def test_it_answers_one_message_after_the_other_until_the_server_closes(server: Server) -> None:
    kind, loaded = server.load(puppet.load)
    assert (kind, list(loaded.models)) == (Kind.LOADED, ["puppet"])
    assert server.ask(Kind.PING)[0] is Kind.PONG
    kind, (number, layout) = server.run(4)
    assert (kind, number) == (Kind.ROWS, 0)
    assert server.slot.outbox.array(layout["echo"][0]).tolist() == [[8]]
    assert server.run(-8) == (Kind.ERROR, [0, "RuntimeError", "ZeroDivisionError: by zero"])
    assert server.ask(Kind.PING)[0] is Kind.PONG
    server.connection.shutdown(socket.SHUT_WR)
    assert server.ended.result(30) == 0


def test_it_frees_what_the_device_holds_after_it_ran_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[bool] = []
    monkeypatch.setattr(CpuDevice, "release", lambda device: freed.append(True))
    server.load(puppet.load)
    assert server.run(-1)[1][1] == "RuntimeError"
    assert not freed
    assert server.run(-3)[1][1] == "OutOfMemory"
    assert freed


def test_what_it_computes_starts_on_its_own_device(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[torch.device] = []
    monkeypatch.setattr(worker, "resolve_device", lambda name: torch.device("mps:3"))
    monkeypatch.setattr(CpuDevice, "enter", lambda device: entered.append(device.device))
    server.load(puppet.load)
    assert entered == [torch.device("mps:3")]


def test_it_ends_on_purpose_when_its_device_breaks(server: Server) -> None:
    server.load(puppet.load)
    with pytest.raises(StopIteration):
        server.run(-4)
    assert server.ended.result(30) == DEVICE_BROKEN


def test_it_says_why_nothing_could_be_loaded(server: Server) -> None:
    assert server.load(puppet.load_nothing) == (Kind.FAILED, ["CheckpointError", "there is no such file"])
    assert server.ended.result(30) == LOAD_FAILED


def test_it_computes_while_it_loads_and_warms_up_between_batches(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, warmed = threading.Event(), []

    def held(source: str, settings: Settings) -> Pipeline:
        assert gate.wait(30)
        (pipeline,) = puppet.load(settings).values()
        monkeypatch.setattr(puppet.Puppet, "warm_up_at", lambda self, size: warmed.append(size))
        return replace(pipeline, source=source)

    monkeypatch.setattr(background_loader, "load_pipeline", held)
    server.load(puppet.load)
    server.connection.sendall(encoded(Kind.ADD, orjson.dumps(("doll", "a/file"))))
    assert server.run(4)[0] is Kind.ROWS
    gate.set()
    kind, body = next(server.inbound)
    key, info = pickle.loads(body)
    model = pickle.loads(info)
    assert (kind, key, model.key, model.name, model.source) == (Kind.ADDED, "doll", "doll", "puppet", "a/file")
    assert not warmed
    assert server.ask(Kind.WARM_UP, orjson.dumps(("doll", 2))) == (Kind.DONE, None)
    assert warmed == [2]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CheckpointError("no"), ["CheckpointError", "no"]),
        (MemoryError(), ["OutOfMemory", "out of memory"]),
        (ZeroDivisionError("by zero"), ["RuntimeError", "ZeroDivisionError: by zero"]),
    ],
)
def test_it_says_why_a_model_could_not_be_added_and_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception, told: list[str]
) -> None:
    monkeypatch.setattr(background_loader, "load_pipeline", lambda source, settings: puppet.fail(error)())
    server.load(puppet.load)
    assert server.ask(Kind.ADD, orjson.dumps(("doll", "a/file"))) == (Kind.NOT_ADDED, ["doll", *told])
    assert server.ask(Kind.WARM_UP, orjson.dumps(("doll", 1))) == (Kind.DONE, ["LookupError", "KeyError: 'doll'"])
    assert server.run(4)[0] is Kind.ROWS


def test_a_warm_up_that_fails_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory")
    server.load(puppet.load)
    monkeypatch.setattr(puppet.Puppet, "warm_up_at", lambda self, size: puppet.fail(error)())
    answer = server.ask(Kind.WARM_UP, orjson.dumps(("puppet", 1)))
    assert answer == (Kind.DONE, ["OutOfMemory", "CUDA out of memory"])


def test_a_server_that_goes_before_it_asks_anything_is_no_error(server: Server) -> None:
    server.connection.close()
    assert server.ended.result(30) == 0


def test_a_server_that_goes_while_it_computes_is_no_error(server: Server) -> None:
    server.load(puppet.load)
    layout = server.slot.inbox.write({"views": [np.array([-7.0])]})
    server.connection.sendall(encoded(Kind.RUN, orjson.dumps((0, "puppet", layout["views"]))))
    server.connection.close()
    assert server.ended.result(30) == 0
