import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import torch
from typer.testing import CliRunner

from service.cli import app
from service.settings import Settings
from tests.authors import published_weights
from tests.conftest import LABELS
from tests.service.conftest import encoded, picture
from tests.tiny import TINY

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("serve", "predict", "models", "convert", "train")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(picture()))
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    status, output = run(command, "--help")
    assert status == 0
    assert "Usage" in output


def test_help_names_every_command() -> None:
    _, output = run("--help")
    assert all(command in output for command in COMMANDS)


@pytest.mark.parametrize("columns", ["80", "200"])
def test_serve_shows_every_setting_with_its_default(columns: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": columns})
    options = re.split(r"\n  (?=-)", result.output)
    shown = {option.split()[0]: " ".join(option.split()) for option in options}
    for name, info in Settings.model_fields.items():
        text = shown[f"--{name.replace('_', '-')}"].replace("- ", "-")  # where a word was wrapped at its hyphen
        assert (info.description or "missing").replace("- ", "-") in text
    assert shown["--port"].endswith("[default: 8000]")
    assert shown["--max-queue-wait-s"].endswith("[default: 10]")
    assert "None" not in result.output


@pytest.mark.parametrize("given", ["--channels-last", "--no-channels-last"])
def test_a_switch_can_be_turned_off_as_well(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("service.server.run_server", served.append)
    assert run("serve", given) == (0, "")
    assert served[0].channels_last is (given == "--channels-last")


def test_predict_prints_labels_as_json_lines(photo: Path, tiny_checkpoint: Path) -> None:
    status, output = run("predict", photo, photo, "-c", tiny_checkpoint, "--top-k", 2, "--json")
    lines = [json.loads(line) for line in output.splitlines()]
    assert status == 0
    assert [line["file"] for line in lines] == [str(photo)] * 2
    assert len(lines[0]["predictions"]) == 2


def test_predict_goes_on_after_a_file_it_cannot_read_and_says_so(photo: Path, tiny_checkpoint: Path) -> None:
    broken = photo.with_name("broken.png")
    broken.write_bytes(b"no picture")
    status, output = run("predict", broken, photo, "-c", tiny_checkpoint)
    assert status == 1
    assert "broken.png" in output
    assert "photo.png" in output


def test_predict_finds_the_model_that_can_read_a_file(tiny_checkpoints: tuple[Path, ...], tmp_path: Path) -> None:
    files = {task: tmp_path / task.rpartition("/")[2] for task in TINY}
    for task, path in files.items():
        path.write_bytes(TINY[task].payload(0))
    places = [part for checkpoint in tiny_checkpoints for part in ("-c", checkpoint)]
    status, output = run("predict", *files.values(), *places, "--json")
    assert status == 0
    models = [json.loads(line)["model"] for line in output.splitlines() if line.startswith("{")]
    assert models == ["tiny", "tiny-audio", "tiny-video", "tiny-pointcloud", "tiny-weather"]


def test_predict_names_the_models_there_are(photo: Path, tiny_checkpoint: Path) -> None:
    status, output = run("predict", photo, "-c", tiny_checkpoint, "--model", "huge")
    assert status == 1
    assert "available: tiny (classify/image)" in output


def test_predict_refuses_more_labels_than_there_are(photo: Path, tiny_checkpoint: Path) -> None:
    status, output = run("predict", photo, "-c", tiny_checkpoint, "--top-k", 9)
    assert status == 1
    assert "top_k is 9, expected 0 (all) to 5" in output


def test_brackets_in_a_file_name_are_no_markup(tmp_path: Path, tiny_checkpoint: Path) -> None:
    odd = tmp_path / "a[b].png"
    odd.write_bytes(b"no picture")
    status, output = run("predict", odd, "-c", tiny_checkpoint)
    assert status == 1
    assert "a[b].png" in output.replace("\n", "")


def test_models_lists_names_and_metrics(tiny_checkpoint: Path) -> None:
    status, output = run("models", "-c", tiny_checkpoint)
    assert status == 0
    assert "tiny" in output
    assert "test_accuracy 0.200" in output


def test_a_file_that_is_no_checkpoint_is_one_line_and_no_traceback(photo: Path) -> None:
    status, output = run("models", "-c", photo)
    assert status == 1
    assert "convert it with" in " ".join(output.split())
    assert "Traceback" not in output


@pytest.mark.parametrize("wrong", [("--port", "99999"), ("--max-batch-size", "0"), ("--precision", "int3")])
def test_an_invalid_setting_is_named(wrong: tuple[str, str]) -> None:
    status, output = run("serve", *wrong)
    assert status == 2
    assert wrong[0].strip("-").replace("-", "_") in output.replace("-", "_")


def test_several_places_of_checkpoints_fit_in_one_environment_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = tmp_path / "mine", tmp_path / "yours"
    served: list[Settings] = []
    monkeypatch.setattr("service.server.run_server", served.append)
    monkeypatch.setenv("UNIREPLKNET_CHECKPOINTS", f"{places[0]}:{places[1]}")
    assert run("serve") == (0, "")
    assert [settings.checkpoints for settings in (*served, Settings())] == [places, places]


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server on a free port, and its address once it says that it is ready."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--decode-workers", "1", "--device", "cpu"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    with subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as server:
        assert server.stderr is not None
        deadline = time.monotonic() + 120
        said = ""
        while not (address := re.search(r"(http://\S+)/docs", said)):
            assert time.monotonic() < deadline
            line = server.stderr.readline()
            assert line, said
            said += line
        try:
            yield server, address[1]
        finally:
            server.kill()


def run_example(photo: Path, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "examples/classify.py", "image", str(photo), address]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_serve_announces_itself_answers_the_example_client_and_ends_on_sigterm(
    tiny_checkpoint: Path, photo: Path
) -> None:
    with serving("--checkpoints", str(tiny_checkpoint)) as (server, address):
        with urlopen(f"{address}/health/ready", timeout=10) as response:
            assert response.status == 200
        with urlopen(f"{address}/models", timeout=10) as response:
            assert json.load(response)[0]["name"] == "tiny"
        answered = run_example(photo, address)
        assert [line.split()[1] in LABELS for line in answered.stdout.splitlines()] == [True] * 3
        photo.write_bytes(b"no picture")
        refused = run_example(photo, address)
        assert refused.returncode == 1
        assert "JPEG, PNG" in refused.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0


def test_convert_makes_authors_weights_servable_and_says_how_exact_it_was(tmp_path: Path, photo: Path) -> None:
    source, labels, target = tmp_path / "theirs.pth", tmp_path / "labels.txt", tmp_path / "ours.safetensors"
    torch.save({"model": published_weights(classes=5)}, source)
    labels.write_text("\n".join(LABELS))
    status, output = run("convert", source, target, "--labels", labels, "--size", 64, "--name", "theirs")
    assert status == 0, output
    assert "training -> deploy" in output
    assert "of the largest logit" in output
    status, output = run("predict", photo, "-c", target, "--top-k", 1, "--json")
    assert status == 0
    assert json.loads(output)["predictions"][0]["label"] in LABELS


def test_convert_names_what_is_wrong_with_a_source(photo: Path, tmp_path: Path) -> None:
    status, output = run("convert", photo, tmp_path / "out.safetensors")
    assert status == 1
    assert "is not a file that torch.save wrote" in " ".join(output.split())
    assert not (tmp_path / "out.safetensors").exists()
