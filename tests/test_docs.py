"""What the documents promise, the code has; what the code has, the documents mention."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.bench.cli import bench
from service.cli import measure_bfloat16
from service.flags import default_text, read_settings
from service.settings import Settings
from training.cli import train_app
from training.training_tasks import TRAINING_TASKS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(Settings(decode_workers=1))
    return app.openapi()


def test_every_endpoint_is_in_the_api_page(document: dict[str, Any]) -> None:
    for path in document["paths"]:
        assert path in API or path.removeprefix("/models") in API, path


def test_every_option_is_in_the_api_page(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for parameter in methods.get("post", {}).get("parameters", ()):
            told = f"{{{parameter['name']}}}" if parameter["in"] == "path" else f"`{parameter['name']}`"
            assert told in API, f"{path} {parameter['name']}"


def test_every_error_code_is_in_the_api_page() -> None:
    sources = [path.read_text() for room in ("service", "preprocessors") for path in (ROOT / room).rglob("*.py")]
    raised = r'(?:Problem\(\d+, |UnsupportedFormat\(\s*|UndecodableInput\(\s*|TooLarge\(\s*)"([a-z_]+)"'
    codes = {code for source in sources for code in re.findall(raised, source)}
    assert len(codes) > 6
    assert {code for code in codes if f"`{code}`" not in API} <= {"client_closed_request"}


def setting_row(name: str) -> str:
    """As it stands in docs/settings.md; what differs from machine to machine is told by the description."""
    info = Settings.model_fields[name]
    default = "" if info.default_factory else default_text(info)
    return f"| `{name}` | {f'`{default}`' if default else ''} | {info.description} |"


def test_the_settings_page_is_the_settings() -> None:
    """A row of the table for each, in their order: paste what is missing."""
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [setting_row(name) for name in Settings.model_fields]


def test_the_example_of_the_settings_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert "`UNIREPLKNET_MAX_BATCH_SIZE=32`" in page
    monkeypatch.setenv("UNIREPLKNET_MAX_BATCH_SIZE", "32")
    assert read_settings({}).max_batch_size == 32
    assert read_settings({"max_batch_size": 8}).max_batch_size == 8


def test_links_in_the_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_commands_and_flags_in_the_documents_exist() -> None:
    callbacks = [command.callback for command in train_app.registered_commands]
    assert len(callbacks) == len(TRAINING_TASKS)
    names = {
        name for callback in (*callbacks, bench, measure_bfloat16) if callback for name in callback.__annotations__
    }
    words = [name.replace("_", "-") for name in names]
    flags = {"--lr", "--final-lr", *(f"--{word}" for word in words), *(f"--no-{word}" for word in words)}
    flags |= {f"--{name.replace('_', '-')}" for name in Settings.model_fields} | {"--structure", "--help"}
    for page in (ROOT / "README.md", ROOT / "docs" / "training.md", ROOT / "checkpoints" / "README.md"):
        for line in page.read_text().splitlines():
            if "unireplknet" in line or line.startswith("Two things"):
                assert set(re.findall(r"(?<![\w-])--[a-z-]+", line)) <= flags, line


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    extraction = re.search(r"command=\$\((.+)\)\n", script)
    assert extraction is not None
    found = subprocess.run(["bash", "-c", extraction[1]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/pytest" in found
    assert found.strip() in README
