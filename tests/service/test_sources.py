import shutil
from pathlib import Path

import pytest

from service.errors import Problem
from service.sources import Sources
from tests.tiny import save_tiny


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for file in (folder / "first.safetensors", tmp_path / "outside.safetensors"):
        shutil.copy(tiny_checkpoint, file)
    return folder


def test_a_model_is_found_by_the_name_in_its_card_or_by_its_file(folder: Path) -> None:
    sources, file = Sources((folder,)), str(folder / "first.safetensors")
    assert sources.find("tiny") == file
    for checkpoint in ("first", "first.safetensors", file):
        assert sources.find("anything", checkpoint) == file
    assert sources.names() == {"tiny": file}


def test_a_file_that_comes_later_is_found(folder: Path) -> None:
    sources = Sources((folder,))
    later = save_tiny("classify/audio", folder / "later.safetensors", "birds")
    assert sources.find("birds") == str(later)


@pytest.mark.parametrize(
    "checkpoint",
    [
        "../outside.safetensors",
        "../outside",
        "{outside}",
        "models/../../outside.safetensors",
        "first.safetensors/../../outside.safetensors",
        "/etc/passwd",
        "file:///etc/passwd",
        "first.safetensors\0",
        "hub:unireplknet_a_in1k",
        "x" * 10_000,
        "*",
    ],
)
def test_nothing_outside_the_folders_can_be_named(folder: Path, checkpoint: str) -> None:
    with pytest.raises(Problem, match="checkpoint_not_found") as caught:
        Sources((folder,)).find("tiny", checkpoint.format(outside=folder.parent / "outside.safetensors"))
    assert (caught.value.status, caught.value.detail.endswith("available: first.safetensors")) == (404, True)


def test_a_name_that_several_files_claim_is_refused_until_one_is_named(folder: Path) -> None:
    second = save_tiny("classify/audio", folder / "second.safetensors", "tiny")
    with pytest.raises(Problem, match="several checkpoints contain .*first.*second") as caught:
        Sources((folder,)).find("tiny")
    assert caught.value.status == 422
    assert Sources((folder,)).find("tiny", "second") == str(second)


def test_files_that_are_no_checkpoints_have_the_name_of_their_file(folder: Path) -> None:
    (folder / "broken.safetensors").write_bytes(b"no weights")
    assert Sources((folder,)).names().keys() == {"broken", "tiny"}


def test_names_that_the_authors_published_are_known(folder: Path) -> None:
    assert Sources((folder,)).find("unireplknet_a_in1k") == "hub:unireplknet_a_in1k"


def test_an_empty_folder_is_no_fault(tmp_path: Path) -> None:
    assert Sources((tmp_path,)).names() == {}
    with pytest.raises(Problem, match="available: none"):
        Sources((tmp_path,)).find("tiny")
