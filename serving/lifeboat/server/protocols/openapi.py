"""The OpenAPI 3.1 document of a server, made from its bundle's schema."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lifeboat.server.explained import EXPLAIN
from lifeboat.server.protocols.tensor import DATATYPES
from lifeboat.server.settings import ServerSettings
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import Schema

_PUID = {
    "name": "Seldon-Puid",
    "in": "header",
    "description": "Identifies the request; made if missing, and given back.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}


def describe_api(schema: Schema, name: str, version: str, settings: ServerSettings) -> dict[str, Any]:
    """The document.

    Args:
        schema: of a row.
        name, version: of the model.
        settings: its limit on rows, and whether it takes tokens.
    """
    explain = _explain(schema) if settings.explainer_url else {}
    infer = f"/v2/models/{quote(name, safe='')}/infer"
    reasons = _post("Predict with the reasons, as no traffic", "Message", "Prediction", "Error", [_PUID])
    schemas = {
        "Row": _row(schema, asks=bool(settings.features_url)),
        "Message": _message(schema, settings.max_rows, explain),
        "Feedback": _feedback(schema),
        "Inference": _inference(schema, name, version, explain),
        "Prediction": _prediction(schema),
        "InferenceAnswer": _inference_answer(),
        "Error": _object({"status": _object({"info": {"type": "string"}})}),
        "InferenceError": _object({"error": {"type": "string"}}),
        "Instances": _instances(schema, "instances", settings.max_rows),
        "Invocation": _instances(schema, "dataframe_records", settings.max_rows),
        "Predictions": _object({"predictions": {"type": "array", "items": {"type": "object"}}}),
        "MlflowError": _object({"error_code": {"type": "string"}, "message": {"type": "string"}}),
    }
    paths = {
        "/predict": {"post": _post("Predict, Seldon's protocol", "Message", "Prediction", "Error", [_PUID])},
        "/api/v1.0/predictions": {
            "post": _post("Predict, Seldon's external path", "Message", "Prediction", "Error", [_PUID])
        },
        **({"/api/v1.0/explain": {"post": reasons}} if explain else {}),
        "/send-feedback": {"post": _post("Say what was true", "Feedback", "Feedback", "Error", [])},
        infer: {
            "post": _post("Predict, Open Inference Protocol", "Inference", "InferenceAnswer", "InferenceError", [])
        },
        f"/v1/models/{quote(name, safe='')}:predict": {
            "post": _post("Predict, KServe's first protocol", "Instances", "Predictions", "InferenceError", [])
        },
        "/invocations": {"post": _post("Predict, as MLflow asks", "Invocation", "Predictions", "MlflowError", [])},
        infer.removesuffix("/infer"): {"get": _get("The model's inputs and outputs")},
        "/metadata": {"get": _get("The model's metadata, Seldon's form")},
        "/ready": {"get": _get("Whether the server takes requests")},
        "/live": {"get": _get("Whether the process lives", "text/plain")},
        "/metrics": {"get": _get("Metrics for Prometheus", "text/plain")},
    }
    info = {"title": f"{name}: predictions", "version": version}
    document = {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
    if not settings.tokens:
        return document
    for probe in ("/ready", "/live"):
        paths[probe]["get"]["security"] = []
    token = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    return {**document, "components": {"schemas": schemas, **token}, "security": [{"token": []}]}


def _row(schema: Schema, *, asks: bool) -> dict[str, Any]:
    required = [column.name for column in schema.columns if not (column.is_optional or (asks and column.source))]
    return {
        "type": "object",
        "properties": {name: column.json_schema() for name, column in schema.known.items()},
        "required": required,
        "additionalProperties": False,
        "example": {
            name: value for name, value in schema.example().items() if not (asks and schema.known[name].source)
        },
    }


def _explain(schema: Schema) -> dict[str, Any]:
    """The tag or parameter by which reasons are asked for."""
    task = task_of(schema.label)
    name = {"enum": list(dict.fromkeys((*task.names, *task.columns)))}
    several = {"type": "array", "items": name, "minItems": 1}
    words = "Whether reasons are wanted; or of which numbers of the answer, by name"
    return {EXPLAIN: {"description": words, "oneOf": [{"type": "boolean"}, name, several]}}


def _message(schema: Schema, max_rows: int, explain: dict[str, Any]) -> dict[str, Any]:
    """Rows as lists in the schema's order, or as objects."""
    # What a client may say of its request; the rest of Seldon's is written by those it passes through.
    meta = _closed({"puid": {"type": "string"}, "tags": {"type": "object", "properties": explain}}, [])
    columns = [column.json_schema() for column in schema.columns]
    row = {"type": "array", "prefixItems": columns, "minItems": len(columns), "maxItems": len(columns)}
    names = {"type": "array", "const": list(schema.names)}
    many = {"minItems": 1, "maxItems": max_rows, "type": "array"}
    data = _closed({"names": names, "ndarray": {**many, "items": row}}, ["ndarray"])
    rows = {"oneOf": [_ref("Row"), {**many, "items": _ref("Row")}]}
    example = schema.example()
    return {
        "oneOf": [
            _closed({"meta": meta, "data": data}, ["data"]),
            _closed({"meta": meta, "jsonData": rows}, ["jsonData"]),
        ],
        "example": {"data": {"names": list(example), "ndarray": [list(example.values())]}},
    }


def _instances(schema: Schema, name: str, max_rows: int) -> dict[str, Any]:
    """Rows as objects, under the name that a protocol gives them."""
    rows = {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": max_rows}
    return {**_closed({name: rows}, [name]), "example": {name: [schema.example()]}}


def _prediction(schema: Schema) -> dict[str, Any]:
    task = task_of(schema.label)
    number = task.number_schema
    row = {"type": "array", "items": number, "minItems": task.width, "maxItems": task.width}
    shape = {"type": "array", "items": {"type": "integer"}}
    tensor = _object({"shape": shape, "values": {"type": "array", "items": number}})
    names = {"type": "array", "const": list(task.names)}
    meta = _object({"puid": {"type": "string"}, "tags": {"type": "object"}})
    data = _object({"names": names, "ndarray": {"type": "array", "items": row}, "tensor": tensor}, ["names"])
    return _object({"data": data, "meta": meta})


def _feedback(schema: Schema) -> dict[str, Any]:
    truth, example = schema.label.json_schema(), schema.label.example
    data = _closed({"ndarray": {"type": "array", "items": truth}}, ["ndarray"])
    message = {"type": "object"}
    return {
        **_closed(
            {
                "truth": _closed({"data": data}, ["data"]),
                "reward": {"type": "number"},
                "request": message,
                "response": message,
            },
            [],
        ),
        "example": {"truth": {"data": {"ndarray": [example]}}, "reward": 1.0},
    }


def _inference(schema: Schema, name: str, version: str, explain: dict[str, Any]) -> dict[str, Any]:
    datatypes = {"float": "FP64", "integer": "INT64", "boolean": "BOOL"}
    example = [
        {"name": column.name, "datatype": datatypes.get(column.kind, "BYTES"), "shape": [1], "data": [column.example]}
        for column in schema.columns
    ]
    parameters = _closed({"content_type": {"enum": ["np"]}}, [])
    tensor = _closed(
        {
            "name": {"enum": list(schema.known)},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
            "parameters": parameters,
        },
        ["name", "datatype", "shape", "data"],
    )
    asked = _closed({"name": {"enum": list(task_of(schema.label).outputs)}}, ["name"])
    properties = {
        "id": {"type": "string"},
        "model_name": {"enum": [name]},
        "model_version": {"enum": [version, ""]},
        "parameters": _closed({"content_type": {"enum": ["pd"]}, **explain}, []),
        "inputs": {"type": "array", "items": tensor, "minItems": 1},
        "outputs": {"type": "array", "items": asked},
    }
    return {**_closed(properties, ["inputs"]), "example": {"inputs": example}}


def _inference_answer() -> dict[str, Any]:
    text = {"type": "string"}
    output = _object({"name": text, "datatype": text, "shape": {"type": "array"}, "data": {"type": "array"}})
    return _object({"model_name": text, "model_version": text, "outputs": {"type": "array", "items": output}})


def _post(summary: str, request: str, answer: str, error: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    failures = {
        "400": "The request is wrong; the message names row, column, value and limit.",
        "401": "It takes a token, and there is none that counts.",
        "403": "The token has not this right.",
        "413": "The body is over the limit.",
        "415": "The body is not JSON.",
        "429": "The caller has asked for as much as it may: see Retry-After.",
        "501": "Reasons are wanted, and nobody here gives them.",
        "503": "More requests wait than the server, or the explainer, can answer in time.",
        "504": "The reasons took too long.",
    }
    return {
        "summary": summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": _json(_ref(request))},
        "responses": {
            "200": {
                "description": "The answer.",
                "content": _json(_ref(answer) if answer != request else {}),
            },
            **{status: {"description": text, "content": _json(_ref(error))} for status, text in failures.items()},
        },
    }


def _get(summary: str, content_type: str = "application/json") -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": {content_type: {}}}}
    if summary.startswith("Whether the server"):
        responses["503"] = {"description": "It does not, or no longer.", "content": _json(_ref("Error"))}
    return {"summary": summary, "responses": responses}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """An object without any other member: one that is not known is refused."""
    return {**_object(properties, required), "additionalProperties": False}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
