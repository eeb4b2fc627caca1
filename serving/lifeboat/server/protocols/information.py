"""The paths that belong to no protocol: whether the server lives and is ready, its metrics, its documents."""

from __future__ import annotations

from lifeboat.http.access import MAY_LOOK, OPEN
from lifeboat.http.app import App
from lifeboat.http.http_types import Response
from lifeboat.http.series import CONTENT_TYPE
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.page.page import render_page
from lifeboat.server.protocols.openapi import describe_api
from lifeboat.server.protocols.rest import readiness
from lifeboat.server.settings import ServerSettings


def add_information(app: App, plane: DataPlane, metrics: ServerMetrics, settings: ServerSettings) -> None:
    """Adds them to an app."""
    identity = plane.identity
    document = describe_api(plane.metadata().schema, identity.name, identity.version, settings)
    page = render_page(plane.metadata(), document, explains=bool(settings.explainer_url), home=settings.home_url)
    shown = Response(200, page.body, b"text/html; charset=utf-8", page.headers)
    app.add("GET", "/health/ping /live /livez", lambda _: Response(200, b"pong", b"text/plain"), rights=OPEN)
    app.add("GET", "/ready /readyz", lambda _: readiness(plane), rights=OPEN)
    app.add("GET", f"/metrics {settings.metrics_path}", lambda _: Response(200, metrics.render(), CONTENT_TYPE))
    app.add("GET", "/openapi.json /seldon.json", lambda _: Response.of(document), rights=MAY_LOOK)
    app.add("GET", "/ /docs /api/v1.0/doc /api/v1.0/doc/", lambda _: shown, rights=MAY_LOOK)
