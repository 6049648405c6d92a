from fastapi.testclient import TestClient

from models.runtimes.registry import RUNTIMES
from service.tasks import TASKS
from tests.conftest import LABELS


def test_models_are_listed_with_their_endpoints(client: TestClient) -> None:
    model, *others = client.get("/models").json()
    assert len(others) == len(TASKS) - 1
    assert model["name"] == "tiny"
    assert model["endpoints"] == ["/classify/image", "/embed/image"]
    assert (model["device"], model["precision"]) == ("cpu", "float32")
    assert model["runtime"] in RUNTIMES


def test_a_model_shows_its_card_and_what_it_accepts(client: TestClient) -> None:
    model = client.get("/models/tiny").json()
    assert model["card"]["metrics"] == {"test_accuracy": 0.2}
    assert model["preprocessor"]["size"] == 32
    assert "image/jpeg" in model["media_types"]
    assert model["parameters"] > 0


def test_labels_are_in_the_order_of_their_ids(client: TestClient) -> None:
    assert client.get("/labels/tiny").json() == list(LABELS)


def test_an_unknown_model_is_404_and_names_those_there_are(client: TestClient) -> None:
    for path in ("/models/huge", "/labels/huge"):
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "model_not_found")
        assert "available: tiny" in response.json()["detail"]


def test_limits_are_those_of_the_settings(client: TestClient) -> None:
    limits = client.get("/limits").json()
    assert (limits["max_items"], limits["max_body_bytes"]) == (4, 300_000)


def test_the_documentation_page_is_served(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    assert "/classify/image" in client.get("/openapi.json").json()["paths"]
