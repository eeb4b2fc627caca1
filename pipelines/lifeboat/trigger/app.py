"""The trigger's HTTP: who may ask, how much may be said, and what each answer means.

POST /alerts takes Alertmanager's webhook and POST /retrain a person's request; 200 says that it was dealt with, and
`result` how; 503 that it should be sent again. GET /runs shows what was asked and what ran. All three want the
bearer token; a browser may give it to /runs as the password of any user. /live, /ready and /metrics are open.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lifeboat.config.errors import SettingsError
from lifeboat.config.placeholders import check_text
from lifeboat.http import app as http
from lifeboat.http.authorization import given_token
from lifeboat.http.errors import RequestError, bad
from lifeboat.http.http_types import Request, Response
from lifeboat.system import log
from lifeboat.trigger.alerts import WebhookError, one_line, parse_object, parse_webhook, text_of
from lifeboat.trigger.metrics import CONTENT_TYPE, TriggerMetrics
from lifeboat.trigger.policy import Policy
from lifeboat.trigger.settings import TriggerSettings
from lifeboat.trigger.state import RetrainRequest, TriggerState

MAX_WAITING = 32
RETRY = b"retry-after: 30\r\n"


class App:
    """The routes.

    Args:
        policy: decides.
        state: shown by /runs.
        metrics: shown by /metrics.
        settings: limits, and what /runs says of them.
        token: gives what a request must carry.
        model: label of the alerts that mean this trigger's use case.
    """

    def __init__(
        self,
        policy: Policy,
        state: TriggerState,
        metrics: TriggerMetrics,
        settings: TriggerSettings,
        token: Callable[[], str],
        model: str,
    ) -> None:
        self._policy, self._state, self._metrics, self._settings = policy, state, metrics, settings
        self._token, self._model = token, model
        # Some more than may wait for a decision: whether the trigger is ready is answered meanwhile.
        self._threads = ThreadPoolExecutor(MAX_WAITING + 8)
        self._asking: set[asyncio.Task[None]] = set()
        self._showing: set[asyncio.Task[None]] = set()
        # It counts what it decides, see its metrics, and not how it was asked.
        self.http = http.App(http.Uncounted(), log_requests=False, log_payloads=False, error=_error)
        self._add("POST", "/alerts", self._guarded(self._alerts))
        self._add("POST", "/retrain", self._guarded(self._retrain))
        self._add("GET", "/live", lambda _: Response.of({"live": True}))
        self._add("GET", "/ready", self._shown(self._ready))
        self._add("GET", "/metrics", self._shown(self._show_metrics))
        self._add("GET", "/runs", self._runs)

    def _add(self, method: str, path: str, handler: http.Handler) -> None:
        self.http.add(method, path, handler)

    def _guarded(self, read: Callable[[bytes], RetrainRequest | Response]) -> http.Handler:
        """Only with the token, and only JSON; a request for a run is decided on, anything else is the answer."""

        def handle(request: Request) -> Response | None:
            self._authorise(request)
            kind = request.headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
            if kind != b"application/json":
                raise RequestError(415, "the content type is not application/json")
            try:
                found = read(request.body)
            except WebhookError as error:
                log.info(f"refused: {error}", path=request.shown_path)
                raise bad(str(error)) from None
            if isinstance(found, Response):
                return found
            self._ask(request, found)
            return None

        return handle

    def _authorise(self, request: Request) -> None:
        is_read = request.method in (b"GET", b"HEAD")
        given = given_token(request.headers.get(b"authorization", b""), is_read)
        if hmac.compare_digest(given, self._token().encode()):
            return
        self._metrics.requests.labels("unauthorized").inc()
        log.info("refused: missing or wrong token", path=request.shown_path)
        offered = b'Basic realm="Lifeboat retrain trigger"' if is_read else b"Bearer"
        raise RequestError(401, "missing or wrong token", b"www-authenticate: %b\r\n" % offered)

    def _alerts(self, body: bytes) -> RetrainRequest | Response:
        webhook = parse_webhook(body)
        keys = webhook.keys(self._model)
        if not keys:
            self._metrics.requests.labels("ignored").inc()
            why = f"no firing alert with action=retrain for {self._model}"
            return Response.of({"result": "ignored", "why": why, "run": None})
        return RetrainRequest("alert", webhook.reason(self._model), keys)

    def _retrain(self, body: bytes) -> RetrainRequest:
        document = parse_object(body)
        now = document.get("now", False)
        if not isinstance(now, bool):
            raise WebhookError("now is not true or false")
        reason = one_line(text_of(document, "reason", "reason"))
        try:
            check_text("reason", reason)
        except SettingsError as error:
            raise WebhookError(str(error)) from None
        return RetrainRequest("person", reason, now=now)

    def _ask(self, request: Request, asked: RetrainRequest) -> None:
        if len(self._asking) >= MAX_WAITING:
            raise RequestError(503, f"{MAX_WAITING} requests wait already", RETRY)

        def decide() -> Response:
            answer = self._policy.ask(asked)
            failed = answer.result == "failed"
            document = {"result": answer.result, "why": answer.why, "run": answer.run}
            return Response.of(document, 503 if failed else 200, RETRY if failed else b"")

        self._later(request, decide, self._asking)

    def _ready(self) -> Response:
        reason = self._policy.refusal()
        return Response.of({"ready": not reason, "reason": reason}, 503 if reason else 200)

    def _show_metrics(self) -> Response:
        return Response(200, self._metrics.page(), CONTENT_TYPE.encode())

    def _shown(self, work: Callable[[], Response]) -> http.Handler:
        return lambda request: self._later(request, work, self._showing)

    def _later(self, request: Request, work: Callable[[], Response], tasks: set[asyncio.Task[None]]) -> None:
        """Answers from a thread: whatever reads the state may wait for the disk."""
        task = asyncio.get_running_loop().create_task(self._work(request, work))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _work(self, request: Request, work: Callable[[], Response]) -> None:
        try:
            response = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except Exception as error:
            log.error("a request failed", error, path=request.shown_path)
            response = _error(RequestError(500, "an error of the trigger's own; see its log", RETRY))
        self.http.answer(request, response)

    def _runs(self, request: Request) -> None:
        self._authorise(request)
        self._later(request, lambda: Response.of(self._overview()), self._showing)

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


def _error(error: RequestError) -> Response:
    return Response.of({"error": error.info}, error.status, error.headers)
