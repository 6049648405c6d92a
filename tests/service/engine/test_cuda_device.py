"""What only a GPU can show of the engine's device: captured work, pinned memory, the memory that work takes."""

import pytest
import torch
from torch import Tensor

from models.config import BackboneConfig, default_kernel_sizes
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from service.engine.device import CudaDevice, Outputs, engine_device

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

DEPTHS = (1, 1, 2, 1)


@pytest.fixture(scope="module")
def model() -> UniRepLKNet:
    torch.manual_seed(0)
    network = UniRepLKNet(BackboneConfig(DEPTHS, (16, 32, 64, 128), default_kernel_sizes(DEPTHS), layer_scale_init=0.5))
    return reparameterize(network).to("cuda", torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@pytest.fixture
def device() -> CudaDevice:
    found = engine_device(torch.device("cuda"))
    assert isinstance(found, CudaDevice)
    return found


def images(count: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(seed))
    return drawn.to("cuda", torch.bfloat16).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_replayed_work_gives_what_computing_anew_gives(model: UniRepLKNet, device: CudaDevice) -> None:
    def forward(x: Tensor) -> Outputs:
        return {"last": model(x)[-1].float()}

    x = images(4)
    captured = {size: device.capture(lambda size=size: forward(x[:size])) for size in (4, 2, 1)}  # type: ignore[misc]
    for seed, size in enumerate((4, 1, 2, 4), start=1):
        fresh = images(size, seed)
        x[:size].copy_(fresh)
        captured[size].replay()
        found = device.download(captured[size].outputs)["last"]
        expected = forward(fresh)["last"].cpu()
        assert (found - expected).abs().max() <= 2e-2 * expected.abs().max()
        assert found.is_pinned()


@torch.inference_mode()
def test_uploads_from_pinned_memory_arrive_whole(device: CudaDevice) -> None:
    batch = device.empty((7, 33, 5), torch.uint8)
    batch.copy_(torch.randint(0, 256, batch.shape, dtype=torch.uint8))
    assert batch.is_pinned()
    assert torch.equal(device.download({"x": device.upload(batch)})["x"], batch)


@torch.inference_mode()
def test_what_work_takes_is_measured(device: CudaDevice) -> None:
    size = 64 << 20

    def work() -> Outputs:
        return {"x": torch.empty(size, dtype=torch.uint8, device="cuda") + 1}

    assert 2 * size <= device.peak_bytes(work) <= 3 * size
    assert 0 < device.free_bytes() <= torch.cuda.get_device_properties(0).total_memory


def test_the_device_serves_on_after_work_that_cannot_be_captured(model: UniRepLKNet, device: CudaDevice) -> None:
    x = images(1)

    def needs_the_host() -> Outputs:
        return {"x": x[x > x.mean().item()]}

    with torch.inference_mode():
        with pytest.raises(RuntimeError):
            device.capture(needs_the_host)
        expected = model(x)[-1]
        captured = device.capture(lambda: {"last": model(x)[-1]})
        captured.replay()
        assert torch.allclose(captured.outputs["last"], expected, rtol=2e-2, atol=2e-2 * expected.abs().max().item())
