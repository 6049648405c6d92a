"""Published names: what they stand for, and how their files are had from a hub that may fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.class_names import CLASS_FILES
from models.config import VARIANTS
from models.hub import PUBLISHED, HubError, download
from tests.authors import serve_hub

ROOT = Path(__file__).resolve().parents[2]
NAME = "unireplknet_a_in1k"
FILE = "unireplknet_a_in1k_224_acc77.03.pth"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_file_agrees_with_its_name_and_row(name: str) -> None:
    row = PUBLISHED[name]
    assert row.file.startswith(f"unireplknet_{row.variant}_in")
    assert name.startswith(f"unireplknet_{row.variant}_in")
    assert row.variant in VARIANTS
    assert row.dataset in CLASS_FILES
    assert (row.dataset == "ImageNet-22K") == name.endswith("in22k")
    stated = re.search(r"_(224|384)_acc", row.file)
    assert (stated is None) == (row.accuracy is None)
    assert stated is None or int(stated[1]) == row.size


def test_all_fourteen_published_classifiers_are_listed() -> None:
    assert len(PUBLISHED) == len({row.file for row in PUBLISHED.values()}) == 14


def test_accuracy_is_what_the_file_name_states() -> None:
    assert PUBLISHED[NAME].accuracy == 0.7703
    assert PUBLISHED["unireplknet_xl_in22k_to_in1k_384"].accuracy == 0.8796
    assert PUBLISHED["unireplknet_s_in22k"].accuracy is None


def test_file_is_downloaded_once_and_then_taken_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"weights" * 1000)
    with serve_hub(tmp_path) as (endpoint, asked):
        first = download(NAME, endpoint=endpoint, cache=tmp_path / "cache")
        second = download(NAME, endpoint=endpoint, cache=tmp_path / "cache")
    assert first == second
    assert first.read_bytes() == b"weights" * 1000
    path = f"/DingXiaoH/UniRepLKNet/resolve/main/{FILE}"
    assert [ask for ask in asked if ask.startswith("GET") and FILE in ask] == [f"GET {path}"]
    offline = download(NAME, endpoint=endpoint, cache=tmp_path / "cache")  # the hub is gone by now
    assert offline == first


def test_environment_variable_names_the_hub_and_progress_is_shown(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"weights")
    program = f"from models.hub import download; download({NAME!r})"
    with serve_hub(tmp_path) as (endpoint, asked):
        environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "TQDM_POSITION": "-1"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert len([ask for ask in asked if ask.startswith("GET") and FILE in ask]) == 1
    assert "acc77.03.pth: 100%" in done.stderr


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'unireplknet_h_in1k' was not published, expected one of unireplknet_a_in1k"):
        download("unireplknet_h_in1k")


def test_file_that_the_hub_does_not_have_is_reported(tmp_path: Path) -> None:
    with (
        serve_hub(tmp_path) as (endpoint, _),
        pytest.raises(HubError, match=rf"{endpoint}/DingXiaoH/UniRepLKNet has no file {re.escape(FILE)}.*by hand"),
    ):
        download(NAME, endpoint=endpoint, cache=tmp_path / "cache")


def test_hub_that_cannot_be_reached_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub's client tries five times, ever later
    with serve_hub(tmp_path) as (endpoint, _):
        pass  # its port is closed again
    with pytest.raises(HubError, match=r"could not be downloaded from .* set HF_ENDPOINT .* convert it by its path"):
        download(NAME, endpoint=endpoint, cache=tmp_path / "cache")
