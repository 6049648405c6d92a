"""Torch takes 110 MB and two seconds of a start. The engine needs it, and the server's own process does not."""

import json
import subprocess
import sys
from pathlib import Path

from tests.tiny import TINY

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import json, sys, time
sys.modules["torch"] = None  # importing it fails
import service.cli
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings
from pathlib import Path

checkpoints, files = json.loads(sys.argv[1])
settings = Settings(checkpoints=tuple(map(Path, checkpoints)), device="cpu", engine="process", decode_workers=1)
with TestClient(create_app(settings)) as client:
    while client.get("/health/ready").status_code == 503 and client.get("/health/live").status_code == 200:
        time.sleep(0.05)
    answers = {path: client.post(f"/{path}", content=Path(file).read_bytes()) for path, file in files.items()}
    print(json.dumps({path: [answer.status_code, answer.text] for path, answer in answers.items()}))
"""


def test_every_task_is_answered_by_a_process_that_cannot_import_it(
    tiny_checkpoints: tuple[Path, ...], tmp_path: Path
) -> None:
    files = {}
    for path, tiny in TINY.items():
        file = tmp_path / path.replace("/", "-")
        file.write_bytes(tiny.payload(1))
        files[path] = str(file)
    order = json.dumps([list(map(str, tiny_checkpoints)), files])
    command = [sys.executable, "-c", SERVER, order]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout.splitlines()[-1])
    assert {path: status for path, (status, _) in answers.items()} == dict.fromkeys(TINY, 200), answers
