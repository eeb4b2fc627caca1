"""KServe's first protocol and MLflow's scoring protocol: the same answers, each in its form, and MLflow's client."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests.server.world import ROW, ROW_VALUES, Running, call, ndarray

SECOND = {**ROW, "age": None, "port": None}
NAMES = list(ROW)
FORMS: dict[str, dict[str, Any]] = {
    "instances of objects": {"instances": [ROW, SECOND]},
    "instances of lists": {"instances": [list(ROW.values()), list(SECOND.values())]},
    "split": {"dataframe_split": {"columns": NAMES, "index": [0, 1], "data": [[*ROW.values()], [*SECOND.values()]]}},
    "split in another order": {
        "dataframe_split": {"columns": NAMES[::-1], "data": [[*ROW.values()][::-1], [*SECOND.values()][::-1]]}
    },
    "records": {"dataframe_records": [ROW, SECOND]},
    "inputs by column": {"inputs": {name: [ROW[name], SECOND[name]] for name in NAMES}},
    "inputs by row": {"inputs": [ROW, SECOND]},
}


def expected(running: Running) -> list[dict[str, Any]]:
    answer = call(running.url + "/predict", {"jsonData": [ROW, SECOND]}).json["data"]
    rows = answer["tensor"]["values"]
    pairs = [rows[:2], rows[2:]]
    return [
        {"died": died, "survived": survived, "label": "survived" if survived > 0.5 else "died"}
        for died, survived in pairs
    ]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_is_answered_alike(running: Running, form: dict[str, Any]) -> None:
    paths = ["/invocations", *(["/v1/models/tiny:predict"] if "instances" in form else [])]
    for path in paths:
        answer = call(running.url + path, form)
        assert answer.status == 200, answer.body
        for found, wanted in zip(answer.json["predictions"], expected(running), strict=True):
            assert found["label"] == wanted.pop("label")
            assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
        assert answer.headers["seldon-puid"]


def test_mlflows_own_client_is_at_home(running: Running) -> None:
    client = ScoringServerClient("127.0.0.1", running.port)
    client.wait_server_ready(timeout=5)
    assert client.get_version() == "3"
    frame = pd.DataFrame([ROW, SECOND])
    found = client.invoke(frame).get_predictions()
    assert found["label"].tolist() == [row["label"] for row in expected(running)]
    assert found["survived"].tolist() == pytest.approx([row["survived"] for row in expected(running)], abs=1e-6)


def test_what_is_there_is_said_in_kserves_form(running: Running) -> None:
    assert call(running.url + "/v1/models").json == {"models": ["tiny"]}
    assert call(running.url + "/v1/models/tiny").json["ready"] is True
    assert call(running.url + "/v1/models/other").status == 404
    assert "error" in call(running.url + "/v1/models/other:predict", {"instances": [ROW]}).json


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/v1/models/tiny:predict", {"instances": [{**ROW, "age": 130}]}, "row 1, column age: 130 is outside 0 to 120"),
        ("/v1/models/tiny:predict", {"instances": []}, "instances holds 0 rows"),
        (
            "/v1/models/tiny:predict",
            {"instances": [ROW], "more": 1},
            "the member more is not supported, only instances",
        ),
        ("/v1/models/tiny:predict", {}, "instances is not a list of rows"),
        ("/invocations", {}, "none of dataframe_split, dataframe_records, instances, inputs is given"),
        ("/invocations", {"instances": [ROW], "inputs": [ROW]}, "instances and inputs are both given"),
        ("/invocations", {"instances": [ROW], "params": {"a": 1}}, "params: this model takes none"),
        ("/invocations", {"dataframe_split": [1]}, "dataframe_split is not an object"),
        ("/invocations", {"dataframe_split": {"columns": ["x"], "data": [[1]]}}, "column x: unknown"),
        ("/invocations", {"dataframe_split": {"data": [ROW_VALUES], "odd": 1}}, "the member odd is not supported"),
        ("/invocations", {"inputs": {"age": [1, 2], "class": [1]}}, "column class has 1 values, the first column 2"),
        ("/invocations", {"inputs": {}}, "the inputs hold 0 rows"),
        ("/invocations", {"inputs": 3}, "inputs is not a list of rows"),
        ("/invocations", ndarray(ROW_VALUES), "the member data is not supported"),
    ],
)
def test_what_is_wrong_is_named_in_the_protocols_own_form(
    running: Running, path: str, body: Any, sentence: str
) -> None:
    answer = call(running.url + path, body)
    assert answer.status == 400
    found = answer.json["error"] if path.startswith("/v1") else answer.json["message"]
    assert sentence in found
    assert answer.json.keys() == ({"error"} if path.startswith("/v1") else {"error_code", "message"})


def test_seldons_page_of_the_api_is_where_its_clients_look(running: Running) -> None:
    for path in ("/docs", "/api/v1.0/doc/", "/api/v1.0/doc"):
        assert b"<html" in call(running.url + path).body.lower()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"instances": [{"name": "NaN", "age": NaN, "class": 3}]}', 200),
        (b'{"instances": [{"name": "NaN", "age": Infinity, "class": 3}]}', 400),
        (b'{"instances": [{"name": "NaN", "class": 3}]}', 200),
        (b"[" * 100_000 + b"NaN", 400),
        (b'{"instances": NaN', 400),
    ],
)
def test_nan_is_a_null_to_mlflow_and_no_other_word_is(running: Running, body: bytes, status: int) -> None:
    assert call(running.url + "/invocations", body).status == status
    if b": NaN" in body:
        assert call(running.url + "/v1/models/tiny:predict", body).status == 400, "JSON has no such word"
