"""An engine in a process of its own, replaced when it dies or hangs."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine import prestart
from service.engine.base import (
    EngineOptions,
    EngineState,
    Load,
    Loaded,
    MissingModel,
    ModelInfo,
    OnLost,
    WorkerLost,
    computed,
    find,
)
from service.engine.expectations import Expectations, Work
from service.engine.fork_server import ForkServer
from service.engine.link import EngineLink
from service.engine.reload import Reload
from service.engine.restoration import Restoration
from service.loading import CHECKPOINTS
from service.settings import Settings

log = logging.getLogger(__name__)

USUAL = EngineOptions()


class ProcessEngine:
    """Batches go through shared memory, and this process never holds the weights. Belongs to one event loop.

    device: overrides that of the settings, for one engine per device. fork_server: where its processes are forked from;
    engines may share one, and whoever made it closes it. on_lost: is told whenever the process dies or hangs.
    """

    def __init__(
        self,
        settings: Settings,
        device: str | None = None,
        *,
        options: EngineOptions = USUAL,
        fork_server: ForkServer | None = None,
        load: Load = CHECKPOINTS,
        on_lost: OnLost | None = None,
    ) -> None:
        self.depth = options.depth
        self.restarts = 0
        self.loaded = Loaded({})
        self._settings = settings.model_copy(update={"device": device}) if device else settings
        self._options, self._load, self._on_lost = options, load, on_lost
        self._fork_server, self._own_fork_server = fork_server or prestart.taken(), fork_server is None
        self._usual_start_s = 1.0
        self._room = asyncio.Semaphore(options.depth)
        self._link: EngineLink | None = None
        self._expectations = Expectations(options)
        self._restoration = Restoration(self.load, self.unload, options)
        self._lost_since: float | None = None
        self._last_error = ""
        self._keeper: asyncio.Task[None] | None = None
        self._failed = self._closed = False

    @property
    def state(self) -> EngineState:
        if self._closed or self._failed:
            return EngineState.CLOSED if self._closed else EngineState.FAILED
        return EngineState.READY if self._link is not None and self._link.ready else EngineState.STARTING

    @property
    def alive(self) -> bool:
        return self.state is EngineState.READY

    @property
    def missing(self) -> Mapping[str, MissingModel]:
        return self._restoration.missing

    @property
    def fault(self) -> str | None:
        """See Engine."""
        lost_s = time.monotonic() - self._lost_since if self._lost_since is not None else 0.0
        if self.alive or not self._last_error or lost_s < self._options.recovery_s:
            return None
        return f"the engine has been lost for {lost_s:.0f} s and cannot be replaced: {self._last_error}"

    @property
    def memory(self) -> Mapping[str, float]:
        return self._link.memory if self._link else {}

    @property
    def pid(self) -> int | None:
        return self._link.process.pid if self._link else None

    async def start(self) -> Loaded:
        """What was loaded, once it is warmed up. Raises CheckpointError, ValueError, WorkerLost."""
        if self._closed:
            raise WorkerLost("the engine is closed: make another one")
        try:
            self.loaded = await self._launch(self._load)
        except Exception:
            self._failed = True
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self.loaded

    async def run(self, model: str, views: Sequence[Array]) -> list[Row]:
        """See Engine."""
        await self._room.acquire()
        try:
            link = self._current()
            self._check_present(model)
            answer = link.submit(model, views, self._room.release)
        except BaseException:
            self._room.release()
            raise
        return await answer

    async def load(self, key: str, source: str) -> ModelInfo:
        """See Engine."""
        link = self._current()
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                model = await link.add(key, source)
                for size in self._settings.warm_up_sizes:
                    await link.warm_up(key, size)
        except BaseException:
            link.drop(key)
            raise
        if link is not self._link:
            raise WorkerLost("the engine was replaced while the model was loaded", self._usual_start_s)
        self.loaded = self.loaded.with_model(model)
        return model

    async def unload(self, key: str) -> None:
        """See Engine."""
        self.loaded = self.loaded.without(key)
        self._restoration.forget(key)
        self._expectations.forget(key)
        if self._link is not None and self._link.ready:
            with suppress(WorkerLost):  # the next one comes without it
                await self._link.remove(key)

    async def check(self, timeout_s: float = 5.0) -> None:
        """See Engine. Under load the batches that are answered are proof enough."""
        link = self._current()
        if (reason := link.watch.overdue) is not None:
            raise WorkerLost(reason, self._usual_start_s)
        if link.busy or self._has_just_answered(link):
            return
        model = min(self.loaded.models.values(), key=self._blank_s, default=None)
        try:
            await computed(self.run(model.key, [model.preprocessor.blank()]) if model else link.ping(), timeout_s)
        except LookupError as error:  # the engine was replaced, or the model let go, since it was chosen
            raise WorkerLost(str(error), self._usual_start_s) from error

    def _has_just_answered(self, link: EngineLink) -> bool:
        return link.answered_at is not None and time.monotonic() - link.answered_at < self._options.fresh_s

    def _blank_s(self, model: ModelInfo) -> float:
        """What the least that it can compute takes."""
        return self._expectations.seconds(Work(model.key, model.preprocessor.blank().size))

    def _check_present(self, key: str) -> None:
        """A replacement may have it for a moment yet where it was unloaded, or not have it where it should."""
        if key in self.missing:
            raise WorkerLost(f"{key} was lost with the engine: {self.missing[key].reason}", self._usual_start_s)
        find(self.loaded.models, key)

    async def close(self) -> None:
        """See Engine. What was handed over is finished, or fails when it takes longer than a hang."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._restoration.close()
        if self._link is not None:
            await self._link.drain()
            await self._stop(self._link)
        if self._own_fork_server:
            await self._fork_server.close()

    def _current(self) -> EngineLink:
        if self._link is None or not self.alive:
            raise WorkerLost(f"the engine is {self.state}: try again later", self._usual_start_s)
        return self._link

    async def _launch(self, load: Load) -> Loaded:
        self._link = link = EngineLink(self._fork_server, self._options, self._expectations)
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                loaded = await link.load(load, self._settings)
        except TimeoutError:
            await self._stop(link)
            raise WorkerLost(f"the engine did not start within {self._options.start_timeout_s:g} s") from None
        except BaseException:
            await self._stop(link)
            raise
        self._usual_start_s = link.start_s
        return loaded

    async def _keep(self) -> None:
        """Replace the process whenever it is lost: at once, and then at ever longer intervals until one has worked."""
        failures = 0
        while self._link is not None:
            reason = await asyncio.shield(self._link.lost)
            self.restarts += 1
            self._lost_since, self._last_error = time.monotonic(), ""
            failures = 0 if self._link.answered_at is not None else failures
            self._tell(reason)
            log.error("%s (exit code %s); restarting it", reason, await self._stop(self._link))
            failures = await self._replace(failures)

    def _tell(self, reason: str) -> None:
        try:
            if self._on_lost is not None:
                self._on_lost(reason)
        except Exception:  # of the listener: the engine is replaced all the same
            log.exception("on_lost failed")

    async def _replace(self, failures: int) -> int:
        while True:
            await asyncio.sleep(self._options.backoff_s(failures))
            failures += 1
            try:
                loaded = await self._launch(Reload.of(self._wanted, self._load))
            except Exception as error:
                self._last_error = str(error)
                log.error("the inference process could not be restarted: %s", error)
            else:
                self._adopt(loaded)
                log.info("the inference process restarted in %.1f s", self._usual_start_s)
                return failures

    @property
    def _wanted(self) -> Loaded:
        missing = {key: lost.model for key, lost in self.missing.items()}
        return Loaded({**self.loaded.models, **missing})

    def _adopt(self, loaded: Loaded) -> None:
        """What was unloaded while the replacement started goes from it, too; what it should have is tried again."""
        wanted = self._wanted.models
        self._lost_since = None
        self.loaded = Loaded({key: model for key, model in loaded.models.items() if key in wanted})
        for key in loaded.models.keys() - wanted.keys():
            if self._link is not None:
                self._link.drop(key)
        self._restoration.begin([model for key, model in wanted.items() if key not in loaded.models])

    async def _stop(self, link: EngineLink) -> int | None:
        try:
            return await link.end()
        except TimeoutError:
            log.error("inference process %s cannot be stopped; its device may be hung", link.process.pid)
            return None
