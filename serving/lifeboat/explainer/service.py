"""The explainer behind HTTP: rows and the digest of the bundle that answered them in, their reasons out."""

from __future__ import annotations

import asyncio
from typing import Any

from lifeboat.config.errors import DataError, LifeboatError
from lifeboat.explainer.metrics import ExplainerMetrics
from lifeboat.explainer.models import ExplainedModel, Models
from lifeboat.explainer.settings import ExplainerSettings
from lifeboat.explainer.work_queue import WorkQueue
from lifeboat.http.access import MAY_PREDICT, OPEN, Caller, access_of, spend_rows
from lifeboat.http.app import App
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError, bad, refuse_unknown, unavailable
from lifeboat.http.http_types import Request, Response
from lifeboat.http.series import CONTENT_TYPE
from lifeboat.model.explaining.explainer import Explanation
from lifeboat.model.tensors import stack
from lifeboat.server.columnar import read_inputs
from lifeboat.server.explained import EXPLAIN, Explained
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.protocols.seldon import SeldonCodec
from lifeboat.system.tracing import DIGEST, ROWS, Span, Tracer, part_of

PATH = "/explain"
_MEMBERS = frozenset({"usecase", "digest", "outputs", "rows", "seconds", "inputs"})
_DEPTH = 10


class ExplainerService:
    """Answers.

    Args:
        settings: limits.
        tracer: of the requests; None for no traces.

    Attributes:
        ready: whether it takes requests; set by whoever opens its listener.
        app: its paths.
    """

    def __init__(self, settings: ExplainerSettings, tracer: Tracer | None = None) -> None:
        self.ready = False
        self._settings, self._models = settings, Models(settings)
        self._queue = WorkQueue(settings.threads, settings.max_waiting)
        self._metrics = ExplainerMetrics(lambda: self._queue.rows)
        access = access_of(settings, self._metrics.called)
        self.app = App(self._metrics, settings.log_requests, False, SeldonCodec.error, access, tracer)
        self._tasks: set[asyncio.Task[Response]] = set()
        add = self.app.add
        add("POST", PATH, self._take, EXPLAIN, rights=MAY_PREDICT)
        add("GET", "/metrics", lambda _: Response(200, self._metrics.render(), CONTENT_TYPE))
        add("GET", "/live /livez /health/ping", lambda _: Response(200, b"pong", b"text/plain"), rights=OPEN)
        add("GET", "/ready /readyz", self._readiness, rights=OPEN)

    def close(self) -> None:
        """Drops what waits."""
        self._queue.close()
        self._models.close()

    def _readiness(self, _request: Request) -> Response:
        if not self.ready:
            raise unavailable("the explainer is not ready")
        return Response.of({"ready": True})

    def _take(self, request: Request) -> None:
        document = read_document(request, _DEPTH)
        task = asyncio.get_running_loop().create_task(self._explain(document, request.caller, request.span))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: self.app.attempt(request, done.result))

    async def _explain(self, document: dict[str, Any], caller: Caller | None, span: Span | None) -> Response:
        refuse_unknown("the request", "member", document, _MEMBERS)
        rows, seconds = document.get("rows"), document.get("seconds", self._settings.max_seconds)
        outputs = document.get("outputs")
        if type(rows) is not int or not 0 < rows <= self._settings.max_rows:
            raise bad(f"{rows} rows are to be explained, allowed are 1 to {self._settings.max_rows} in a request")
        spend_rows(caller, rows)
        if type(seconds) not in (int, float) or not 0 < seconds <= self._settings.max_seconds:
            raise bad(f"seconds is {seconds}, allowed are more than 0 to {self._settings.max_seconds:g}")
        if outputs is not None and (type(outputs) is not list or not all(type(name) is str for name in outputs)):
            raise bad("outputs is not a list of names")
        model = await self._models.get(str(document.get("usecase")), str(document.get("digest")))
        if span is not None:  # of a bundle that there is: what a client invents is no attribute
            span.attributes |= {ROWS: rows, DIGEST: document["digest"]}
        columns = read_inputs(document, rows, model.reader.from_columns)
        try:
            found = await self._queue.run(
                rows, seconds, lambda proceed: _reasons(model, columns, outputs, proceed, span)
            )
        except DataError as error:
            raise bad(str(error)) from None
        except LifeboatError as error:
            raise RequestError(500, str(error)) from error
        self._metrics.explained(rows, found.asked)
        return Response(200, _explained(found, model.names).write())


def _reasons(
    model: ExplainedModel, columns: Columns, outputs: list[str] | None, proceed: Any, span: Span | None
) -> Explanation:
    with part_of(span, "explain") as part:
        found = model.explainer.explain_rows(stack(model.kinds, columns), outputs, proceed)
        if part is not None:
            part.attributes["lifeboat.model_rows"] = round(found.asked, 1)
        return found


def _explained(found: Explanation, names: tuple[str, ...]) -> Explained:
    """As the model servers read it, with the numbers of an answer called as they are there."""
    outputs, errors = [names[place] for place in found.places], None if found.exact else found.error
    numbers = found.answers, found.base, found.contributions, errors
    return Explained(found.players, outputs, *numbers, found.background, round(found.asked, 1))
