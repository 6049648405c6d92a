"""The two pools of decode workers of a server."""

import asyncio
from typing import Any

import psutil

from preprocessors.base import Preprocessor
from service.decode_worker import Preparation
from service.decoders import Decoders

PATIENCE_S = 100


def test_files_on_the_express_lane_have_a_worker_that_goes_before_the_others(faulty: Preprocessor[Any]) -> None:
    async def scenario() -> tuple[dict[bool, int], set[int]]:
        decoders = Decoders(1, 1, PATIENCE_S, Preparation(("preprocessors.image",), memory_bytes=1 << 30))
        try:
            await decoders.start()
            decoders.check()
            samples = {lane: await decoders.decode(faulty, b"", None, lane) for lane in (False, True)}
            workers = {lane: psutil.Process(sample.description["pid"]) for lane, sample in samples.items()}
            return {lane: worker.nice() for lane, worker in workers.items()}, {w.ppid() for w in workers.values()}
        finally:
            await asyncio.wait_for(decoders.close(), PATIENCE_S)

    niceness, parents = asyncio.run(scenario())
    assert niceness[False] > niceness[True] > psutil.Process().nice()
    assert len(parents) == 1  # forked from one process
