"""Servers whose model costs nothing: what is left is the cost of serving. Arguments: ours or plain, and a port."""

import sys

import uvicorn
from fastapi import FastAPI, File, UploadFile

from service.app import create_app
from service.loading import NamedLoad
from service.settings import Settings


def ours() -> FastAPI:
    settings = Settings(decode_workers=1, device="cpu", threads=1)
    return create_app(settings, load=NamedLoad("benchmarks.null_model:null_pipelines"))


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


if __name__ == "__main__":
    uvicorn.run(APPS[sys.argv[1]](), port=int(sys.argv[2]), log_level="warning", access_log=False)
