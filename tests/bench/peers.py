"""What the bench compares with: our handler behind other HTTP servers, and FastAPI with the same model.

Each factory reads the bundle's directory from BENCH_BUNDLE, since these servers import an application by
its name.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter
from typing import Annotated, Any, Literal

from serving.server.message import Request, Response
from serving.server.metrics import Metrics
from serving.server.model import load_model
from serving.server.service import Service
from serving.server.settings import Settings


def _bundle() -> str:
    return os.environ["BENCH_BUNDLE"]


class Waiter:
    """Takes an answer and wakes whoever waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[Response] = loop.create_future()

    def reply(self, _request: Request, response: Response) -> None:
        self.answer.set_result(response)


class Handler:
    """Our service, made inside the server's own loop."""

    def __init__(self) -> None:
        self._service: Service | None = None

    async def answer(self, method: str, target: str, headers: dict[bytes, bytes], body: bytes) -> Response:
        loop = asyncio.get_running_loop()
        if self._service is None:
            model = load_model(_bundle())
            self._service = Service(model, Settings(bundle=_bundle()), Metrics({}, ("a", "b")), loop)
        waiter = Waiter(loop)
        request = Request(waiter, method.encode(), target.encode(), headers, body, True, perf_counter())
        self._service.app.handle(request)
        return await waiter.answer


class Asgi(Handler):
    """For uvicorn and granian."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        response = await self.answer(scope["method"], scope["path"], dict(scope["headers"]), body)
        headers = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})


class Rsgi(Handler):
    """For granian's own interface."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        body = await protocol() if scope.method == "POST" else b""
        sent = scope.headers.get("content-type")
        headers = {b"content-type": sent.encode()} if sent else {}
        response = await self.answer(scope.method, scope.path, headers, body)
        kind = [("content-type", response.content_type.decode())]
        protocol.response_bytes(response.status, kind, response.body)


asgi, rsgi = Asgi(), Rsgi()


def fastapi() -> Any:
    """FastAPI as its documents show it: a pydantic model of a row, the ONNX session, a dictionary."""
    from fastapi import FastAPI
    from pydantic import BaseModel, Field, create_model

    model = load_model(_bundle())
    kinds: dict[str, Any] = {"string": str, "float": float, "integer": int, "boolean": bool}
    columns: dict[str, Any] = {}
    for column in model.schema.columns:
        kind = Literal[column.categories] if column.categories else kinds[column.kind]
        limits = {"ge": column.minimum, "le": column.maximum} if column.kind in ("float", "integer") else {}
        checked = Annotated[kind, Field(**{k: v for k, v in limits.items() if v is not None})]
        columns[column.name] = (checked | None, None) if column.nullable else (checked, ...)
    row_type: type[BaseModel] = create_model("Row", **columns)
    nulls = {column.name: column.null for column in model.schema.columns}
    app = FastAPI()

    async def predict(row: Any) -> dict[str, float]:
        values = row.model_dump()
        inputs = [[nulls[name] if values[name] is None else values[name]] for name in model.schema.names]
        died, survived = model.predict(inputs)[0].tolist()
        return {"died": died, "survived": survived}

    # FastAPI reads the type from here, and this one exists only now.
    predict.__annotations__ = {"row": row_type, "return": dict[str, float]}
    app.post("/predict")(predict)
    return app
