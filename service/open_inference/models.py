"""Models by the names and versions of a URL."""

from fastapi import Request

from service.catalogue import find_model
from service.engine.base import ModelInfo
from service.errors import Problem
from service.runtime import Runtime


def served(runtime: Runtime, name: str, request: Request) -> ModelInfo:
    """The model, where it is served in the version that the path names, if it does.

    Raises Problem 404, and 503 while models load.
    """
    model = find_model(runtime, name)
    version = request.path_params.get("version", model.version)
    if version != model.version:
        raise Problem(404, "model_not_found", f"{name} has version {model.version}, not {version!r}")
    return model
