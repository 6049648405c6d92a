"""Servers whose model costs nothing: what is left is the cost of serving. Arguments: ours or plain, and a port."""

import sys
from collections.abc import Sequence

import torch
import uvicorn
from fastapi import FastAPI, File, UploadFile

from benchmarks.null_preprocessor import NullPreprocessor
from models.checkpoint import ModelCard
from models.heads.base import Row
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.predictor import Predictor
from preprocessors.base import Array
from service.app import create_app
from service.pipeline import Pipeline
from service.settings import Settings
from service.tasks import TASKS

LABELS = tuple(f"class {i}" for i in range(1000))


class NullPipeline(Pipeline):
    """Answers without a forward pass."""

    def run(self, views: Sequence[Array]) -> list[Row]:
        return [{"logits": torch.zeros(len(LABELS)), "embedding": torch.zeros(8)} for _ in views]


def null_pipelines(settings: Settings) -> dict[str, Pipeline]:
    preprocessor = NullPreprocessor()
    head = ClassificationHead(8, LABELS)
    model = PerceptionModel(torch.nn.Identity(), head)  # type: ignore[arg-type]
    predictor = Predictor(model, preprocessor.transform, torch.device("cpu"))
    path = "classify/image"
    return {"null": NullPipeline(path, TASKS[path], ModelCard("null"), "0", preprocessor, head, predictor)}


def ours() -> FastAPI:
    from benchmarks.null_server import null_pipelines as load  # by a name that the engine's process can import

    return create_app(Settings(decode_workers=1, device="cpu"), load=load)


def plain() -> FastAPI:
    """The least that FastAPI can do: read one file, say how long it is."""
    app = FastAPI()

    @app.post("/classify/image")
    async def length(file: UploadFile = File()) -> dict[str, int]:  # noqa: B008 (FastAPI reads it)
        return {"length": len(await file.read())}

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


APPS = {"ours": ours, "plain": plain}


def main() -> None:
    torch.set_num_threads(1)
    uvicorn.run(APPS[sys.argv[1]](), port=int(sys.argv[2]), log_level="warning", access_log=False)


if __name__ == "__main__":
    from benchmarks import null_server  # by its name: the engine's process, which calls it, has another main script

    null_server.main()
