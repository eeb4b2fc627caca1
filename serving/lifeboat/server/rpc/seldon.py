"""Seldon's protocol over gRPC: `seldon.protos.Seldon`, as its gateway has it, and `seldon.protos.Model`, by which its
executor asks a model.

A message is read as the document of the same shape that REST has, and answered in its form.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from google.protobuf.json_format import ParseDict

from lifeboat.http.access import source_of
from lifeboat.http.http_types import JSON, LOGGED
from lifeboat.server.asked import Asked
from lifeboat.server.cloudevents import Content
from lifeboat.server.explained import Explained
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.protocols.feedback import Feedback, read_feedback
from lifeboat.server.protocols.seldon import EXPLANATION, Message, SeldonCodec, init_metadata
from lifeboat.server.request_id import RequestId
from lifeboat.server.rpc.calls import Call, Calls
from lifeboat.server.rpc.documents import feedback_document, seldon_document
from lifeboat.server.rpc.messages import message
from lifeboat.server.settings import ServerSettings
from lifeboat.system.tracing import PUID


class SeldonService:
    """The methods of one of its services.

    Args:
        name: of the service.
        calls: over the data plane.
        settings: limits.
    """

    protocol = "grpc-seldon"

    def __init__(self, name: str, calls: Calls, settings: ServerSettings) -> None:
        self.name = name
        self._calls, self._plane, self._settings = calls, calls.plane, settings
        metadata = calls.plane.metadata()
        self._label, self._names = metadata.schema.label, metadata.task.names
        self._codec = SeldonCodec(calls.plane.reader, metadata.task.names, calls.plane.identity.tags)

    async def Predict(self, request: Any, call: Call) -> Any:  # noqa: N802  # the protocol's names
        """A prediction."""
        self._calls.check()
        found = await self._calls.read(request, self._read)
        id_ = self._calls.identify(call, found.puid or "", "meta.puid")
        asked = Asked(found.columns, found.rows, id_, request.ByteSize(), call.is_watched, call.caller, call.span)
        return await self._calls.predict(asked, partial(self._write, request, found, id_), found.explain)

    async def SendFeedback(self, request: Any, call: Call) -> Any:  # noqa: N802
        """What was true of an earlier prediction."""
        feedback, body = await self._calls.read(request, self._read_feedback)
        id_ = self._calls.identify(call, request.response.meta.puid, "response.meta.puid")
        content = Content(JSON, body) if call.is_watched else None
        source = source_of(call.caller, len(feedback.truth))
        if call.span is not None:
            call.span.attributes[PUID] = id_.named[:LOGGED]
        self._plane.feedback(feedback.truth, feedback.reward, id_, source, content, call.span)
        answer: Any = message("seldon.protos.SeldonMessage")()
        answer.data.ndarray.SetInParent()
        self._sign(answer, id_)
        return answer

    async def Metadata(self, _request: Any, _call: Call) -> Any:  # noqa: N802
        """Inputs and outputs of the model."""
        described = init_metadata(self._plane.metadata())
        return ParseDict(described, message("seldon.protos.SeldonModelMetadata")())

    ModelMetadata = Metadata

    def _read(self, request: Any) -> Message:
        return self._codec.read(seldon_document(request))

    def _read_feedback(self, request: Any) -> tuple[Feedback, bytes]:
        document = feedback_document(request)
        return read_feedback(document, self._label, self._settings.max_rows), orjson.dumps(document)

    def _write(
        self, request: Any, found: Message, id_: RequestId, answers: Answers, explained: Explained | None
    ) -> Any:
        answer: Any = message("seldon.protos.SeldonMessage")()
        answer.data.names.extend(self._names)
        if found.tensor:
            answer.data.tensor.shape.extend(answers.shape)
            answer.data.tensor.values.extend(answers.reshape(-1).tolist())
        else:
            rows = answer.data.ndarray.values
            for row in answers.tolist():
                cells = rows.add().list_value.values
                for number in row:
                    cells.add(number_value=number)
        answer.meta.CopyFrom(request.meta)
        self._sign(answer, id_)
        if explained is not None:
            said = orjson.loads(orjson.dumps(explained.to_document(), option=orjson.OPT_SERIALIZE_NUMPY))
            ParseDict(said, answer.meta.tags[EXPLANATION])
        return answer

    def _sign(self, answer: Any, id_: RequestId) -> None:
        """Says whose it is."""
        answer.meta.puid = id_.named
        for name, value in self._plane.identity.tags.items():
            answer.meta.tags[name].string_value = value
