"""Who asks a model of stored features sends their values, or a null that is meant: none is taken for granted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from tests.server.world import ROW, TINY, Running, call, expected, graph, ndarray, server

STORED = replace(
    TINY, columns=tuple(replace(one, source="people:age") if one.name == "age" else one for one in TINY.columns)
)
WITHOUT = {name: value for name, value in ROW.items() if name != "age"}
SAID = "column age: missing: it is the feature store's (people:age), which is not asked here: send its value, or null"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stored") / "bundle"
    survived = expected(22.5, port="C")
    golden = [{"row": ROW, "probabilities": [1 - survived, survived]}]
    files = {
        MODEL: graph(STORED), SCHEMA: STORED.to_json().encode(), REFERENCE: b"", GOLDEN: json.dumps(golden).encode(),
    }  # fmt: skip
    write_bundle(folder, files, {"usecase": "tiny"})
    with server(folder) as process:
        yield process


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1.0/predictions", ndarray(list(WITHOUT.values()), names=list(WITHOUT))),
        ("/api/v1.0/predictions", {"jsonData": WITHOUT}),
        ("/api/v1.0/predictions", {"jsonData": [ROW, WITHOUT]}),
        (
            "/v2/models/tiny/infer",
            {"inputs": [{"name": name, "shape": [1], "datatype": kind, "data": [WITHOUT[name]]} for name, kind in
                        (("name", "BYTES"), ("port", "BYTES"), ("class", "INT64"), ("alone", "BOOL"))]},
        ),
    ],
)  # fmt: skip
def test_a_request_without_the_stores_column_is_refused(running: Running, path: str, body: dict[str, Any]) -> None:
    answer = call(f"{running.url}{path}", body)
    assert answer.status == 400
    assert SAID in answer.body.decode()


def test_a_null_that_is_sent_is_one(running: Running) -> None:
    row = ROW | {"age": None}
    answer = call(f"{running.url}/api/v1.0/predictions", ndarray(list(row.values()), names=list(row)))
    assert answer.survived[0] == pytest.approx(expected(None, port="C"))
    document = call(f"{running.url}/openapi.json").json
    assert "age" in json.dumps([part.get("required") for part in document["components"]["schemas"].values()])
