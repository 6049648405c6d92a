"""Answers as clients read them: their JSON, and the schemas that document it."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, create_model

from service.engine.base import ModelInfo
from service.options import EmbeddingOptions, VectorEncoding
from service.runtime import Perceived

NPY = "application/x-npy"


class Timing(BaseModel):
    """In milliseconds: decoding, waiting for the device, the shared forward pass, and the total."""

    decode: float
    queue: float
    forward: float
    total: float


class Provenance(BaseModel):
    """The model that answered."""

    id: str
    model: str
    model_version: str
    task: str
    modality: str


class Evidence(BaseModel):
    """What one answer rests on: the input as it was decoded, the time it took, and how many shared the pass."""

    input: dict[str, Any]
    timing_ms: Timing
    batch_size: int


class EmbeddingItem(BaseModel):
    """`embedding` is a list of numbers, or base64 of little-endian float32; `input` is what was decoded."""

    index: int
    embedding: list[float] | str
    input: dict[str, Any]


class Usage(BaseModel):
    items: int


class EmbeddingAnswer(Provenance):
    object: str = "list"
    dim: int
    data: list[EmbeddingItem]
    usage: Usage


# How fields that are no plain JSON types are documented
SCHEMA_TYPES: dict[Any, Any] = {NDArray[np.float32]: list[list[float]]}


def answer_schemas(name: str, result_type: type) -> tuple[type[BaseModel], type[BaseModel]]:
    """Schemas of the answer to one input, and of the answer to several."""
    outcome: dict[str, Any] = {
        f.name: (SCHEMA_TYPES.get(f.type, f.type), ... if f.default is MISSING else f.default)
        for f in fields(result_type)
    }
    item = create_model(f"{name}Result", __base__=Evidence, **outcome)
    single = create_model(f"{name}Answer", __base__=(Provenance, item))
    results: dict[str, Any] = {"results": (list[item], ...)}
    return single, create_model(f"{name}Answers", __base__=Provenance, **results)


def provenance(request_id: str, model: ModelInfo) -> dict[str, Any]:
    return {
        "id": request_id,
        "model": model.name,
        "model_version": model.version,
        "task": model.path,
        "modality": model.task.modality,
    }


def item_answer(result: Any, perceived: Perceived, total_ms: float) -> dict[str, Any]:
    timing = {"decode": perceived.decode_ms, "queue": perceived.queue_ms, "forward": perceived.forward_ms}
    # orjson writes the dataclasses and arrays inside, and faster than asdict would copy them
    outcome = {name: value for name, value in vars(result).items() if value is not None}
    return {
        **outcome,
        "input": perceived.sample.description,
        "timing_ms": {name: round(ms, 3) for name, ms in {**timing, "total": total_ms}.items()},
        "batch_size": perceived.batch_size,
    }


def embeddings(perceived: Sequence[Perceived], normalize: bool) -> NDArray[np.float32]:
    """(items, dim) float32; of an input with several views, their mean."""
    vectors = [np.mean([row["embedding"] for row in item.rows], axis=0) for item in perceived]
    matrix = np.stack(vectors).astype("<f4")
    if normalize:
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo("f4").tiny)
    return matrix


def embedding_answer(
    matrix: NDArray[np.float32], perceived: Sequence[Perceived], options: EmbeddingOptions
) -> dict[str, Any]:
    vectors = encoded_vectors(matrix, options)
    data = [
        {"index": i, "embedding": vector, "input": item.sample.description}
        for i, (vector, item) in enumerate(zip(vectors, perceived, strict=True))
    ]
    return {"object": "list", "dim": matrix.shape[1], "data": data, "usage": {"items": len(data)}}


def encoded_vectors(matrix: NDArray[np.float32], options: EmbeddingOptions) -> list[list[float] | str]:
    return [VECTORS[options.encoding_format](row) for row in matrix]


def npy_bytes(matrix: NDArray[np.float32]) -> bytes:
    """The matrix as an .npy file."""
    file = io.BytesIO()
    np.save(file, matrix, allow_pickle=False)
    return file.getvalue()


VECTORS: dict[VectorEncoding, Callable[[NDArray[np.float32]], list[float] | str]] = {
    VectorEncoding.FLOAT: lambda row: list(map(float, row)),
    VectorEncoding.BASE64: lambda row: base64.b64encode(row.tobytes()).decode(),
}
