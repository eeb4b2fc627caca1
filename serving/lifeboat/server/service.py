"""The model behind its protocols: predictions, feedback and how the server is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from lifeboat.data.labelled.sources import ANONYMOUS, is_loopback, read_source
from lifeboat.http.app import App, Route
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import Request, Response
from lifeboat.http.request_id import RequestId, RequestIds
from lifeboat.http.time_slicer import TimeSlicer
from lifeboat.server.events import Events
from lifeboat.server.identity import Identity, init_metadata
from lifeboat.server.large_requests import SMALL, LargeRequests
from lifeboat.server.metrics import CONTENT_TYPE, ServerMetrics
from lifeboat.server.model.batcher import Batcher, Job
from lifeboat.server.model.onnx_model import Model, Probabilities
from lifeboat.server.protocols.feedback import Feedback, read_feedback
from lifeboat.server.protocols.openapi import describe_api
from lifeboat.server.protocols.page import render_page
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.protocols.seldon import Message, SeldonCodec
from lifeboat.server.protocols.v2 import Inference, V2Codec, describe
from lifeboat.server.settings import ServerSettings
from lifeboat.system import log


class Rows(Protocol):
    """A request of any protocol, read."""

    columns: Columns
    rows: int


T = TypeVar("T")
R = TypeVar("R", bound=Rows, contravariant=True)


class Codec(Protocol[R]):
    """How a protocol words a prediction."""

    def write(self, message: R, probabilities: Probabilities, id_: RequestId, /) -> Response:
        """The answer."""

    def to_watch(self, message: R, probabilities: Probabilities, response: Response, /) -> Response:
        """The same answer for the detector, which needs the probabilities whatever was asked for."""

    @staticmethod
    def error(error: RequestError) -> Response:
        """The answer to what went wrong."""


class Service:
    """One model, ready or not, and the app that answers for it.

    Args:
        model: verified.
        settings: limits and names.
        metrics: counts what happens.
        loop: on which the predictions run.
    """

    def __init__(
        self, model: Model, settings: ServerSettings, metrics: ServerMetrics, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.ready = False
        self.identity = Identity.of(model, settings)
        self.app = App(metrics, settings.log_requests, settings.log_payloads)
        self.turns = TimeSlicer(loop, self.app.handle, settings.max_pending)
        self.events = _events(settings, self.identity, metrics)
        self._model, self._settings, self._metrics = model, settings, metrics
        self._classes = model.schema.label.classes
        self._ids = RequestIds()
        reader, tags = Reader(model.schema, settings.max_rows), self.identity.tags
        self._seldon = SeldonCodec(reader, self._classes, tags)
        self._decision = model.bundle.decision
        self._limits = settings.max_depth, reader.max_values
        self._v2 = V2Codec(reader, self._classes, self._decision, tags, *self._limits)
        self._aside = LargeRequests(loop)
        self._batcher = Batcher(loop, model.predict, partial(log.error, "the model failed"), self._aside)
        self._add_seldon()
        self._add_v2()
        self._add_information()

    def send_events(self, url: str) -> None:
        """Sends events, also those that wait, to another URL.

        Raises:
            SettingsError: the URL is none.
        """
        if self.events is None:
            self.events = _events(replace(self._settings, events_url=url), self.identity, self._metrics)
        else:
            self.events.send_to(url)

    def warm(self) -> None:
        """Takes the whole path from bytes to bytes a few times: the first client does not pay for it."""
        row = self._model.bundle.golden[0]["row"]
        body = Response.of({"data": {"names": list(row), "ndarray": [list(row.values())]}}).body
        for _ in range(20):
            request = Request(_Nowhere(), b"POST", b"/predict", {}, body, True, 0.0)
            message = self._seldon.read(read_document(request, *self._limits))
            self._seldon.write(message, self._model.predict(message.columns), self._ids.make(request, None, ""))

    def _add_seldon(self) -> None:
        add, seldon = self.app.add, partial(Route, protocol="seldon")
        add("GET POST", "/predict /api/v1.0/predictions /api/v0.1/predictions", seldon(self._predict))
        add("GET POST", "/send-feedback /api/v1.0/feedback /api/v0.1/feedback", seldon(self._feedback))
        add("GET", "/health/status /api/v1.0/health/status", Route(self._health))
        add("GET", "/metadata /api/v1.0/metadata", Route(self._metadata))

    def _add_v2(self) -> None:
        add, error = self.app.add, V2Codec.error
        name, version = quote(self.identity.name, safe=""), quote(self.identity.version, safe="")
        models = (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}")
        infer, live = (
            " ".join(f"{model}/infer" for model in models),
            Route(lambda _: Response.of({"live": True})),
        )
        add("POST", infer, Route(self._infer, "v2", error))
        add("GET", "/v2/health/live", live)
        add(
            "GET",
            " ".join(["/v2/health/ready", *(f"{model}/ready" for model in models)]),
            Route(self._readiness),
        )
        add("GET", " ".join(models), Route(self._v2_metadata, error=error))
        add("GET", "/v2 /v2/", Route(self._v2_server, error=error))
        self.app.add_fallback("/v2", error)

    def _add_information(self) -> None:
        add, schema, identity = self.app.add, self._model.schema, self.identity
        document = describe_api(schema, identity.name, identity.version, self._settings)
        page = render_page(document).encode()
        add("GET", "/health/ping /live /livez", Route(lambda _: Response(200, b"pong", b"text/plain")))
        add("GET", "/ready /readyz", Route(self._readiness))
        add("GET", f"/metrics {self._settings.metrics_path}", Route(self._render_metrics))
        add("GET", "/openapi.json /seldon.json", Route(lambda _: Response.of(document)))
        add("GET", "/docs", Route(lambda _: Response(200, page, b"text/html; charset=utf-8")))

    def _predict(self, request: Request) -> None:
        self._check_load()

        def submit(message: Message) -> None:
            id_ = self._ids.make(request, message.meta.get("puid"), "meta.puid")
            self._submit(request, message, self._seldon, id_)

        self._read(request, lambda: self._seldon.read(read_document(request, *self._limits)), submit)

    def _infer(self, request: Request) -> None:
        self._check_load()

        def submit(message: Inference) -> None:
            self._submit(request, message, self._v2, self._ids.make(request, message.id, "id"))

        self._read(request, lambda: self._v2.read(request), submit)

    def _read(self, request: Request, read: Callable[[], T], then: Callable[[T], Response | None]) -> Response | None:
        """What follows on reading a request: at once, or when it was read aside, where the request is large."""
        if len(request.body) + len(request.query) <= SMALL:
            return then(read())
        self._check_load()
        self._aside.run(read, lambda future: self.app.attempt(request, lambda _: then(future.result())))
        return None

    def _check_load(self) -> None:
        """Before any work on the request: an overload is answered quickly, or it would be none."""
        waiting = max(len(self._batcher), len(self.turns), len(self._aside))
        if waiting >= self._settings.max_pending:
            raise RequestError(503, f"{waiting} requests are waiting, which is the limit", b"retry-after: 1\r\n")

    def _submit(self, request: Request, message: R, codec: Codec[R], id_: RequestId) -> None:
        request.id = id_.puid

        def finish(probabilities: Probabilities | None) -> None:
            if probabilities is None:
                self.app.answer(request, codec.error(RequestError(500, "the model failed on this request")))
                return
            try:
                response = codec.write(message, probabilities, id_)
                watched = codec.to_watch(message, probabilities, response)
            except Exception as error:  # the others of this run must still be answered
                log.error("an answer cannot be written", error)
                response = watched = codec.error(RequestError(500, "internal error"))
            scores = probabilities[:, 1].tolist()
            self._metrics.predicted(scores, map(self._decision.is_positive, scores))
            self.app.answer(request, response)
            if self.events is not None:
                self.events.predicted(request, watched, id_)

        self._batcher.submit(Job(message.columns, message.rows, finish))

    def _feedback(self, request: Request) -> Response | None:
        self._refuse_foreign_page(request)

        def read() -> tuple[Feedback, Any]:
            document = read_document(request, *self._limits)
            feedback = read_feedback(document, self._model.schema.label, self._settings.max_rows)
            return feedback, (document.get("response", {}).get("meta") or {}).get("puid")

        def take(found: tuple[Feedback, Any]) -> Response:
            feedback, said = found
            id_ = self._ids.make(request, said, "response.meta.puid")
            self._metrics.judged(feedback.truth, feedback.reward)
            if self.events is not None:
                self.events.judged(request, id_, self._source(request))
            meta = {"puid": id_.named, "tags": self.identity.tags}
            return Response.of({"data": {"ndarray": []}, "meta": meta})

        return self._read(request, read, take)

    def _refuse_foreign_page(self, request: Request) -> None:
        """Raises a 403 for a feedback that a page of elsewhere has a browser send: browsers reach what only this
        machine reaches, and whoever is behind it did not say so."""
        headers = request.headers
        origin, site = headers.get(b"origin", b""), headers.get(b"sec-fetch-site", b"")
        host = headers.get(b"host", b"")
        foreign = site in (b"cross-site", b"same-site") or (origin and origin.partition(b"://")[2] != host)
        # A name of elsewhere may be made to mean this machine: then the page's origin is that name, too.
        named = (origin or site) and is_loopback(self._settings.host) and not is_loopback(_hostname(host))
        if foreign or named:
            raise RequestError(403, "feedback from a page of another origin is not taken")

    def _source(self, request: Request) -> str:
        """Who sends: the subject that the mesh has verified, where a setting says that there is one."""
        header = self._settings.subject_header.lower().encode()
        return read_source(request.headers[header]) if header in request.headers else ANONYMOUS

    def _readiness(self, _request: Request) -> Response:
        if not self.ready:
            raise RequestError(503, "the server is not ready", b"retry-after: 1\r\n")
        return Response.of({"ready": True, "name": self.identity.name, "version": self.identity.version})

    def _health(self, request: Request) -> Response:
        self._readiness(request)
        return Response.of({"data": {"names": [], "ndarray": []}, "meta": {"tags": self.identity.tags}})

    def _metadata(self, _request: Request) -> Response:
        return Response.of(init_metadata(self._model, self.identity))

    def _v2_metadata(self, _request: Request) -> Response:
        kinds = {column.name: column.kind for column in self._model.schema.columns}
        names = {"name": self.identity.name, "versions": [self.identity.version], "platform": "onnx_onnxv1"}
        return Response.of({**names, **describe(kinds)})

    def _v2_server(self, _request: Request) -> Response:
        extensions = ["binary_tensor_data"]
        return Response.of({"name": "lifeboat", "version": self.identity.version, "extensions": extensions})

    def _render_metrics(self, _request: Request) -> Response:
        return Response(200, self._metrics.render(), CONTENT_TYPE)


def _hostname(host: bytes) -> str:
    """The name or address in a Host field, without the port."""
    return (urlsplit(b"//" + host).hostname or b"").decode()


def _events(settings: ServerSettings, identity: Identity, metrics: ServerMetrics) -> Events | None:
    if not settings.events_url:
        return None
    return Events.of(settings, identity.name, identity.version, metrics)


class _Nowhere:
    """Takes the answers of requests that nobody sent."""

    def reply(self, request: Request, response: Response) -> None:
        """Forgets the answer."""
