"""Plots hold every candidate that has a time."""

import re
from pathlib import Path

import pytest

from benchmarks.table import Table

pytest.importorskip("matplotlib")

from benchmarks import draw

ABOUT = {"date": "2026-01-01", "device": "A Device, 2 cores", "versions": "1", "threads": 2}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(draw, "RESULTS", tmp_path)
    return tmp_path


def test_networks_and_convolutions_are_drawn(results: Path) -> None:
    networks = Table(results / "backbone.csv", ABOUT)
    for name, ratio in (("eager", 1), ("torch, served", 3)):
        case = {"variant": "t", "batch": 8, "precision": "bfloat16"}
        networks.add(case, {"candidate": name, "ms": 1, "over_eager": ratio})
    networks.add(case, {"candidate": "torch.compile", "ms": "", "over_eager": "", "note": "wrong"})
    convolutions = Table(results / "depthwise_conv2d.csv", ABOUT)
    for size in (3, 31):
        case = {"problem": f"64x384x32x32 K{size} bfloat16"}
        convolutions.add(case, {"candidate": "sliding", "ms": 1, "ratio": 3})
    draw.main()
    assert {path.name for path in results.glob("*.svg")} == {
        "backbone-a-device-2-cores-2.svg",
        "depthwise_conv2d-a-device-2-cores-2.svg",
    }


def test_every_candidate_but_the_baseline_is_in_the_legend(results: Path) -> None:
    from matplotlib import rc_context

    networks = Table(results / "backbone.csv", ABOUT)
    for precision in ("float32", "bfloat16"):
        for name in ("eager", f"openvino, {precision}", "torch, served"):
            networks.add(
                {"variant": "t", "batch": 8, "precision": precision}, {"candidate": name, "ms": 1, "over_eager": 2}
            )
    with rc_context({"svg.fonttype": "none"}):
        draw.main()
    (drawn,) = results.glob("*.svg")
    labels = re.findall(r">([^<>]+)</text>", drawn.read_text())
    assert {"torch, served", "openvino", "float32", "bfloat16"} <= set(labels)
    assert labels.count("torch, served") == labels.count("openvino") == 1
    assert "eager" not in labels


def test_without_rows_nothing_is_drawn(results: Path) -> None:
    draw.main()
    assert not list(results.glob("*.svg"))


def test_the_newest_row_counts(results: Path) -> None:
    case = {"problem": "64x384x32x32 K3 float32"}
    for version in ("1", "2"):
        Table(results / "t.csv", {**ABOUT, "versions": version}).add(case, {"candidate": "a", "ms": version})
    assert [row["ms"] for row in draw.rows(results / "t.csv")] == ["2"]
