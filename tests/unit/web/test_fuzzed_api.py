"""Whatever OpenAPI allows, and much that it does not, is sent to the API: nothing breaks it. Needs schemathesis."""

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbf.web.app import create_app
from nbf.web.limits import Limits

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis (pip install schemathesis)")
pytestmark = pytest.mark.slow

CASES = 2000


def test_no_request_breaks_the_server(predictor: Any, photo: bytes) -> None:
    """Half of the requests are about results and photos that are there."""
    app = create_app(predictor, Limits(), local=False)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations()]
    known = TestClient(app).post("/v1/people", content=photo).json()["id"]
    statuses: Counter[int] = Counter()
    for operation in operations:
        modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
        cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])

        @given(case=cases, real=st.booleans())
        @settings(
            max_examples=2 * CASES // len(operations),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        def send(case: Any, real: bool) -> None:
            if real and case.method != "DELETE":
                if "id" in (case.path_parameters or {}):
                    case.path_parameters["id"] = known
                if isinstance(case.body, dict) and "id" in case.body:
                    case.body["id"] = known
                if case.operation.path == "/v1/people":
                    case.body = photo
            answer = case.call(timeout=120)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                assert answer.json()["error"]["message"]

        send()
    assert statuses.total() >= CASES, statuses
    assert {200, 201, 404, 422} <= statuses.keys()
