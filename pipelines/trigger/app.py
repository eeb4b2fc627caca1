"""The trigger's HTTP: who may ask, how much may be said, and what each answer means.

POST /alerts takes Alertmanager's webhook and POST /retrain a person's wish; 200 says that the request was dealt with,
and `result` how; 503 that it should be sent again. GET /runs shows what was asked and what ran. All three want the
bearer token; a browser may give it to /runs as the password of any user. /live, /ready and /metrics are open.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.core.errors import SettingsError
from components.core.placeholders import check_text
from pipelines.trigger.alerts import WebhookError, one_line, parse_object, parse_webhook, text_of
from pipelines.trigger.guard import Guard
from pipelines.trigger.metrics import CONTENT_TYPE, Metrics
from pipelines.trigger.settings import TriggerSettings
from pipelines.trigger.state import State, Wish
from serving.server import log

MAX_WAITING = 32
RETRY_AFTER = "30"


class App:
    """The routes.

    Args:
        guard: decides.
        state: shown by /runs.
        metrics: shown by /metrics.
        settings: limits, and what /runs says of them.
        token: gives what a request must carry.
        model: label of the alerts that mean this trigger's use case.
    """

    def __init__(
        self,
        guard: Guard,
        state: State,
        metrics: Metrics,
        settings: TriggerSettings,
        token: Callable[[], str],
        model: str,
    ) -> None:
        self._guard, self._state, self._metrics, self._settings = guard, state, metrics, settings
        self._token, self._model = token, model
        self._waiting = 0
        self.starlette = Starlette(
            routes=[
                Route("/alerts", self._guarded(self._alerts), methods=["POST"]),
                Route("/retrain", self._guarded(self._retrain), methods=["POST"]),
                Route("/live", self._live),
                Route("/ready", self._ready),
                Route("/metrics", self._show_metrics),
                Route("/runs", self._runs),
            ],
            exception_handlers={HTTPException: _problem, WebhookError: _bad_request, Exception: _internal},
        )

    def _guarded(self, handler: Callable[[bytes], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Only with the token, and only a body that is small, JSON and soon here."""

        async def handle(request: Request) -> Response:
            self._authorise(request)
            return await handler(await self._body(request))

        return handle

    def _authorise(self, request: Request) -> None:
        is_read = request.method in ("GET", "HEAD")
        given = _given_token(request.headers.get("authorization", ""), is_read)
        if hmac.compare_digest(given, self._token().encode()):
            return
        self._metrics.requests.labels("unauthorized").inc()
        log.info("refused: missing or wrong token", path=request.url.path)
        offered = 'Basic realm="Lifeboat retrain trigger"' if is_read else "Bearer"
        raise HTTPException(401, "missing or wrong token", {"WWW-Authenticate": offered})

    async def _body(self, request: Request) -> bytes:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPException(415, "the content type is not application/json")
        body, limit = bytearray(), self._settings.max_body
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise HTTPException(413, f"the body is longer than {limit} bytes")
        except TimeoutError:
            raise HTTPException(408, f"the body took longer than {self._settings.request_seconds:g} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the body ended early") from None
        return bytes(body)

    async def _alerts(self, body: bytes) -> Response:
        webhook = parse_webhook(body)
        keys = webhook.keys(self._model)
        if not keys:
            self._metrics.requests.labels("ignored").inc()
            why = f"no firing alert with action=retrain for {self._model}"
            return JSONResponse({"result": "ignored", "why": why, "run": None})
        return await self._ask(Wish("alert", webhook.reason(self._model), keys))

    async def _retrain(self, body: bytes) -> Response:
        document = parse_object(body)
        now = document.get("now", False)
        if not isinstance(now, bool):
            raise WebhookError("now is not true or false")
        reason = one_line(text_of(document, "reason", "reason"))
        try:
            check_text("reason", reason)
        except SettingsError as error:
            raise WebhookError(str(error)) from None
        return await self._ask(Wish("person", reason, now=now))

    async def _ask(self, wish: Wish) -> Response:
        if self._waiting >= MAX_WAITING:
            raise HTTPException(503, f"{MAX_WAITING} requests wait already", {"Retry-After": RETRY_AFTER})
        self._waiting += 1
        try:
            answer = await run_in_threadpool(self._guard.ask, wish)
        finally:
            self._waiting -= 1
        failed = answer.result == "failed"
        document = {"result": answer.result, "why": answer.why, "run": answer.run}
        return JSONResponse(document, 503 if failed else 200, {"Retry-After": RETRY_AFTER} if failed else None)

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, _: Request) -> Response:
        reason = await run_in_threadpool(self._guard.refusal)
        return JSONResponse({"ready": not reason, "reason": reason}, 503 if reason else 200)

    async def _show_metrics(self, _: Request) -> Response:
        return Response(await run_in_threadpool(self._metrics.page), media_type=CONTENT_TYPE)

    async def _runs(self, request: Request) -> Response:
        self._authorise(request)
        return JSONResponse(await run_in_threadpool(self._overview))

    def _overview(self) -> dict[str, Any]:
        chosen = self._settings
        return {
            "usecase": chosen.usecase,
            "backend": chosen.backend,
            "cooldown_seconds": chosen.cooldown_seconds,
            "daily_limit": chosen.daily_limit,
            "every_seconds": chosen.every_seconds,
            "requests": self._state.requests(),
            "runs": self._state.runs(),
        }


def _given_token(authorization: str, is_read: bool) -> bytes:
    """The bearer token or, to read, the password of Basic (RFC 7617); b"" if neither is given.

    A browser sends a password along whichever page asks it to, so that it starts nothing.
    """
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode()
    if scheme.lower() == "basic" and is_read:
        try:
            return b64decode(given.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return b""


async def _problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _bad_request(request: Request, error: Exception) -> Response:
    log.info(f"refused: {error}", path=request.url.path)
    return JSONResponse({"error": str(error)}, 400)


async def _internal(_: Request, __: Exception) -> Response:
    # What it was is in the log: Starlette raises it again for the server, which writes it there.
    return JSONResponse({"error": "an error of the trigger's own; see its log"}, 500, {"Retry-After": RETRY_AFTER})
