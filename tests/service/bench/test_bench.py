"""`unireplknet bench` as its user runs it, against the real application."""

import json
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

from service.app import create_app
from service.bench.latency_plot import latency_svg, nines
from service.bench.open_loop import Answer, Load
from service.bench.report import load_record
from service.bench.shot import Shot
from service.cli import app
from service.settings import Settings
from tests.tiny import TINY


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path) -> Iterator[str]:
    config = uvicorn.Config(
        create_app(Settings(checkpoints=(tiny_checkpoint,), decode_workers=1, device="cpu", api_keys="s3cret")),
        port=0,
        log_level="warning",
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started or not config.app.state.runtime.ready:  # type: ignore[union-attr]
        threading.Event().wait(0.05)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


def test_a_mixed_load_is_told_by_kind_and_saved(server: str, tmp_path: Path) -> None:
    good, broken = tmp_path / "a.png", tmp_path / "b.png"
    good.write_bytes(TINY["classify/image"].payload(0))
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    kinds = [f"classify/image={good}@3", f"embed/image={broken}"]
    flags = ["--rate", "10", "--rate", "20", "--seconds", "1", "--key", "s3cret", "--out", str(tmp_path / "told")]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["bench", server, *kinds, *flags])
    assert result.exit_code == 0, result.output
    for path in ("/classify/image", "/embed/image"):
        assert len(re.findall(rf"^ *{path} ", result.output, re.M)) == 2  # once in the table of each rate
    told = json.loads((tmp_path / "told" / "report.json").read_text())
    assert [load["rate"] for load in told["loads"]] == [10, 20]
    for load in told["loads"]:
        sent = int(load["rate"])
        parts = load["kinds"]
        assert parts["all"]["sent"] == sent == parts["/classify/image"]["sent"] + parts["/embed/image"]["sent"]
        assert set(parts["/classify/image"]["statuses"]) == {"200"}
        assert set(parts["/embed/image"]["statuses"]) == {"422"}
        assert parts["/embed/image"]["latency_ms"]["p50"] is None
        latencies = list(parts["/classify/image"]["latency_ms"].values())
        assert latencies == sorted(latencies)
    lines = ElementTree.parse(tmp_path / "told" / "latency.svg").findall(".//{*}polyline")
    assert len(lines) == 2


def test_a_load_without_one_good_answer_ends_with_an_error(server: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(TINY["classify/image"].payload(0))
    arguments = ["bench", server, f"classify/image={file}", "--seconds", "0.5"]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "5×401" in result.output
    assert "no request succeeded" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["http://127.0.0.1:1", "classify/image={file}"], "no server answers at 127.0.0.1:1"),
        (["http://127.0.0.1:1", "classify/image"], "is not a request: expected PATH=FILE"),
        (["http://127.0.0.1:1", "classify/image={file}@0"], "is not a request: expected PATH=FILE"),
        (["http://127.0.0.1:1", "classify/image=absent.png"], "absent.png"),
        (["127.0.0.1:1", "classify/image={file}"], "is not a server address"),
        (["http://127.0.0.1:1", "classify/image={file}", "--rate", "0"], "expected more than 0"),
    ],
)
def test_what_cannot_be_sent_is_told_in_a_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    result = CliRunner().invoke(app, ["bench", *(argument.format(file=file) for argument in arguments)])
    assert result.exit_code == 1
    assert told in " ".join(result.output.split())


def test_a_share_stands_behind_the_last_at_sign(tmp_path: Path) -> None:
    file = tmp_path / "me@home.png"
    file.write_bytes(b"x")
    assert Shot.parse(f"/a/b/={file}") == Shot("/a/b", b"x", 1.0)
    assert Shot.parse(f"a/b={file}@2.5") == Shot("/a/b", b"x", 2.5)


def test_a_generator_that_was_late_is_not_trusted() -> None:
    late = Load(10, 1, [Answer(200, 0.1, 0.05, 0.02)] * 10)
    assert not load_record(late)["trusted"]
    assert load_record(Load(10, 1, [Answer(200, 0.1, 0.05, 0.001)] * 10))["trusted"]


def test_the_tail_has_as_much_room_as_the_middle() -> None:
    assert [nines(share) for share in (0, 0.9, 0.99)] == pytest.approx([0, 1, 2])
    with pytest.raises(ValueError, match="no request succeeded"):
        latency_svg("nothing", {"a": []})
    svg = ElementTree.fromstring(latency_svg("a < b", {"x": list(range(1000)), "y": [5.0]}))
    first, second = (line.get("points", "").split() for line in svg.findall(".//{*}polyline"))
    heights = [float(point.split(",")[1]) for point in first]
    assert heights == sorted(heights, reverse=True)
    assert len(set(second)) == 1  # one request is all of its percentiles
