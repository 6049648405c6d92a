"""The engine process: it loads the models, then computes one batch after the other."""

import faulthandler
import logging
import pickle
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import torch

from models.predictor import resolve_device
from preprocessors.base import Array
from service import logs
from service.engine.arena import Arena, Block, Slot
from service.engine.base import Load, Loaded, OutOfMemory, find, model_info
from service.engine.channel import Kind, encoded, messages
from service.engine.cpu_limit import cpu_limit
from service.engine.faults import breaks_device, to_wire
from service.pipeline import Pipeline
from service.settings import Settings

DEVICE_BROKEN = 70  # exit code: EX_SOFTWARE of sysexits.h
LOAD_FAILED = 78  # EX_CONFIG

log = logging.getLogger(__name__)


class DeviceBroken(Exception):
    """This process can compute no more. Another one can."""


def main(fds: Sequence[int]) -> int:
    """Run an engine. fds: the connection to the server, then the arenas of every slot, in and out. Returns the exit
    code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
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
        pipelines = load(order[1])
        loaded = Loaded({name: model_info(pipeline) for name, pipeline in pipelines.items()})
    except Exception as error:
        log.debug("loading failed", exc_info=error)
        connection.sendall(encoded(Kind.FAILED, orjson.dumps(to_wire(error))))
        return LOAD_FAILED
    connection.sendall(encoded(Kind.LOADED, pickle.dumps(loaded)))
    runner = Runner(pipelines, slots)
    for kind, body in inbound:
        connection.sendall(runner.run(*orjson.loads(body)) if kind is Kind.RUN else encoded(Kind.PONG))
    return 0


def load(order: bytes) -> Mapping[str, Pipeline]:
    """Models that have computed their first batches. order: see `written_order`."""
    sys.path, rest = pickle.loads(order)
    function, settings = pickle.loads(rest)
    logs.configure(settings.log_level, settings.log_format)
    torch.set_num_threads(settings.threads or cpu_limit())
    device = resolve_device(settings.device)
    if device.index is not None:
        torch.cuda.set_device(device)  # some kernels start on the current device, whatever they are given
    pipelines: Mapping[str, Pipeline] = function(settings)
    for pipeline in pipelines.values():
        pipeline.warm_up(settings.max_batch_size)
    return pipelines


def written_order(function: Load, settings: Settings) -> bytes:
    """function: a module's, found by its name with this process's `sys.path`."""
    return pickle.dumps((sys.path, pickle.dumps((function, settings))))


class Runner:
    """Runs batches that lie in slots."""

    def __init__(self, pipelines: Mapping[str, Pipeline], slots: Sequence[Slot]) -> None:
        self._pipelines, self._slots = pipelines, slots

    def run(self, number: int, model: str, blocks: Sequence[Block]) -> bytes:
        """The message that answers a run: rows, or the error. Raises DeviceBroken."""
        slot = self._slots[number]
        try:
            layout = slot.outbox.write(self._columns(model, slot.inbox.arrays(blocks)))
            return encoded(Kind.ROWS, orjson.dumps((number, layout)))
        except Exception as error:
            kind, message = _survived(error)
        if kind == OutOfMemory.__name__:  # what is free may be in pieces too small for the next attempt;
            torch.cuda.empty_cache()  # only here does no traceback hold the tensors any more
        return encoded(Kind.ERROR, orjson.dumps((number, kind, message)))

    def _columns(self, model: str, views: Sequence[Array]) -> dict[str, list[Any]]:
        rows = find(self._pipelines, model).run(views)
        return {name: [row[name].numpy() for row in rows] for name in rows[0]} if rows else {}


def _survived(error: Exception) -> tuple[str, str]:
    """How to tell of an error. Raises DeviceBroken for one after which there will only be more."""
    if breaks_device(error):
        log.critical("the device fails, this process ends to be replaced", exc_info=error)
        raise DeviceBroken from error
    log.warning("a batch failed", exc_info=error)
    return to_wire(error)
