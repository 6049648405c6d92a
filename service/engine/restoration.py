"""Models that a replaced engine should run and does not: their files have gone, or were half written at that moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from service.engine.base import EngineOptions, MissingModel, ModelInfo, WorkerLost

UNKNOWN = "it could not be loaded again, the log says why"

log = logging.getLogger(__name__)


class Restoration:
    """Loads each again, at ever longer intervals, until it is there or nobody wants it any more.

    missing: by key. load, unload: those of the engine.
    """

    def __init__(
        self,
        load: Callable[[str, str], Awaitable[ModelInfo]],
        unload: Callable[[str], Awaitable[None]],
        options: EngineOptions,
    ) -> None:
        self.missing: dict[str, MissingModel] = {}
        self._load, self._unload, self._options = load, unload, options
        self._task: asyncio.Task[None] | None = None

    def begin(self, models: Iterable[ModelInfo]) -> None:
        """These are missing in the engine that has just come."""
        self._cancel()
        self.missing = {model.key: MissingModel(model, UNKNOWN) for model in models}
        if self.missing:
            self._task = asyncio.create_task(self._restore())

    def forget(self, key: str) -> None:
        """It is not wanted any more."""
        self.missing.pop(key, None)

    async def close(self) -> None:
        if self._cancel() and self._task is not None:
            await asyncio.wait([self._task])

    def _cancel(self) -> bool:
        return self._task is not None and self._task.cancel()

    async def _restore(self) -> None:
        attempts = 0
        while self.missing:
            await asyncio.sleep(self._options.backoff_s(attempts))
            attempts += 1
            for lost in list(self.missing.values()):
                await self._try(lost.model)

    async def _try(self, model: ModelInfo) -> None:
        if model.key not in self.missing or model.source is None:
            return
        try:
            await self._load(model.key, model.source)
        except WorkerLost:  # the next engine tries them anew
            return
        except Exception as error:
            self._note(model, str(error))
        else:
            await self._arrived(model)

    def _note(self, model: ModelInfo, reason: str) -> None:
        if model.key in self.missing and reason != self.missing[model.key].reason:
            log.error("%s is not served, and is tried again and again: %s", model.name, reason)
            self.missing[model.key] = MissingModel(model, reason)

    async def _arrived(self, model: ModelInfo) -> None:
        if self.missing.pop(model.key, None) is None:  # it was unloaded meanwhile
            return await self._unload(model.key)
        log.info("%s is served again", model.name)
