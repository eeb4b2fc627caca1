"""Rows as other servers take them: KServe's first protocol (`:predict`) and MLflow's `/invocations`.

Both are answered with `predictions`, an object for each row: the numbers of the answer by name, and what it is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from lifeboat.http.access import ANY, MAY_PREDICT, OPEN
from lifeboat.http.app import App
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import JSON, Request, Response
from lifeboat.server.protocols.rest import Predictor, puid_line, readiness
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.request_id import RequestId

if TYPE_CHECKING:
    from lifeboat.server.dataplane import DataPlane
    from lifeboat.server.model.onnx_model import Answers

# One of these is in a request of MLflow's, and nothing else but its parameters, of which this model has none.
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_NAN = b"NaN"
_SPLIT = frozenset({"columns", "data", "index"})


def read_instances(document: dict[str, Any], reader: Reader) -> Columns:
    """Rows of `instances`: objects, or lists in the schema's order.

    Raises:
        RequestError: 400; it names row, column, value and limit.
    """
    refuse_unknown("the request", "member", document, {"instances"})
    return _rows(document.get("instances"), "instances", reader)


def read_invocation(document: dict[str, Any], reader: Reader) -> Columns:
    """Rows in one of MLflow's forms.

    Raises:
        RequestError: 400; it names what is wrong and where.
    """
    refuse_unknown("the request", "member", document, {*_FORMS, "params"})
    if document.get("params"):
        raise bad("params: this model takes none")
    given = [form for form in _FORMS if document.get(form) is not None]
    if len(given) != 1:
        raise bad(f"{' and '.join(given)} are both given" if given else f"none of {', '.join(_FORMS)} is given")
    [form] = given
    value = document[form]
    if form == "dataframe_split":
        if type(value) is not dict:
            raise bad("dataframe_split is not an object of columns and data")
        refuse_unknown(form, "member", value, _SPLIT)
        return reader.from_rows(value.get("data"), value.get("columns"), "dataframe_split.data")
    if form == "inputs" and type(value) is dict:
        columns = {name: values if type(values) is list else [values] for name, values in value.items()}
        rows = len(next(iter(columns.values()), []))
        for name, values in columns.items():
            if len(values) != rows:
                raise bad(f"inputs: column {name} has {len(values)} values, the first column {rows}")
        return reader.from_columns(columns, rows)
    return _rows(value, form, reader)


def _rows(rows: Any, where: str, reader: Reader) -> Columns:
    if type(rows) is list and rows and type(rows[0]) is dict:
        return reader.from_objects(rows, where)
    return reader.from_rows(rows, None, where)


class InstancesRest:
    """The paths of both, over the data plane.

    Args:
        app: takes the routes.
        plane: predicts.
        max_depth: of JSON.
    """

    def __init__(self, app: App, plane: DataPlane, max_depth: int) -> None:
        self._plane, self._predictor = plane, Predictor(app, plane)
        self._limits = max_depth, plane.reader.max_values
        metadata = plane.metadata()
        self._task, self._decision = metadata.task, metadata.decision
        model = f"/v1/models/{quote(plane.identity.name, safe='')}"
        app.add("POST", f"{model}:predict", partial(self._predict, read_instances), "v1", v1_error, rights=MAY_PREDICT)
        app.add("GET", model, lambda _: readiness(plane), error=v1_error, rights=OPEN)
        app.add(
            "GET", "/v1/models", lambda _: Response.of({"models": [plane.identity.name]}), error=v1_error, rights=ANY
        )
        app.add_fallback("/v1/", v1_error)
        app.add(
            "POST", "/invocations", partial(self._predict, read_invocation), "mlflow", mlflow_error, rights=MAY_PREDICT
        )
        app.add("GET", "/ping", lambda _: readiness(plane), error=mlflow_error, rights=OPEN)
        app.add("GET", "/version", lambda _: Response(200, plane.identity.version.encode(), b"text/plain"), rights=ANY)

    def _predict(self, read: Callable[[dict[str, Any], Reader], Columns], request: Request) -> None:
        limits, reader = self._limits, self._plane.reader

        def columns_of(one: Request) -> Columns:
            if one.protocol == "mlflow" and _NAN in one.body:
                one.body = _with_nulls(one.body)
            return read(read_document(one, *limits), reader)

        self._predictor.read(request, columns_of, self._infer)

    def _infer(self, request: Request, columns: Columns) -> None:
        error = v1_error if request.protocol == "v1" else mlflow_error
        self._predictor.ask(request, columns, None, "", self._write, error)

    def _write(self, id_: RequestId, answers: Answers) -> Response:
        # As numpy's numbers: orjson then writes float32 as the shortest text that reads back as the same.
        predictions: list[dict[str, Any]] = [dict(zip(self._task.names, row, strict=True)) for row in answers]
        if "label" in self._task.outputs:
            called = self._task.tensor("label", answers, self._decision)
            predictions = [{**row, "label": label} for row, label in zip(predictions, called, strict=True)]
        body = orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(200, body, JSON, puid_line(id_))


def _with_nulls(body: bytes) -> bytes:
    """JSON for what pandas makes of a frame with NaN, as MLflow's own client sends it; anything else as it is."""
    try:
        return orjson.dumps(json.loads(body, parse_constant=_null))
    except (ValueError, TypeError, RecursionError):  # whoever reads it says what is wrong
        return body


def _null(constant: str) -> None:
    if constant != "NaN":
        raise ValueError(constant)


def v1_error(error: RequestError) -> Response:
    """An error as KServe words it."""
    return Response.of({"error": error.info}, error.status, error.headers)


_MLFLOW_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "REQUEST_LIMIT_EXCEEDED"}


def mlflow_error(error: RequestError) -> Response:
    """An error as MLflow words it."""
    code = _MLFLOW_CODES.get(error.status, "BAD_REQUEST" if error.status < 500 else "INTERNAL_ERROR")
    return Response.of({"error_code": code, "message": error.info}, error.status, error.headers)
