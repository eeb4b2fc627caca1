"""Seldon's REST protocol: its messages, its errors, its feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import JSON, Response
from lifeboat.http.request_id import RequestId
from lifeboat.server.protocols.row_parser import Columns, Reader

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with this codec and has no ONNX Runtime.
    from lifeboat.server.model.onnx_model import Probabilities

# orjson then writes float32 as the shortest text that reads back as the same float32.
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
OTHER_FORMS = ("strData", "binData", "customData")
FORMS = ("data", "jsonData", *OTHER_FORMS)
ARRAYS = ("ndarray", "tensor", "tftensor")
_MEMBERS = frozenset({"status", "meta", *FORMS})
_MEMBERS_OF_DATA = frozenset({"names", *ARRAYS})


class Message:
    """A prediction's request, read.

    Args:
        columns: the rows, for the model.
        rows: their number.
        tensor: whether the answer is a tensor.
        meta: what the answer repeats of the request's, its own name of it (`puid`) included.
    """

    __slots__ = ("columns", "meta", "rows", "tensor")

    def __init__(self, columns: Columns, tensor: bool, meta: dict[str, Any]) -> None:
        self.columns, self.rows = columns, len(columns[0])
        self.tensor, self.meta = tensor, meta


class SeldonCodec:
    """Reads requests and writes answers.

    Args:
        reader: of rows.
        classes: names of the two probabilities.
        tags: of every answer; they name the model, its version and its bundle.
    """

    def __init__(self, reader: Reader, classes: tuple[str, str], tags: dict[str, str]) -> None:
        self._reader, self._classes, self._tags = reader, classes, tags
        names = orjson.dumps(list(classes))
        self._ndarray = b'{"data":{"names":' + names + b',"ndarray":'
        self._tensor = b'{"data":{"names":' + names + b',"tensor":{"shape":[%d,2],"values":'
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
        if "data" in document:
            columns, tensor = self._read_data(document["data"])
            return Message(columns, tensor, meta)
        if "jsonData" in document:
            rows = document["jsonData"]
            columns = self._reader.from_objects([rows] if type(rows) is dict else rows, "jsonData")
            return Message(columns, True, meta)
        form = next((name for name in OTHER_FORMS if name in document), None)
        raise bad(
            f"{form} has no meaning for rows of named columns: send data or jsonData"
            if form
            else "neither data (ndarray or tensor) nor jsonData"
        )

    def write(self, message: Message, probabilities: Probabilities, id_: RequestId) -> Response:
        """The answer to a message: the probability of each class, by row."""
        if message.tensor:
            head = self._tensor % message.rows
            values = orjson.dumps(probabilities.reshape(-1), option=_NUMPY) + b"}"
        else:
            head, values = self._ndarray, orjson.dumps(probabilities, option=_NUMPY)
        meta = b'},"meta":{"puid":' + orjson.dumps(id_.named)
        tail = self._tail if not message.meta else self._write_meta(message.meta)
        return Response(200, b"".join((head, values, meta, tail)), JSON, id_.line)

    @staticmethod
    def to_watch(
        message: Message,  # noqa: ARG004  # every codec's signature
        probabilities: Probabilities,  # noqa: ARG004
        response: Response,
    ) -> Response:
        """What the detector is told: the answer, which always holds the probabilities."""
        return response

    @staticmethod
    def error(error: RequestError) -> Response:
        """An error as Seldon's wrapper words it."""
        status = {"status": 1, "info": error.info, "code": -1, "reason": error.reason}
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

    def _write_meta(self, meta: dict[str, Any]) -> bytes:
        """What follows the puid when the request has a meta: its tags under ours, and the path it took so
        far."""
        document: dict[str, Any] = {"tags": {**meta.get("tags", {}), **self._tags}}
        for name in ("routing", "requestPath", "metrics"):
            if meta.get(name):
                document[name] = meta[name]
        return b"," + orjson.dumps(document)[1:] + b"}"


def refuse_both(message: dict[str, Any], forms: tuple[str, ...], where: str = "") -> None:
    """Raises a 400 where rows come in two forms: one of them would be passed over."""
    given = [form for form in forms if message.get(form) is not None]
    if len(given) > 1:
        raise bad(f"{where}{given[0]} and {where}{given[1]} are both given")
