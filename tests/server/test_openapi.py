"""Schemathesis against our own OpenAPI document: each answer is one that the document knows."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as conformance

from tests.server.world import Running, call

CHECKS = (
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
    conformance.negative_data_rejection,
)


def test_generated_requests_are_answered_as_the_document_says(running: Running) -> None:
    document = call(running.url + "/openapi.json").json
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=running.url)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == sum(map(len, document["paths"].values()))
    for operation in operations:
        _check(operation)


def _check(operation: Any) -> None:
    # That tensors have one length and hold what their column takes is more than JSON Schema can say.
    accepted = () if operation.path.endswith("/infer") else (conformance.positive_data_acceptance,)

    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS + accepted)

    check()
