import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from models.heads.base import Row
from preprocessors.base import Array
from service.batcher import Batcher, Overloaded


def view(value: float) -> Array:
    return np.array([value], np.float32)


class Device:
    """Doubles every view, notes the batches it was given, and waits at the gate while it is shut."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, views: Sequence[Array]) -> list[Row]:
        values = [float(item[0]) for item in views]
        self.batches.append(values)
        assert self.gate.wait(10)
        if 13.0 in values:
            raise RuntimeError("thirteen")
        return [{"logits": torch.tensor([2 * value])} for value in values]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def submit_behind_a_busy_device(batcher: Batcher, device: Device, values: Sequence[float]) -> list[object]:
    """Occupy the device with 0, let the values queue up, then open the gate."""
    device.gate.clear()
    first = asyncio.create_task(batcher.submit([view(0.0)], device))
    await until(lambda: device.batches == [[0.0]])
    tasks = [asyncio.create_task(batcher.submit([view(value)], device)) for value in values]
    await asyncio.sleep(0)
    device.gate.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def answers(outcomes: Sequence[object]) -> list[float]:
    return [float(item.row["logits"]) for outcome in outcomes if isinstance(outcome, list) for item in outcome]


def test_a_lone_sample_runs_at_once_and_alone() -> None:
    device, batcher = Device(), Batcher(8, 8)
    (prediction,) = asyncio.run(batcher.submit([view(3.0)], device))
    assert (float(prediction.row["logits"]), prediction.batch_size, device.batches) == (6.0, 1, [[3.0]])


def test_samples_that_wait_for_a_busy_device_share_its_next_pass() -> None:
    device = Device()
    outcomes = asyncio.run(submit_behind_a_busy_device(Batcher(8, 8), device, [1, 2, 3]))
    assert device.batches == [[0.0], [1.0, 2.0, 3.0]]
    assert answers(outcomes) == [2.0, 4.0, 6.0]


def test_a_batch_is_no_larger_than_its_limit_and_keeps_the_order() -> None:
    device = Device()
    outcomes = asyncio.run(submit_behind_a_busy_device(Batcher(2, 8), device, [1, 2, 3, 4, 5]))
    assert device.batches == [[0.0], [1.0, 2.0], [3.0, 4.0], [5.0]]
    assert answers(outcomes) == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_sample_that_fails_does_not_fail_those_beside_it() -> None:
    outcomes = asyncio.run(submit_behind_a_busy_device(Batcher(8, 8), Device(), [1, 13, 2, 3]))
    assert answers(outcomes) == [2.0, 4.0, 6.0]
    assert isinstance(outcomes[1], RuntimeError)


def test_the_batcher_goes_on_after_a_failure() -> None:
    async def scenario() -> float:
        device, batcher = Device(), Batcher(8, 8)
        with pytest.raises(RuntimeError, match="thirteen"):
            await batcher.submit([view(13.0)], device)
        return answers([await batcher.submit([view(4.0)], device)])[0]

    assert asyncio.run(scenario()) == 8.0


def test_a_full_queue_refuses_at_once_and_says_so() -> None:
    outcomes = asyncio.run(submit_behind_a_busy_device(Batcher(1, 2), Device(), [1, 2, 3]))
    assert answers(outcomes) == [2.0, 4.0]
    assert isinstance(outcomes[2], Overloaded)
    assert "2 samples wait already, the limit is 2" in str(outcomes[2])


def test_all_views_of_a_sample_are_answered_in_order_or_refused_together() -> None:
    async def scenario() -> list[float]:
        device, batcher = Device(), Batcher(2, 3)
        with pytest.raises(Overloaded, match="0 samples wait already, the limit is 3"):
            await batcher.submit([view(value) for value in (1.0, 2.0, 3.0, 4.0)], device)
        assert device.batches == []
        return answers([await batcher.submit([view(value) for value in (1.0, 2.0, 3.0)], device)])

    assert asyncio.run(scenario()) == [2.0, 4.0, 6.0]


def test_samples_nobody_waits_for_any_more_are_not_computed() -> None:
    async def scenario() -> Device:
        device, batcher = Device(), Batcher(8, 8)
        device.gate.clear()
        first = asyncio.create_task(batcher.submit([view(0.0)], device))
        await until(lambda: device.batches == [[0.0]])
        gone = asyncio.create_task(batcher.submit([view(1.0)], device))
        stays = asyncio.create_task(batcher.submit([view(2.0)], device))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        device.gate.set()
        await asyncio.gather(first, stays)
        return device

    assert asyncio.run(scenario()).batches == [[0.0], [2.0]]


def test_models_share_the_device_but_never_a_batch() -> None:
    async def scenario() -> tuple[Device, Device]:
        one, other, batcher = Device(), Device(), Batcher(8, 8)
        one.gate.clear()
        tasks = [asyncio.create_task(batcher.submit([view(0.0)], one))]
        await until(lambda: one.batches == [[0.0]])
        for value, device in ((1.0, other), (2.0, one), (3.0, other)):
            tasks.append(asyncio.create_task(batcher.submit([view(value)], device)))
        await asyncio.sleep(0)
        one.gate.set()
        await asyncio.gather(*tasks)
        return one, other

    one, other = asyncio.run(scenario())
    assert (one.batches, other.batches) == ([[0.0], [2.0]], [[1.0, 3.0]])


def test_closing_answers_what_waits() -> None:
    async def scenario() -> list[float]:
        device, batcher = Device(), Batcher(1, 8)
        tasks = [asyncio.create_task(batcher.submit([view(value)], device)) for value in (1.0, 2.0, 3.0)]
        await asyncio.sleep(0)
        await batcher.close()
        assert len(device.batches) == 3
        return answers(await asyncio.gather(*tasks))

    assert asyncio.run(scenario()) == [2.0, 4.0, 6.0]
