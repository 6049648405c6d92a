"""The decode workers of a server: those for all files, and some for files that take no time."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from preprocessors.base import Preprocessor, Sample
from service.decode_worker import Preparation
from service.decoding import DecodePool, decode_fork_server


class Decoders:
    """Two pools, forked from one process. Belongs to one event loop; close it.

    express: workers of the second pool. They go before the others where cores are few, as far as the engine does: a
    photograph among films would else get the share of one file among many, and take several times as long.
    """

    def __init__(self, workers: int, express: int, timeout_s: float, preparation: Preparation) -> None:
        self._fork_server = decode_fork_server(preparation)
        self._usual = DecodePool(workers, timeout_s, preparation, self._fork_server)
        self._express = DecodePool(express, timeout_s, preparation._replace(niceness=0), self._fork_server)
        self._pools = (self._usual, self._express)

    async def start(self) -> None:
        """Returns once every worker has imported what it needs. Raises DecodersUnavailable."""
        await asyncio.gather(*(pool.start() for pool in self._pools))

    async def warm_up(self, preprocessor: Preprocessor[Any]) -> Sample | None:
        """What came of the preprocessor's example, which every idle worker decodes, if anything did."""
        samples = await asyncio.gather(*(pool.warm_up(preprocessor) for pool in self._pools))
        return next((sample for sample in samples if sample is not None), None)

    async def decode(
        self, preprocessor: Preprocessor[Any], payload: bytes, options: Any, express: bool = False
    ) -> Sample:
        """The sample of a file. Raises PayloadError and DecodersUnavailable."""
        return await (self._express if express else self._usual).decode(preprocessor, payload, options)

    def check(self) -> None:
        """Raises DecodersUnavailable where workers cannot be started."""
        for pool in self._pools:
            pool.check()

    async def close(self) -> None:
        """Stop the workers and wait for their ends."""
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._fork_server.close)
            for pool in self._pools:
                closing.push_async_callback(pool.close)
