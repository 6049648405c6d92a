"""The protocols by their own clients, over a socket."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import LABELS
from tests.service.conftest import encoded, picture
from tests.service.test_routes import expected_logits

triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
openai = pytest.importorskip("openai", reason="needs openai")

PICTURES = [encoded(picture(seed)) for seed in range(2)]


@pytest.fixture
def client(address: str) -> Any:
    with triton.InferenceServerClient(address.removeprefix("http://")) as client:
        yield client


def pictures(binary: bool) -> Any:
    tensor = triton.InferInput("image", [2], "BYTES")
    files = PICTURES if binary else [base64.b64encode(file) for file in PICTURES]
    tensor.set_data_from_numpy(np.array(files, object), binary_data=binary)
    return tensor


def test_triton_finds_the_server_and_its_models(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "unireplknet-service"
    version = client.get_model_metadata("tiny")["versions"][0]
    assert client.is_model_ready("tiny", version)
    assert client.get_model_config("tiny", version)["input"][0]["data_type"] == "TYPE_STRING"
    assert client.get_model_repository_index()[0]["state"] == "READY"
    assert client.get_inference_statistics("tiny")["model_stats"][0]["name"] == "tiny"
    every = [model["name"] for model in client.get_inference_statistics()["model_stats"]]
    assert every == [model["name"] for model in client.get_model_repository_index()]


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False])
def test_triton_infers_with_and_without_binary_tensors(
    client: Any, tiny_checkpoint: Path, binary_input: bool, binary_output: bool
) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_output) for name in ("logits", "label")]
    answer = client.infer("tiny", [pictures(binary_input)], outputs=wanted, request_id="seven")
    expected = np.stack([expected_logits(tiny_checkpoint, file) for file in PICTURES])
    assert np.allclose(answer.as_numpy("logits"), expected, atol=1e-4)
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
    assert labels == [LABELS[i] for i in expected.argmax(1)]
    assert answer.get_response()["id"] == "seven"


def test_triton_ranks_labels_and_passes_options(client: Any) -> None:
    wanted = [triton.InferRequestedOutput("scores", class_count=3)]
    answer = client.infer("tiny", [pictures(True)], outputs=wanted, parameters={"function_to_apply": "sigmoid"})
    ranks = answer.as_numpy("scores")
    assert ranks.shape == (2, 3)
    assert ranks[0][0].decode().split(":")[2] in LABELS


def test_triton_reads_refusals(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match=r"\[404\].*no model named 'nobody'"):
        client.infer("nobody", [pictures(True)])
    with pytest.raises(triton.InferenceServerException, match=r"\[403\].*--admin-keys"):
        client.load_model("tiny")
    with pytest.raises(triton.InferenceServerException, match=r"\[415\].*gzip"):
        client.infer("tiny", [pictures(True)], request_compression_algorithm="gzip")


def test_openai_lists_the_models_that_embed(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none") as client:
        listed = [model.id for model in client.models.list()]
        assert "tiny" in listed
        assert "tiny-weather" not in listed
        assert client.models.retrieve("tiny").object == "model"
        with pytest.raises(openai.NotFoundError, match="no model named 'nobody'"):
            client.models.retrieve("nobody")


def test_openai_embeds(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none") as client:
        texts = [base64.b64encode(file).decode() for file in PICTURES]
        vectors = {
            form: [item.embedding for item in client.embeddings.create(model="tiny", input=texts, **form_of).data]
            for form, form_of in {"default": {}, "float": {"encoding_format": "float"}}.items()
        }
        assert np.allclose(vectors["default"], vectors["float"], atol=1e-5)
        assert np.shape(vectors["float"]) == (2, 32)
        with pytest.raises(openai.NotFoundError, match="no model named 'nobody'") as caught:
            client.embeddings.create(model="nobody", input=texts)
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="input 0 is not base64"):
            client.embeddings.create(model="tiny", input="some words")
