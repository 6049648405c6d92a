"""The OpenAPI document, taken at its word: random requests made from it never find a fault of the server's own."""

from collections import Counter
from typing import Any
from urllib.request import urlopen

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from service.tasks import TASKS

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


def test_requests_made_from_the_document_are_answered_as_documented(address: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) >= len(TASKS) + 6
    statuses: Counter[int] = Counter()
    for operation in operations:

        @given(case=operation.as_strategy())
        @examples(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def check(case: Case[Any]) -> None:
            statuses[case.call_and_validate(checks=CHECKS).status_code] += 1

        check()
    assert statuses[503] == 0
    assert statuses[200] > len(operations)
    with urlopen(f"{address}/health/ready", timeout=10) as response:
        assert response.status == 200


def test_every_task_is_documented(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, task in TASKS.items():
        operation = document["paths"][f"/{path}"]["post"]
        assert set(task.preprocessor.media_types) < operation["requestBody"]["content"].keys()
        assert {"400", "404", "413", "415", "422", "429", "503"} < operation["responses"].keys()
        assert "application/problem+json" in operation["responses"]["422"]["content"]
