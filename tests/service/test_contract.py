"""The OpenAPI document, taken at its word: random requests made from it never find a fault of the server's own."""

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from service.tasks import TASKS

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture(scope="session")
def schema(client: TestClient) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", client.app)


def test_requests_made_from_the_document_are_answered_as_documented(schema: schemathesis.BaseSchema) -> None:
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) >= len(TASKS) + 6
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def check(case: Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS)

        check()


def test_every_task_is_documented(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, task in TASKS.items():
        operation = document["paths"][f"/{path}"]["post"]
        assert set(task.preprocessor.media_types) < operation["requestBody"]["content"].keys()
        assert {"400", "404", "413", "415", "422", "429", "503"} < operation["responses"].keys()
        assert "application/problem+json" in operation["responses"]["422"]["content"]
