"""The Open Inference Protocol, version 2: one tensor for each column, by name, in JSON or as binary data.

A null is JSON's null, NaN in a tensor of floats and the empty string in one of BYTES.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from lifeboat.http.body import check_content, parse_object
from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import HEADER_LENGTH, JSON, Request, Response
from lifeboat.http.request_id import RequestId
from lifeboat.model.decision import Decision
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.protocols.tensor import Tensor, pack_strings, read_parameters, read_tensor
from lifeboat.usecase.column import shown_value

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with this codec and has no ONNX Runtime.
    from lifeboat.server.model.onnx_model import Probabilities

PROBABILITIES, LABEL = "probabilities", "label"
OUTPUTS = {PROBABILITIES: "FP32", LABEL: "BYTES"}
_TYPES = (b"application/json", b"application/octet-stream")
_MEMBERS = frozenset({"id", "parameters", "inputs", "outputs"})
# When to answer and whom, which changes no answer of a model without a state.
_IGNORED = {"headers", "priority", "timeout", "sequence_id", "sequence_start", "sequence_end"}
_PARAMETERS = frozenset({"binary_data_output", "content_type"} | _IGNORED)


class Inference:
    """An inference's request, read.

    Args:
        columns: the rows, for the model.
        rows: their number.
        id: of the request, None for none.
        outputs: names asked for, and whether each is wanted as binary data.
    """

    __slots__ = ("columns", "id", "outputs", "rows")

    def __init__(self, columns: Columns, id_: str | None, outputs: dict[str, bool]) -> None:
        self.columns, self.rows = columns, len(columns[0])
        self.id, self.outputs = id_, outputs


class V2Codec:
    """Reads requests and writes answers.

    Args:
        reader: of rows.
        classes: names of the two probabilities.
        decision: which of them a row is.
        identity: `model_name`, `model_version` and `bundle_digest` of every answer.
        max_depth, max_values: of JSON.
    """

    def __init__(
        self,
        reader: Reader,
        classes: tuple[str, str],
        decision: Decision,
        identity: dict[str, str],
        max_depth: int,
        max_values: float = math.inf,
    ) -> None:
        self._reader, self._classes, self._decision = reader, classes, decision
        self._limits = max_depth, max_values
        digest = {"bundle_digest": identity["bundle_digest"]}
        self._common = {
            "model_name": identity["model_name"],
            "model_version": identity["model_version"],
            "parameters": digest,
        }

    def read(self, request: Request) -> Inference:
        """Reads an inference request.

        Raises:
            RequestError: 415 for another content type, 400 with what is wrong and where.
        """
        check_content(request)
        content_type = request.headers.get(b"content-type", _TYPES[0]).partition(b";")[0].strip().lower()
        if content_type not in _TYPES:
            raise RequestError(415, f"the content type is {content_type.decode('latin-1')[:60]}, not JSON or binary")
        text, binary = self._split(request)
        document = parse_object(text, *self._limits)
        refuse_unknown("the request", "member", document, _MEMBERS)
        id_ = document.get("id")
        if id_ is not None and type(id_) is not str:
            raise bad("id is not a string")
        columns = self._read_inputs(document.get("inputs"), binary)
        return Inference(columns, id_ or None, self._read_outputs(document))

    def write(self, inference: Inference, probabilities: Probabilities, id_: RequestId) -> Response:
        """The answer: the outputs asked for, binary ones behind the JSON in their order."""
        document: dict[str, Any] = dict(self._common)
        if id_.body or not id_.header:  # with a header and no id, as Seldon's executor asks, the header is enough
            document["id"] = id_.body or id_.own
        blobs: list[bytes] = []
        document["outputs"] = [
            self._write_output(name, as_binary, probabilities, blobs) for name, as_binary in inference.outputs.items()
        ]
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        if not blobs:
            return Response(200, text, JSON, id_.line)
        header = b"%b%b: %d\r\n" % (id_.line, HEADER_LENGTH, len(text))
        return Response(200, b"".join((text, *blobs)), b"application/octet-stream", header)

    def to_watch(self, inference: Inference, probabilities: Probabilities, response: Response) -> Response:
        """What the detector is told: the answer, or the probabilities where only other outputs were asked for."""
        if PROBABILITIES in inference.outputs:
            return response
        output = self._write_output(PROBABILITIES, False, probabilities, [])
        return Response(200, orjson.dumps({**self._common, "outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY))

    @staticmethod
    def error(error: RequestError) -> Response:
        """An error as the protocol words it."""
        return Response.of({"error": error.info}, error.status, error.headers)

    def _split(self, request: Request) -> tuple[bytes, bytes]:
        """The JSON and the binary data behind it."""
        length = request.headers.get(HEADER_LENGTH)
        if length is None:
            return request.body, b""
        if not length.isdigit() or int(length[:18]) > len(request.body):
            raise bad(f"{HEADER_LENGTH.decode()} is not a length within the body")
        return request.body[: int(length)], request.body[int(length) :]

    def _read_inputs(self, inputs: Any, binary: bytes) -> Columns:
        if type(inputs) is not list or not inputs:
            raise bad("inputs is not a list of tensors, one for each column")
        tensors: dict[str, Tensor] = {}
        used = 0
        for entry in inputs:
            tensor, size = read_tensor(entry, binary, used)
            used += size
            if tensor.name in tensors:
                raise bad(f"input {tensor.name}: given twice")
            tensors[tensor.name] = tensor
        if used != len(binary):
            raise bad(f"{len(binary)} bytes of binary data were sent, the inputs take {used}")
        rows = len(next(iter(tensors.values())).values)
        for tensor in tensors.values():
            if len(tensor.values) != rows:
                raise bad(f"input {tensor.name}: {len(tensor.values)} rows, the first input has {rows}")
        return self._reader.from_columns({name: tensor.values for name, tensor in tensors.items()}, rows)

    @staticmethod
    def _read_outputs(document: dict[str, Any]) -> dict[str, bool]:
        """Names and forms; all outputs unless some are asked for."""
        parameters = read_parameters("the request", document, _PARAMETERS)
        content_type = parameters.get("content_type")
        if content_type not in (None, "pd"):
            shown = shown_value(content_type)
            raise bad(f"the request's content_type {shown} is not supported, only pd: each input is a column")
        all_binary = _flag("the request", parameters, "binary_data_output", False)
        asked = document.get("outputs")
        if asked is None or asked == []:
            return dict.fromkeys(OUTPUTS, all_binary)
        if type(asked) is not list:
            raise bad("outputs is not a list")
        outputs: dict[str, bool] = {}
        for entry in asked:
            name = entry.get("name") if type(entry) is dict else None
            if type(name) is not str or name not in OUTPUTS:
                raise bad(f"an output has no known name; the names are {', '.join(OUTPUTS)}")
            where = f"output {name}"
            if name in outputs:
                raise bad(f"{where}: asked for twice")
            refuse_unknown(where, "member", entry, frozenset({"name", "parameters"}))
            wanted = read_parameters(where, entry, frozenset({"binary_data"}))
            outputs[name] = _flag(where, wanted, "binary_data", all_binary)
        return outputs

    def _write_output(
        self, name: str, as_binary: bool, probabilities: Probabilities, blobs: list[bytes]
    ) -> dict[str, Any]:
        rows = len(probabilities)
        positive = self._decision.positive(probabilities[:, 1]).tolist() if name == LABEL else []
        labels = [self._classes[one] for one in positive]
        shape = [rows] if name == LABEL else [rows, 2]
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": shape}
        if as_binary:
            blobs.append(pack_strings(labels) if name == LABEL else probabilities.tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = labels if name == LABEL else probabilities.reshape(-1)
        return output


def describe(columns: Mapping[str, str]) -> dict[str, Any]:
    """Inputs and outputs for the model's metadata.

    Args:
        columns: kind of each column by name.
    """
    kinds = {"string": "BYTES", "float": "FP32", "integer": "INT64", "boolean": "BOOL"}
    inputs = [{"name": name, "datatype": kinds[kind], "shape": [-1, 1]} for name, kind in columns.items()]
    shapes: dict[str, list[int]] = {PROBABILITIES: [-1, 2], LABEL: [-1]}
    outputs = [{"name": name, "datatype": OUTPUTS[name], "shape": shape} for name, shape in shapes.items()]
    return {"inputs": inputs, "outputs": outputs}


def _flag(where: str, parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise bad(f"{where}: {name} is {shown_value(value)}, not true or false")
    return value
