"""Stand-ins for what the authors publish: weights under their names, and a hub that serves files."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from torch import Tensor

from models.config import BackboneConfig
from models.description import Structure
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from models.upstream import to_upstream
from tests.randomized import randomize

SMALL = BackboneConfig((1, 1, 2, 1), (8, 16, 24, 32), ((3,), (13,), (13, 3), (13,)))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def published_weights(
    config: BackboneConfig = SMALL, classes: int = 5, structure: Structure = Structure.TRAINING
) -> dict[str, Tensor]:
    """A classifier's state dict as the authors would write it."""
    model = randomize(PerceptionModel(UniRepLKNet(config), ClassificationHead(config.dims[-1], ["?"] * classes)))
    form = reparameterize(model) if structure is Structure.DEPLOY else model
    return to_upstream(form.state_dict(), config)


def dense_weights(config: BackboneConfig = SMALL) -> dict[str, Tensor]:
    """A trunk for dense prediction: four norms, no classifier."""
    trunk = randomize(UniRepLKNet(replace(config, normalized_features=True)))
    return to_upstream({f"backbone.{key}": value for key, value in trunk.state_dict().items()}, config)


class Hub(BaseHTTPRequestHandler):
    """Answers `/OWNER/REPOSITORY/resolve/main/FILE` from `folder`, as the hub does for a public repository."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def do_GET(self) -> None:
        self.answer(send=True)

    def answer(self, send: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        file = self.folder / self.path.rpartition("/")[2]
        body = file.read_bytes() if file.exists() else b""
        self.send_response(200 if file.exists() else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        if file.exists():
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if send:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet: the answers are what tests look at."""


@contextmanager
def serve_hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of `folder`; yields the endpoint and the list that every request is noted in."""
    asked: list[str] = []
    handler = type("FolderHub", (Hub,), {"folder": folder, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
