"""The engine process: it loads the models, then computes one batch after the other."""

import faulthandler
import logging
import pickle
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import torch

from models.predictor import resolve_device
from preprocessors.base import Array
from service import logs
from service.engine.arena import Arena, Block, Slot
from service.engine.background_loader import BackgroundLoader
from service.engine.base import Load, Loaded, OutOfMemory, find
from service.engine.channel import Kind, Sender, encoded, messages
from service.engine.cpu_limit import cpu_limit
from service.engine.device import Device, engine_device
from service.engine.error_wire import to_wire
from service.engine.exit_codes import DEVICE_BROKEN, LOAD_FAILED
from service.engine.faults import DeviceBroken, survived, translated
from service.engine.memory import memory_in_use
from service.engine.model_info import model_info
from service.engine.order import read_order
from service.engine.warm_up import Run, warmed_up
from service.pipeline import Pipeline
from service.settings import Settings

log = logging.getLogger(__name__)


def main(fds: Sequence[int]) -> int:
    """Run an engine. fds: the connection to the server, then the arenas of every slot, in and out. Returns the exit
    code."""
    faulthandler.enable()
    arenas = [Arena(fd) for fd in fds[1:]]
    slots = list(map(Slot, arenas[::2], arenas[1::2]))
    with socket.socket(fileno=fds[0]) as connection:
        try:
            return serve(connection, slots)
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the server has gone
        except DeviceBroken:
            return DEVICE_BROKEN


def serve(connection: socket.socket, slots: Sequence[Slot]) -> int:
    """Load as the first message says, then answer the others until the server closes. Raises DeviceBroken."""
    inbound = messages(connection)
    order = next(inbound, None)
    if order is None:
        return 0
    try:
        function, settings = read_order(order[1])
        device = engine_device(resolve_device(settings.device))
        pipelines, runs = load(function, settings, device)
        loaded = Loaded({key: model_info(pipeline, key) for key, pipeline in pipelines.items()})
    except Exception as error:
        log.debug("loading failed", exc_info=error)
        connection.sendall(encoded(Kind.FAILED, orjson.dumps(to_wire(translated(error)))))
        return LOAD_FAILED
    send = Sender(connection)
    send(encoded(Kind.LOADED, pickle.dumps(loaded)))
    background_loader = BackgroundLoader(pipelines, runs, settings, device, send)
    answers: dict[Kind, Callable[..., bytes | None]] = {
        Kind.RUN: Runner(runs, slots, device).run,
        Kind.PING: lambda: encoded(Kind.PONG, orjson.dumps(memory_in_use())),
        Kind.ADD: background_loader.begin,
        Kind.WARM_UP: background_loader.warm_up,
        Kind.REMOVE: background_loader.remove,
    }
    for kind, body in inbound:
        answer = answers[kind](*orjson.loads(body or b"[]"))
        if answer is not None:
            send(answer)
    return 0


def load(function: Load, settings: Settings, device: Device) -> tuple[dict[str, Pipeline], dict[str, Run]]:
    """Models that have computed their first batches, and how to run the next."""
    logs.configure(settings.log_level, settings.log_format)
    torch.set_num_threads(settings.threads or cpu_limit())
    device.enter()
    pipelines = dict(function(settings))
    return pipelines, warmed_up(pipelines, settings, device)


class Runner:
    """Runs batches that lie in slots."""

    def __init__(self, runs: Mapping[str, Run], slots: Sequence[Slot], device: Device) -> None:
        self._runs, self._slots, self._device = runs, slots, device

    def run(self, number: int, model: str, blocks: Sequence[Block]) -> bytes:
        """The message that answers a run: rows, or the error. Raises DeviceBroken."""
        slot = self._slots[number]
        try:
            layout = slot.outbox.write(self._columns(model, slot.inbox.arrays(blocks)))
            return encoded(Kind.ROWS, orjson.dumps((number, layout)))
        except Exception as error:
            kind, message = survived(error, "a batch")
        if kind == OutOfMemory.__name__:  # what is free may be in pieces too small for the next attempt;
            self._device.release()  # only here does no traceback hold the tensors any more
        return encoded(Kind.ERROR, orjson.dumps((number, kind, message)))

    def _columns(self, model: str, views: Sequence[Array]) -> dict[str, list[Any]]:
        rows = find(self._runs, model)(views)
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
