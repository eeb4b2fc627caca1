"""The Open Inference Protocol, version 2: one tensor for each column, by name, in JSON or as binary data.

A null is JSON's null, NaN in a tensor of floats and the empty string in one of BYTES.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from lifeboat.http.access import ANY, MAY_PREDICT, OPEN
from lifeboat.http.app import App
from lifeboat.http.body import check_content, parse_object
from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import HEADER_LENGTH, JSON, Request, Response
from lifeboat.server.explained import EXPLAIN, PARAMETER, Explained, wanted
from lifeboat.server.protocols.outputs import OutputWriter, describe, identified, read_outputs, write_tensor
from lifeboat.server.protocols.rest import Predictor, puid_line, readiness
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.protocols.tensor import Tensor, read_tensor
from lifeboat.server.request_id import RequestId
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Task
from lifeboat.usecase.column import shown_value

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with this codec and has no ONNX Runtime.
    from lifeboat.server.dataplane import DataPlane
    from lifeboat.server.model.onnx_model import Answers

_TYPES = (b"application/json", b"application/octet-stream")
# The model's name and version stand in the path; KServe's client repeats them in the body.
_NAMES = ("model_name", "model_version")
_MEMBERS = frozenset({"id", "parameters", "inputs", "outputs", *_NAMES})


class Inference:
    """An inference's request, read.

    Args:
        columns: the rows, for the model.
        id: of the request, None for none.
        outputs: names asked for, and whether each is wanted as binary data.
        explain: see `wanted`.
        as_binary: whether the explanation is wanted as binary data.
    """

    __slots__ = ("as_binary", "columns", "explain", "id", "outputs")

    def __init__(
        self, columns: Columns, id_: str | None, outputs: dict[str, bool], explain: list[str] | bool, as_binary: bool
    ) -> None:
        self.columns, self.id, self.outputs, self.explain, self.as_binary = columns, id_, outputs, explain, as_binary


class V2Codec:
    """Reads requests and writes answers.

    Args:
        reader: of rows.
        task: what answers are.
        decision: what is made of them.
        identity: `model_name`, `model_version` and `bundle_digest` of every answer; where one is empty, a request may
            be to any.
        max_depth, max_values: of JSON.
    """

    def __init__(
        self,
        reader: Reader,
        task: Task[Any, Any],
        decision: Decision,
        identity: dict[str, str],
        max_depth: int,
        max_values: float = math.inf,
    ) -> None:
        self._reader, self._outputs = reader, OutputWriter(task, decision)
        self._limits = max_depth, max_values
        self._common, self._identity = identified(identity), identity

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
        for name in _NAMES:
            if document.get(name) and document[name] != self._identity[name] != "":
                raise bad(f"{name} is {shown_value(document[name])}, asked is {self._identity[name]}")
        id_ = document.get("id")
        if id_ is not None and type(id_) is not str:
            raise bad("id is not a string")
        outputs = read_outputs(document, self._outputs.known)
        parameters = document.get("parameters") or {}
        explain, as_binary = wanted(parameters.get(EXPLAIN), PARAMETER), "binary_data_output"
        columns = self._read_inputs(document.get("inputs"), binary, parameters.get("content_type"))
        return Inference(columns, id_ or None, outputs, explain, parameters.get(as_binary) is True)

    def write(
        self, inference: Inference, id_: RequestId, answers: Answers, explained: Explained | None = None
    ) -> Response:
        """The answer: the outputs asked for, binary ones behind the JSON in their order."""
        document: dict[str, Any] = dict(self._common)
        if id_.body or not id_.header:  # with a header and no id, as Seldon's executor asks, the header is enough
            document["id"] = id_.body or id_.own
        blobs: list[bytes] = []
        document["outputs"] = [
            self._outputs.write(name, as_binary, answers, blobs) for name, as_binary in inference.outputs.items()
        ]
        if explained is not None:
            document["parameters"] = {**document["parameters"], **explained.parameters}
            document["outputs"] += [write_tensor(*one, inference.as_binary, blobs) for one in explained.tensors()]
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        if not blobs:
            return Response(200, text, JSON, puid_line(id_))
        header = b"%b%b: %d\r\n" % (puid_line(id_), HEADER_LENGTH, len(text))
        return Response(200, b"".join((text, *blobs)), b"application/octet-stream", header)

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

    def _read_inputs(self, inputs: Any, binary: bytes, content_type: Any) -> Columns:
        if type(inputs) is not list or not inputs:
            raise bad("inputs is not a list of tensors, one for each column")
        tensors: list[Tensor] = []
        used = 0
        for entry in inputs:
            tensor, size = read_tensor(entry, binary, used, content_type)
            used += size
            tensors.append(tensor)
        if used != len(binary):
            raise bad(f"{len(binary)} bytes of binary data were sent, the inputs take {used}")
        return self._reader.from_tensors(tensors)


class V2Rest:
    """Its paths, over the data plane.

    Args:
        app: takes the routes.
        plane: predicts.
        max_depth: of JSON.
    """

    def __init__(self, app: App, plane: DataPlane, max_depth: int) -> None:
        self._plane, self._predictor = plane, Predictor(app, plane)
        identity, metadata = plane.identity, plane.metadata()
        self._codec = V2Codec(
            plane.reader,
            metadata.task,
            metadata.decision,
            identity.tags,
            max_depth,
            plane.reader.max_values,
        )
        name, version, error = quote(identity.name, safe=""), quote(identity.version, safe=""), V2Codec.error
        models = (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}")
        app.add("POST", " ".join(f"{model}/infer" for model in models), self._predict, "v2", error, rights=MAY_PREDICT)
        app.add("GET", "/v2/health/live", lambda _: Response.of({"live": True}), rights=OPEN)
        ready = " ".join(["/v2/health/ready", *(f"{model}/ready" for model in models)])
        app.add("GET", ready, lambda _: readiness(plane), rights=OPEN)
        app.add("GET", " ".join(models), self._describe, error=error, rights=ANY)
        app.add("GET", "/v2 /v2/", self._describe_server, error=error, rights=ANY)
        app.add_fallback("/v2", error)

    def _predict(self, request: Request) -> None:
        self._predictor.read(request, self._codec.read, self._infer)

    def _infer(self, request: Request, inference: Inference) -> None:
        codec, write = self._codec, partial(self._codec.write, inference)
        self._predictor.ask(request, inference.columns, inference.id, "id", write, codec.error, inference.explain)

    def _describe(self, _request: Request) -> Response:
        metadata, identity = self._plane.metadata(), self._plane.identity
        names = {"name": identity.name, "versions": [identity.version], "platform": "onnx_onnxv1"}
        return Response.of(
            {
                **names,
                **describe({column.name: column.kind for column in metadata.schema.columns}, metadata.task.outputs),
            }
        )

    def _describe_server(self, _request: Request) -> Response:
        version, extensions = self._plane.identity.version, ["binary_tensor_data"]
        return Response.of({"name": "lifeboat", "version": version, "extensions": extensions})
