"""Seldon's REST protocol: its messages, its errors, its paths; its feedback is in `feedback`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from lifeboat.http.access import ANY, MAY_PREDICT, OPEN
from lifeboat.http.app import App
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import JSON, Request, Response
from lifeboat.server.explained import EXPLAIN, Explained, wanted
from lifeboat.server.identity import ModelMetadata
from lifeboat.server.protocols.rest import Predictor, puid_line
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.request_id import RequestId

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with this codec and has no ONNX Runtime.
    from lifeboat.server.dataplane import DataPlane
    from lifeboat.server.model.onnx_model import Answers

# orjson then writes float32 as the shortest text that reads back as the same float32.
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
OTHER_FORMS = ("strData", "binData", "customData")
FORMS = ("data", "jsonData", *OTHER_FORMS)
ARRAYS = ("ndarray", "tensor", "tftensor")
BAD_DATA, INTERNAL = "MICROSERVICE_BAD_DATA", "MICROSERVICE_INTERNAL_ERROR"
WARM_UPS = 20
# The tag of an answer that holds its reasons.
EXPLANATION = "explanation"
_MEMBERS = frozenset({"status", "meta", *FORMS})
_MEMBERS_OF_DATA = frozenset({"names", *ARRAYS})


class Message:
    """A prediction's request, read.

    Args:
        columns: the rows, for the model.
        rows: their number.
        tensor: whether the answer is a tensor.
        puid: what its `meta` calls it.
        explain: see `wanted`.
        meta: of it.
        tail: the end of its answer, which repeats that `meta`. It may be large, so that it is written where the request
            is read: in the thread of such.
    """

    __slots__ = ("columns", "explain", "meta", "puid", "rows", "tail", "tensor")

    def __init__(self, columns: Columns, tensor: bool, meta: dict[str, Any], tail: bytes) -> None:
        self.columns, self.rows = columns, len(columns[0])
        self.tensor, self.puid, self.tail, self.meta = tensor, meta.get("puid"), tail, meta
        self.explain = wanted(meta["tags"].get(EXPLAIN), f"meta.tags.{EXPLAIN}") if "tags" in meta else False


class SeldonCodec:
    """Reads requests and writes answers.

    Args:
        reader: of rows.
        answered: names of the numbers of an answer.
        tags: of every answer; they name the model, its version and its bundle.
    """

    def __init__(self, reader: Reader, answered: tuple[str, ...], tags: dict[str, str]) -> None:
        self._reader, self._tags = reader, tags
        names = orjson.dumps(list(answered))
        self._ndarray = b'{"data":{"names":' + names + b',"ndarray":'
        self._tensor = (
            b'{"data":{"names":' + names + b',"tensor":{"shape":[%d,' + b"%d" % len(answered) + b'],"values":'
        )
        self._tail = b',"tags":' + orjson.dumps(tags) + b"}}"

    def read(self, document: dict[str, Any]) -> Message:
        """Reads a SeldonMessage.

        Raises:
            RequestError: 400; it names what is wrong and where.
        """
        refuse_unknown("the message", "member", document, _MEMBERS)
        refuse_both(document, FORMS)
        meta = document.get("meta") or {}
        if type(meta) is not dict or type(meta.get("tags", {})) is not dict:
            raise bad("meta or meta.tags is not an object")
        tail = self._write_meta(meta) if meta else self._tail
        if "data" in document:
            columns, tensor = self._read_data(document["data"])
            return Message(columns, tensor, meta, tail)
        if "jsonData" in document:
            rows = document["jsonData"]
            columns = self._reader.from_objects([rows] if type(rows) is dict else rows, "jsonData")
            return Message(columns, True, meta, tail)
        form = next((name for name in OTHER_FORMS if name in document), None)
        raise bad(
            f"{form} has no meaning for rows of named columns: send data or jsonData"
            if form
            else "neither data (ndarray or tensor) nor jsonData"
        )

    def write(self, message: Message, id_: RequestId, answers: Answers, explained: Explained | None = None) -> Response:
        """The answer to a message, row by row."""
        if message.tensor:
            head = self._tensor % message.rows
            values = orjson.dumps(answers.reshape(-1), option=_NUMPY) + b"}"
        else:
            head, values = self._ndarray, orjson.dumps(answers, option=_NUMPY)
        meta = b'},"meta":{"puid":' + orjson.dumps(id_.named)
        tail = message.tail
        if explained is not None:
            tail = self._write_meta(message.meta, {EXPLANATION: explained.to_document()})
        return Response(200, b"".join((head, values, meta, tail)), JSON, puid_line(id_))

    @staticmethod
    def error(error: RequestError) -> Response:
        """An error as Seldon's wrapper words it."""
        reason = BAD_DATA if error.status < 500 else INTERNAL
        status = {"status": 1, "info": error.info, "code": -1, "reason": reason}
        return Response.of({"status": status}, error.status, error.headers)

    def _read_data(self, data: Any) -> tuple[Columns, bool]:
        if type(data) is not dict:
            raise bad("data is not an object")
        refuse_unknown("data", "member", data, _MEMBERS_OF_DATA)
        refuse_both(data, ARRAYS, "data.")
        names = data.get("names")
        if "ndarray" in data:
            return self._reader.from_rows(data["ndarray"], names, "data.ndarray"), False
        if "tensor" in data:
            rows = self._unfold(data["tensor"])
            return self._reader.from_rows(rows, names, "data.tensor"), True
        raise bad("data holds neither ndarray nor tensor")

    def _unfold(self, tensor: Any) -> list[list[Any]]:
        """The rows of a tensor of shape [n, m]."""
        values, shape = (tensor.get("values"), tensor.get("shape")) if type(tensor) is dict else (None, None)
        if type(values) is not list or type(shape) is not list:
            raise bad("data.tensor is not an object of shape and values")
        refuse_unknown("data.tensor", "member", tensor, {"shape", "values"})
        if len(shape) != 2 or any(type(size) is not int or size < 0 for size in shape):
            raise bad(f"data.tensor.shape is {orjson.dumps(shape)[:60].decode(errors='replace')}, not [rows, columns]")
        if shape[0] * shape[1] != len(values):
            raise bad(f"data.tensor holds {len(values)} values, its shape asks for {shape[0] * shape[1]}")
        width = shape[1]
        return [values[start : start + width] for start in range(0, len(values), width or 1)]

    def _write_meta(self, meta: dict[str, Any], more: Mapping[str, Any] = MappingProxyType({})) -> bytes:
        """What follows the puid: the tags of the request under ours, and the path it took so far."""
        document: dict[str, Any] = {"tags": {**meta.get("tags", {}), **self._tags, **more}}
        for name in ("routing", "requestPath", "metrics"):
            if meta.get(name):
                document[name] = meta[name]
        return b"," + orjson.dumps(document, option=_NUMPY)[1:] + b"}"


class SeldonRest:
    """Its paths, over the data plane; errors are worded as the app does.

    Args:
        app: takes the routes.
        plane: predicts.
        max_depth: of JSON.
    """

    def __init__(self, app: App, plane: DataPlane, max_depth: int) -> None:
        self._plane, self._predictor = plane, Predictor(app, plane)
        self._limits = max_depth, plane.reader.max_values
        self._codec = SeldonCodec(plane.reader, plane.metadata().task.names, plane.identity.tags)
        app.add(
            "GET POST",
            "/predict /api/v1.0/predictions /api/v0.1/predictions",
            self._predict,
            "seldon",
            rights=MAY_PREDICT,
        )
        app.add("POST", "/explain /api/v1.0/explain", self._explain, EXPLAIN, rights=MAY_PREDICT)
        app.add("GET", "/health/status /api/v1.0/health/status", self._health, rights=OPEN)
        app.add("GET", "/metadata /api/v1.0/metadata", self._describe, rights=ANY)

    def warm(self, row: dict[str, Any]) -> None:
        """Takes the whole path from bytes to bytes a few times: the first client does not pay for it."""
        body = Response.of({"data": {"names": list(row), "ndarray": [list(row.values())]}}).body
        for _ in range(WARM_UPS):
            request = Request(_Nowhere(), b"POST", b"/predict", {}, body, True, 0.0)
            message = self._read(request)
            id_ = self._plane.ids.make(b"", message.puid, "meta.puid")
            self._codec.write(message, id_, self._plane.score(message.columns))

    def _predict(self, request: Request) -> None:
        self._predictor.read(request, self._read, self._infer)

    def _explain(self, request: Request) -> None:
        self._predictor.read(request, self._read_explained, partial(self._infer, watch=False))

    def _read_explained(self, request: Request) -> Message:
        message = self._read(request)
        message.explain = message.explain or True
        return message

    def _read(self, request: Request) -> Message:
        return self._codec.read(read_document(request, *self._limits))

    def _infer(self, request: Request, message: Message, watch: bool = True) -> None:
        codec, write = self._codec, partial(self._codec.write, message)
        self._predictor.ask(
            request, message.columns, message.puid, "meta.puid", write, codec.error, message.explain, watch
        )

    def _health(self, _request: Request) -> Response:
        self._plane.check_ready()
        return Response.of({"data": {"names": [], "ndarray": []}, "meta": {"tags": self._plane.identity.tags}})

    def _describe(self, _request: Request) -> Response:
        return Response.of(init_metadata(self._plane.metadata()))


def init_metadata(metadata: ModelMetadata) -> dict[str, object]:
    """Seldon's model metadata: inputs and outputs by name, and which bundle it is."""
    identity, decision = metadata.identity, metadata.decision
    names, answered = list(metadata.schema.names), list(metadata.task.names)
    said = decision.to_manifest()
    return {
        "name": identity.name,
        "versions": [identity.version],
        "platform": "onnx",
        "inputs": [{"messagetype": "ndarray", "schema": {"names": names, "shape": [len(names)]}}],
        "outputs": [{"messagetype": "ndarray", "schema": {"names": answered, "shape": [len(answered)]}}],
        # Seldon's custom fields are texts.
        "custom": {
            "bundle_digest": identity.digest,
            "usecase": metadata.usecase,
            **({"store_keys": json.dumps(metadata.store_keys, ensure_ascii=False)} if metadata.store_keys else {}),
            "label": json.dumps(metadata.schema.label.to_document(), ensure_ascii=False),
            "decision": said.pop("rule"),
            **{name: repr(value) for name, value in said.items()},
        },
    }


def refuse_both(message: dict[str, Any], forms: tuple[str, ...], where: str = "") -> None:
    """Raises a 400 where rows come in two forms: one of them would be passed over."""
    given = [form for form in forms if message.get(form) is not None]
    if len(given) > 1:
        raise bad(f"{where}{given[0]} and {where}{given[1]} are both given")


class _Nowhere:
    """Takes the answers of requests that nobody sent."""

    peer = ""

    def reply(self, request: Request, response: Response) -> None:
        """Forgets the answer."""
