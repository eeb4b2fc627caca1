"""The Open Inference Protocol over gRPC: `inference.GRPCInferenceService`.

A null is NaN in a tensor of floats and the empty value in one of BYTES. An answer is raw where its request was.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numpy.typing import NDArray

from lifeboat.http.errors import RequestError, bad
from lifeboat.server.asked import Asked
from lifeboat.server.explained import EXPLAIN, PARAMETER, Explained, wanted
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.protocols.outputs import describe, read_outputs
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.protocols.tensor import pack, read_parameters, read_values, request_type
from lifeboat.server.request_id import RequestId
from lifeboat.server.rpc.calls import Call, Calls
from lifeboat.server.rpc.documents import CONTENTS, contents_of, parameters_of
from lifeboat.server.rpc.messages import INFERENCE, message

_INPUT_PARAMETERS = frozenset({"content_type", "binary_data_size"})


class InferenceService:
    """Its methods.

    Args:
        calls: over the data plane.
    """

    name = INFERENCE
    protocol = "grpc-v2"

    def __init__(self, calls: Calls) -> None:
        self._calls, self._plane = calls, calls.plane
        metadata = calls.plane.metadata()
        self._task, self._decision, self._identity = metadata.task, metadata.decision, metadata.identity
        kinds = {column.name: column.kind for column in metadata.schema.columns}
        self._described = describe(kinds, metadata.task.outputs)

    async def ServerLive(self, _request: Any, _call: Call) -> Any:  # noqa: N802  # the protocol's names
        """Whether the process runs."""
        return message("inference.ServerLiveResponse")(live=True)

    async def ServerReady(self, _request: Any, _call: Call) -> Any:  # noqa: N802
        """Whether it takes requests."""
        return message("inference.ServerReadyResponse")(ready=self._plane.ready)

    async def ModelReady(self, request: Any, _call: Call) -> Any:  # noqa: N802
        """Whether the model takes requests."""
        self._check_name(request.name, request.version)
        return message("inference.ModelReadyResponse")(ready=self._plane.ready)

    async def ServerMetadata(self, _request: Any, _call: Call) -> Any:  # noqa: N802
        """What this is."""
        return message("inference.ServerMetadataResponse")(name="lifeboat", version=self._identity.version)

    async def ModelMetadata(self, request: Any, _call: Call) -> Any:  # noqa: N802
        """Inputs and outputs of the model."""
        self._check_name(request.name, request.version)
        identity = self._identity
        return message("inference.ModelMetadataResponse")(
            name=identity.name, versions=[identity.version], platform="onnx_onnxv1", **self._described
        )

    async def ModelInfer(self, request: Any, call: Call) -> Any:  # noqa: N802
        """A prediction."""
        self._check_name(request.model_name, request.model_version)
        self._calls.check()
        columns, outputs, explain = await self._calls.read(request, self._read)
        id_ = self._calls.identify(call, request.id, "id")
        asked = Asked(columns, len(columns[0]), id_, request.ByteSize(), call.is_watched, call.caller, call.span)
        is_raw = bool(request.raw_input_contents)
        return await self._calls.predict(asked, partial(self._write, id_, outputs, is_raw), explain)

    def _check_name(self, name: str, version: str) -> None:
        identity = self._identity
        if name != identity.name or version not in ("", identity.version):
            known = f"{identity.name}, version {identity.version}"
            raise RequestError(404, f"there is no model {name!r:.100}, version {version!r:.100}; there is {known}")

    def _read(self, request: Any) -> tuple[Columns, list[str], list[str] | bool]:
        raw = request.raw_input_contents
        if raw and len(raw) != len(request.inputs):
            raise bad(f"raw_input_contents holds {len(raw)} tensors, there are {len(request.inputs)} inputs")
        if not request.inputs:
            raise bad("inputs is empty: it takes one tensor for each column")
        parameters, tensors = parameters_of(request), []
        wanted_type = parameters.get("content_type")
        asked = [{"name": one.name, "parameters": parameters_of(one)} for one in request.outputs]
        outputs = read_outputs({"outputs": asked, "parameters": parameters}, self._task.outputs)
        for place, one in enumerate(request.inputs):
            if raw and one.contents.ListFields():  # MLServer sends contents without a value beside raw ones
                raise bad(f"input {one.name}: contents and raw_input_contents are both given")
            values = raw[place] if raw else contents_of(one)
            content_type = request_type(wanted_type, one.datatype)
            if one.parameters:
                said = read_parameters(f"input {one.name}", {"parameters": parameters_of(one)}, _INPUT_PARAMETERS)
                content_type = said.get("content_type", content_type)
            tensors.append(read_values(one.name, one.datatype, list(one.shape), values, content_type))
        explain = wanted(parameters.get(EXPLAIN), PARAMETER)
        return self._plane.reader.from_tensors(tensors), list(outputs), explain

    def _write(
        self, id_: RequestId, outputs: list[str], is_raw: bool, answers: Answers, explained: Explained | None
    ) -> Any:
        identity = self._identity
        response: Any = message("inference.ModelInferResponse")(
            model_name=identity.name, model_version=identity.version, id=id_.body or id_.own
        )
        response.parameters["bundle_digest"].string_param = identity.digest
        for name in outputs:
            described, data = self._task.outputs[name], self._task.tensor(name, answers, self._decision)
            _add(response, is_raw, name, described.datatype, described.shape(len(answers)), data)
        if explained is not None:
            for one in explained.tensors():
                _add(response, is_raw, *one)
            response.parameters["explanation_background"].int64_param = explained.background
            response.parameters["explanation_model_rows"].double_param = explained.model_rows
        return response


def _add(
    response: Any, is_raw: bool, name: str, datatype: str, shape: list[int], data: list[str] | NDArray[Any]
) -> None:
    """Adds an output to a response."""
    tensor = response.outputs.add(name=name, datatype=datatype, shape=shape)
    if is_raw:
        response.raw_output_contents.append(pack(data))
        return
    values = [text.encode() for text in data] if isinstance(data, list) else data.reshape(-1).tolist()
    getattr(tensor.contents, CONTENTS[datatype]).extend(values)
