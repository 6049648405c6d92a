"""Reading what the authors wrote: names, shapes, wrappers, and what is refused."""

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.config import VARIANTS, variant
from models.description import CheckpointError, Structure
from models.upstream import to_upstream, upstream_name
from models.upstream_file import read_weights
from models.upstream_network import UpstreamNetwork, blueprint, describe, from_upstream
from tests.authors import SMALL, dense_weights, published_weights

# The authors' state dicts, counted: entries in training and in deploy form.
ENTRIES = {"a": (626, 156), "f": (626, 156), "p": (626, 156), "n": (738, 178), "t": (1116, 321), "s": (1305, 420)}

# Block 0 of SMALL's second stage has a 13 x 13 kernel, that of its first stage a 3 x 3 one.
NAMES = {
    "backbone.downsamples.0.3.weight": "downsample_layers.0.3.weight",
    "backbone.stages.1.0.dwconv.origin.conv.weight": "stages.1.0.dwconv.lk_origin.weight",
    "backbone.stages.1.0.dwconv.origin.norm.running_var": "stages.1.0.dwconv.origin_bn.running_var",
    "backbone.stages.1.0.dwconv.branches.0.conv.weight": "stages.1.0.dwconv.dil_conv_k5_1.weight",
    "backbone.stages.1.0.dwconv.branches.1.conv.weight": "stages.1.0.dwconv.dil_conv_k7_2.weight",
    "backbone.stages.1.0.dwconv.branches.4.norm.bias": "stages.1.0.dwconv.dil_bn_k3_5.bias",
    "backbone.stages.1.0.dwconv.weight": "stages.1.0.dwconv.lk_origin.weight",
    "backbone.stages.1.0.dwconv.bias": "stages.1.0.dwconv.lk_origin.bias",
    "backbone.stages.0.0.dwconv.weight": "stages.0.0.dwconv.weight",
    "backbone.stages.0.0.dwconv.bias": "stages.0.0.dwconv.bias",
    "backbone.stages.1.0.norm.num_batches_tracked": "stages.1.0.norm.num_batches_tracked",
    "backbone.stages.1.0.se.down.weight": "stages.1.0.se.down.weight",
    "backbone.stages.1.0.pwconv1.bias": "stages.1.0.pwconv1.1.bias",
    "backbone.stages.1.0.grn.beta": "stages.1.0.act.1.beta",
    "backbone.stages.1.0.pwconv2.weight": "stages.1.0.pwconv2.0.weight",
    "backbone.stages.1.0.norm2.running_mean": "stages.1.0.pwconv2.2.running_mean",
    "backbone.stages.1.0.gamma": "stages.1.0.gamma",
    "backbone.feature_norms.3.weight": "norm3.weight",
    "head.norm.bias": "norm.bias",
    "head.linear.weight": "head.weight",
}


@pytest.mark.parametrize("ours", NAMES)
def test_our_names_become_the_authors_names(ours: str) -> None:
    assert upstream_name(ours, SMALL) == NAMES[ours]


@pytest.mark.parametrize("structure", Structure)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_the_authors_number_of_entries_and_is_recognised(name: str, structure: Structure) -> None:
    network = UpstreamNetwork(variant(name), structure, classes=1000)
    theirs = to_upstream(blueprint(network).state_dict(), network.config)
    assert len(theirs) == ENTRIES.get(name, ENTRIES["s"])[structure is Structure.DEPLOY]
    assert describe(theirs) == network
    assert describe(theirs).variant == name


def test_gates_and_response_norms_take_the_authors_shapes() -> None:
    theirs = published_weights()
    assert theirs["stages.0.0.se.down.weight"].shape == (2, 8, 1, 1)
    assert theirs["stages.0.0.se.down.bias"].shape == (2,)
    assert theirs["stages.0.0.act.1.gamma"].shape == (1, 1, 1, 32)
    assert theirs["stages.0.0.gamma"].shape == (8,)


@pytest.mark.parametrize("structure", Structure)
def test_renaming_there_and_back_keeps_every_value(structure: Structure) -> None:
    theirs = published_weights(structure=structure)
    network = describe(theirs)
    ours = from_upstream(theirs, network, "test")
    assert blueprint(network).load_state_dict(ours, strict=True, assign=True)
    again = to_upstream(ours, network.config)
    assert again.keys() == theirs.keys()
    assert all(torch.equal(again[key], theirs[key]) for key in theirs)


def test_dense_prediction_has_four_norms_and_no_classes() -> None:
    network = describe(dense_weights())
    assert network == UpstreamNetwork(replace(SMALL, normalized_features=True), Structure.TRAINING, classes=None)
    assert "backbone.feature_norms.2.bias" in from_upstream(dense_weights(), network, "test")


def test_network_of_unpublished_size_is_read_off_its_shapes() -> None:
    config = replace(SMALL, in_chans=1, kernel_sizes=((3,), (7,), (15, 5), (11,)))
    network = describe(published_weights(config, classes=7))
    assert network == UpstreamNetwork(config, Structure.TRAINING, classes=7)
    assert network.variant is None


def unchanged(weights: dict[str, Tensor]) -> Any:
    return weights


def parallel(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{key}": value for key, value in weights.items()}


WRAPPERS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "raw": unchanged,
    "model": lambda weights: {"model": weights, "optimizer": {"state": {}}, "epoch": 3, "scaler": {"scale": 1.0}},
    "state_dict": lambda weights: {"meta": {"epoch": 12}, "state_dict": weights},
    "module": lambda weights: {"module": weights},
    "model_ema": lambda weights: {"model_ema": weights},
    "published before averaged": lambda weights: {"model_ema": {"other": torch.zeros(1)}, "model": weights},
    "nested": lambda weights: {"state_dict": {"model": weights}},
    "parallel": parallel,
    "parallel and wrapped": lambda weights: {"model": parallel(weights)},
    "arguments": lambda weights: {"model": weights, "args": argparse.Namespace(lr=4e-3, model="unireplknet_t")},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_pickled_files_are_unwrapped(tmp_path: Path, wrapper: str) -> None:
    weights = published_weights()
    torch.save(WRAPPERS[wrapper](weights), tmp_path / "file.pth")
    read = read_weights(tmp_path / "file.pth")
    assert read.ignored == {}
    assert list(read.tensors) == list(weights)
    assert all(torch.equal(read.tensors[key], weights[key]) for key in weights)


def test_legacy_pickles_are_read(tmp_path: Path) -> None:
    torch.save(published_weights(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert describe(read_weights(tmp_path / "old.pth").tensors).config == SMALL


def test_safetensors_are_read(tmp_path: Path) -> None:
    weights = published_weights()
    save_file(parallel(weights), tmp_path / "file.safetensors")
    assert read_weights(tmp_path / "file.safetensors").tensors.keys() == weights.keys()


def test_trunk_is_taken_from_files_of_mm_frameworks_and_the_rest_is_counted(tmp_path: Path) -> None:
    trunk = dense_weights()
    others = {
        "neck.lateral_convs.0.conv.weight": torch.zeros(2),
        "neck.fpn_convs.0.conv.weight": torch.zeros(2),
        "decode_head.conv_seg.bias": torch.zeros(2),
        "ema_backbone_stages_0_0_gamma": torch.zeros(8),
    }
    theirs = {**{f"backbone.{key}": value for key, value in trunk.items()}, **others}
    torch.save({"meta": {"CLASSES": ("wall", "sky")}, "state_dict": theirs}, tmp_path / "mm.pth")
    read = read_weights(tmp_path / "mm.pth")
    assert read.tensors.keys() == trunk.keys()
    assert read.ignored == {"neck": 2, "decode_head": 1, "ema_*": 1}
    assert describe(read.tensors).config == replace(SMALL, normalized_features=True)


def test_averaged_copies_beside_a_classifier_are_left_out(tmp_path: Path) -> None:
    weights = published_weights()
    torch.save({"state_dict": {**weights, "ema_stages_0_0_gamma": torch.zeros(8)}}, tmp_path / "file.pth")
    read = read_weights(tmp_path / "file.pth")
    assert read.tensors.keys() == weights.keys()
    assert read.ignored == {"ema_*": 1}


class Intruder:
    """Runs code when it is unpickled the unsafe way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def test_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    torch.save({"model": published_weights(), "extra": Intruder(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth asks to load \w+\.mkdir.*refused.*Save its state_dict"):
        read_weights(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_reading_leaves_no_type_allowed_for_other_readers(tmp_path: Path) -> None:
    torch.save({"model": published_weights()}, tmp_path / "file.pth")
    read_weights(tmp_path / "file.pth")
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_file_of_another_kind_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file.{suffix}"
    for content in (b"", b"not a checkpoint at all", b"PK\x03\x04 broken archive"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"file\.\w+ is not a (safetensors file|file that torch\.save wrote)"):
            read_weights(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(CheckpointError, match=f"{re.escape(str(path))} is not a file: give the path"):
            read_weights(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([torch.zeros(1)], "holds a list, expected a dict of tensors by name"),
        ({}, "holds nothing at all beside or instead of tensors"),
        (
            {"epoch": 3, "weights": {}},
            "holds epoch, weights beside or instead of tensors, expected a state_dict, or one",
        ),
    ],
)
def test_content_that_is_no_state_dict_is_refused(tmp_path: Path, content: object, told: str) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=told):
        read_weights(tmp_path / "file.pth")


def renamed(weights: dict[str, Tensor]) -> CheckpointError:
    """The refusal of these weights."""
    with pytest.raises(CheckpointError) as refusal:
        from_upstream(weights, describe(weights), "file.pth")
    return refusal.value


def test_keys_that_do_not_fit_are_named() -> None:
    weights = published_weights()
    del weights["stages.2.1.pwconv1.1.weight"]
    weights["stages.0.0.extra"] = torch.zeros(1)
    weights["norm.bias"] = torch.zeros(31)
    told = str(renamed(weights))
    assert "weights of file.pth do not fit" in told
    assert "1 missing (stages.2.1.pwconv1.1.weight)" in told
    assert "1 not of this network (stages.0.0.extra)" in told
    assert "1 of another shape (norm.bias: (31,), expected (32,))" in told


def test_branch_that_was_not_published_is_named() -> None:
    weights = published_weights()
    weights["stages.1.0.dwconv.dil_conv_k3_6.weight"] = weights.pop("stages.1.0.dwconv.dil_conv_k3_5.weight")
    told = str(renamed(weights))
    assert "missing (stages.1.0.dwconv.dil_conv_k3_5.weight)" in told
    assert "not of this network (stages.1.0.dwconv.dil_conv_k3_6.weight)" in told


def test_deploy_and_training_tensors_in_one_file_are_named() -> None:
    mixed = {**published_weights(), "stages.0.0.pwconv2.0.bias": torch.zeros(8)}
    assert "missing (stages.0.0.dwconv.bias" in str(renamed(mixed))


def test_kernel_without_published_branches_is_refused() -> None:
    weights = published_weights()
    weights["stages.1.0.dwconv.lk_origin.weight"] = torch.zeros(16, 1, 19, 19)
    assert "cannot be built: kernel size 19 has no published branches" in str(renamed(weights))


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("stages.3.", r"found \(1, 1, 2, 0\) UniRepLKNet blocks in the 4 stages, expected at least one in each"),
        ("stages.", r"found \(0, 0, 0, 0\) UniRepLKNet blocks"),
        ("downsample_layers.2.", "downsample_layers.2.0.weight is missing"),
    ],
)
def test_weights_of_another_or_a_partial_network_are_refused(lost: str, told: str) -> None:
    partial = {key: value for key, value in published_weights().items() if not key.startswith(lost)}
    with pytest.raises(CheckpointError, match=told):
        describe(partial)
