"""The assembly: one model behind its protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from lifeboat.http.access import access_of
from lifeboat.http.app import App
from lifeboat.http.coding import gzipped, wants_gzip
from lifeboat.http.cors import Cors
from lifeboat.http.http_types import Request, Response
from lifeboat.http.time_slicer import TimeSlicer
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.large_requests import SMALL
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import Model
from lifeboat.server.protocols.feedback import FeedbackRest
from lifeboat.server.protocols.information import add_information
from lifeboat.server.protocols.instances import InstancesRest
from lifeboat.server.protocols.seldon import SeldonCodec, SeldonRest
from lifeboat.server.protocols.v2 import V2Rest
from lifeboat.server.settings import ServerSettings
from lifeboat.system.tracing import Tracer


class Service:
    """What a server is made of, but for its listeners.

    Args:
        model: verified.
        settings: limits and names.
        metrics: counts what happens.
        loop: on which the predictions run.
        tracer: of the requests; None for no traces.

    Attributes:
        plane: the model.
        access: says who may ask; None where everybody may.
        app: its protocols of HTTP.
        slicer: takes their requests, a few milliseconds of work at a time.
    """

    def __init__(
        self,
        model: Model,
        settings: ServerSettings,
        metrics: ServerMetrics,
        loop: asyncio.AbstractEventLoop,
        tracer: Tracer | None = None,
    ) -> None:
        self.access = access_of(settings, metrics.called, settings.caller_limits, settings.subject_header)
        logged = settings.log_requests, settings.log_payloads
        self.app = App(metrics, *logged, SeldonCodec.error, self.access, tracer)
        self.slicer = TimeSlicer(loop, self.app.handle, settings.max_pending)
        self.plane = DataPlane(model, settings, metrics, loop, (self.slicer.waiting,), tracer)
        self._seldon = SeldonRest(self.app, self.plane, settings.max_depth)
        self._example = model.bundle.golden[0]["row"]
        FeedbackRest(self.app, self.plane, settings)
        V2Rest(self.app, self.plane, settings.max_depth)
        InstancesRest(self.app, self.plane, settings.max_depth)
        self._cors = Cors(settings.cors_origins)
        self.app.finish = self._finish
        add_information(self.app, self.plane, metrics, settings)

    def warm(self) -> None:
        """Makes the first client's request as quick as the others."""
        self._seldon.warm(self._example)

    def _finish(self, request: Request, response: Response, send: Callable[[Request, Response], None]) -> None:
        """Sends an answer as the client asks for it: with the headers of CORS, and compressed."""
        if b"origin" in request.headers:
            self._cors.mark(request, response)
        if b"accept-encoding" not in request.headers or not wants_gzip(request, response):
            send(request, response)
        elif len(response.body) <= SMALL:
            send(request, gzipped(response))
        else:
            self.plane.in_thread(partial(gzipped, response), lambda future: send(request, future.result()))
