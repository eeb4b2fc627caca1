"""Calls of a method by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from lifeboat.server.rpc.messages import message, methods


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


def seldon_message(document: dict[str, Any]) -> Any:
    return ParseDict(document, message("seldon.protos.SeldonMessage")())
