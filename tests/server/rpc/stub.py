"""Calls of a method by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from lifeboat.server.rpc.documents import CONTENTS
from lifeboat.server.rpc.messages import message, methods
from tests.server.executor.scenes import KINDS


@dataclass
class Stub:
    """Methods of a service by name, over a channel."""

    channel: grpc.Channel
    service: str

    def __call__(self, method: str, request: Any, **metadata: str) -> Any:
        return self.ask(method, request, **metadata)[0]

    def ask(self, method: str, request: Any, **metadata: str) -> tuple[Any, dict[str, str]]:
        """The response, and what trails it."""
        _, response = methods(self.service)[method]
        sent = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        body = request if isinstance(request, bytes) else request.SerializeToString()
        answer, rpc = self.channel.unary_unary(f"/{self.service}/{method}").with_call(body, metadata=sent, timeout=20)
        return response.FromString(answer), dict(rpc.trailing_metadata())


def add_input(request: Any, name: str, datatype: str, shape: list[int], values: list[Any]) -> None:
    """Puts a tensor with its contents into a ModelInferRequest; a null is NaN, or the empty text."""
    if datatype == "BYTES":
        values = [(value or "").encode() for value in values]
    elif datatype.startswith("FP"):
        values = [float("nan") if value is None else value for value in values]
    tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
    getattr(tensor.contents, CONTENTS[datatype]).extend(values)


def infer_request(rows: list[dict[str, Any]], **members: Any) -> Any:
    """A ModelInferRequest with contents, of the columns that the rows have."""
    request: Any = message("inference.ModelInferRequest")(model_name="tiny", **members)
    for name, datatype in KINDS.items():
        if name in rows[0]:
            add_input(request, name, datatype, [len(rows), 1], [row[name] for row in rows])
    return request


def seldon_message(document: dict[str, Any]) -> Any:
    return ParseDict(document, message("seldon.protos.SeldonMessage")())
