"""Ask a running server with KServe's own client, which needs other versions than the server does.

In an environment with `kserve`: python benchmarks/ask_with_kserve.py http://127.0.0.1:8000 examples/t-shirt.jpg
"""

import asyncio
import base64
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

MODEL = "clothing10"


def request(file: bytes, binary: bool) -> InferRequest:
    tensor = InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([file if binary else base64.b64encode(file)], object), binary_data=binary)
    return InferRequest(MODEL, [tensor], request_id="one")


async def main(server: str, path: Path) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(server)
    assert await client.is_server_ready(server)
    assert await client.is_model_ready(server, MODEL)
    assert not await client.is_model_ready(server, "nobody")
    answers = [await client.infer(server, request(path.read_bytes(), binary), MODEL) for binary in (True, False)]
    scores = [{output.name: output for output in answer.outputs}["scores"].as_numpy() for answer in answers]
    assert all(answer.id == "one" and answer.model_name == MODEL for answer in answers)
    assert scores[0].shape[0] == 1
    assert np.allclose(scores[0].sum(), 1, atol=1e-5)
    assert np.allclose(scores[0], scores[1], atol=1e-6)
    sys.stdout.write(f"KServe's client: live, ready, binary and JSON tensors agree; best score {scores[0].max():.4f}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
