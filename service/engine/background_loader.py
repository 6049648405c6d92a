"""Models that an engine process loads beside those that it runs."""

import logging
import os
import pickle
import sys
import threading

import orjson

from service.engine.channel import Kind, Sender, encoded
from service.engine.device import Device
from service.engine.exit_codes import DEVICE_BROKEN
from service.engine.faults import DeviceBroken, survived
from service.engine.model_info import model_info
from service.engine.warm_up import Run, run_on
from service.pipeline import Pipeline, load_pipeline
from service.settings import Settings

GIVING_WAY = 15  # nice value, where other threads have 5: about a tenth of a core that both want

log = logging.getLogger(__name__)


class BackgroundLoader:
    """Reading, fusing and moving weights happens in a thread that gives way; batches go on meanwhile.

    What computes, the warm-up, comes between batches, a step at a time; on a device that captures its work, that is
    the last step, and the longest. pipelines, runs: those that there are; changed here.
    """

    def __init__(
        self, pipelines: dict[str, Pipeline], runs: dict[str, Run], settings: Settings, device: Device, send: Sender
    ) -> None:
        self._pipelines, self._runs, self._settings = pipelines, runs, settings
        self._device, self._send = device, send

    def begin(self, key: str, source: str) -> None:
        """ADDED or NOT_ADDED is sent when it is done."""
        threading.Thread(target=self._add, args=(key, source), name=f"load {key}", daemon=True).start()

    def warm_up(self, key: str, size: int) -> bytes:
        """The message that answers a step of the warm-up. Raises DeviceBroken."""
        try:
            pipeline = self._pipelines[key]
            pipeline.warm_up_at(size)
            if size == self._settings.max_batch_size:
                self._runs[key] = run_on(self._device, pipeline, self._settings)
        except Exception as error:
            return encoded(Kind.DONE, orjson.dumps(survived(error, f"warming up {key}")))
        return encoded(Kind.DONE, b"null")

    def remove(self, key: str) -> bytes:
        """The message that answers a removal; there may be nothing to remove."""
        self._pipelines.pop(key, None)
        self._runs.pop(key, None)
        self._device.release()
        return encoded(Kind.DONE, b"null")

    def _add(self, key: str, source: str) -> None:
        give_way()
        try:
            self._send(self._loaded(key, source))
        except DeviceBroken:
            os._exit(DEVICE_BROKEN)  # nobody else sees what a thread raises
        except OSError:
            log.debug("the server ended while %s was being loaded", key)

    def _loaded(self, key: str, source: str) -> bytes:
        try:
            self._device.enter()
            pipeline = load_pipeline(source, self._settings)
            info = pickle.dumps(model_info(pipeline, key))
            self._pipelines[key] = pipeline
            return encoded(Kind.ADDED, pickle.dumps((key, info)))
        except Exception as error:
            told = survived(error, f"loading {source}")
        self._device.release()  # only here does no traceback hold the tensors any more
        return encoded(Kind.NOT_ADDED, orjson.dumps((key, *told)))


def give_way() -> None:
    """Let other threads of this process go first where the cores do not suffice. On Linux, where a thread can."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVING_WAY)
