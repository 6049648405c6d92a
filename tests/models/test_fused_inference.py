"""A whole network gives the same answers whichever steps of inference run fused."""

import pytest
import torch
from torch import nn

from kernels.fusions import forced_fusions
from kernels.steps import STEPS
from models.config import BackboneConfig
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import Stem, UniRepLKNet
from tests.kernels.problems import DEVICE, needs_triton

LABELS = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def model() -> PerceptionModel:
    """In deploy form, with every parameter away from the value that would hide it."""
    torch.manual_seed(0)
    config = BackboneConfig((1, 1, 1, 1), (8, 12, 16, 20), ((3,), (3,), (5,), (3,)))
    model = PerceptionModel(UniRepLKNet(config), ClassificationHead(20, LABELS, init_scale=50.0))
    for name, parameter in model.backbone.named_parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        elif name.endswith(("bias", "beta")):
            nn.init.normal_(parameter, std=0.1)
        else:
            nn.init.uniform_(parameter, 0.5, 1.0)
    return reparameterize(model).to(DEVICE)


@needs_triton
@pytest.mark.parametrize("names", [("norm",), tuple(STEPS)], ids=["norm", "all"])
def test_logits_are_the_same_with_fusions_and_without(model: PerceptionModel, names: tuple[str, ...]) -> None:
    x = torch.randn(2, 3, 17, 9, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    with torch.inference_mode():
        off = model(x)["logits"]
        with forced_fusions(names):
            on = model(x)["logits"]
    assert (on - off).abs().max() <= 1e-5 * off.abs().max()
    assert not torch.equal(on, off)  # they did run
    assert (off[0] - off[1]).abs().max() > 1e-2 * off.abs().max()  # and the input matters


def test_the_fused_stem_keeps_its_parameters_and_leaves_the_training_form_alone() -> None:
    stem = Stem(3, 8).eval()
    fused = reparameterize(stem)
    assert fused.state_dict().keys() == stem.state_dict().keys()
    assert not any(isinstance(layer, nn.GELU) for layer in fused.modules())
    assert any(isinstance(layer, nn.GELU) for layer in stem.modules())
    x = torch.randn(1, 3, 9, 12)
    torch.testing.assert_close(fused(x), stem(x))
    torch.testing.assert_close(stem.fuse()(x), stem(x))


def test_a_stem_in_deploy_form_is_copied_as_it_is() -> None:
    fused = reparameterize(Stem(3, 8))
    x = torch.randn(1, 3, 9, 12)
    torch.testing.assert_close(reparameterize(fused)(x), fused(x))
