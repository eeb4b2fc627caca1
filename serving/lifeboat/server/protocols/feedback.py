"""Feedback: what was true, for predictions given before. It is checked, counted and passed on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lifeboat.http.access import MAY_FEED_BACK, source_of
from lifeboat.http.app import App
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError, bad, refuse_unknown
from lifeboat.http.http_types import Request, Response
from lifeboat.server.protocols.rest import content_of, is_watched, read_request
from lifeboat.server.protocols.seldon import ARRAYS, FORMS, refuse_both
from lifeboat.server.request_id import HEADER
from lifeboat.server.settings import ServerSettings
from lifeboat.system.addresses import is_loopback
from lifeboat.usecase.schema import Label

if TYPE_CHECKING:
    # Not at run time: the drift detector reads feedback with this and has no ONNX Runtime.
    from lifeboat.server.dataplane import DataPlane

_MEMBERS = frozenset({"request", "response", "reward", "truth"})


@dataclass(frozen=True)
class Feedback:
    """What a client sends.

    Args:
        truth: the label of each row, as a number.
        reward: as the client judges it.
    """

    truth: list[float]
    reward: float


def read_feedback(document: dict[str, Any], label: Label, max_rows: int) -> Feedback:
    """Reads Seldon's Feedback message; a truth is what the label's column may hold, or an object with it by its name.

    Raises:
        RequestError: 400; it names what is wrong.
    """
    refuse_unknown("the feedback", "member", document, _MEMBERS)
    reward = document.get("reward", 0.0)
    if type(reward) not in (int, float) or not math.isfinite(reward):
        raise bad("reward is not a number")
    for name in ("request", "response", "truth"):
        if type(document.get(name, {})) is not dict:
            raise bad(f"{name} is not a message")
        if type(document.get(name, {}).get("meta") or {}) is not dict:
            raise bad(f"{name}.meta is not an object")  # a puid in it would find no prediction
    values = _flatten(_values(document.get("truth", {})), label.name)
    if len(values) > max_rows:
        raise bad(f"truth holds {len(values)} rows, the limit is {max_rows}")
    return Feedback([_label_of(value, row, label) for row, value in enumerate(values, start=1)], float(reward))


class FeedbackRest:
    """Its paths, over the data plane.

    Args:
        app: takes the routes.
        plane: takes the feedback.
        settings: limits.
    """

    def __init__(self, app: App, plane: DataPlane, settings: ServerSettings) -> None:
        self._app, self._plane, self._settings = app, plane, settings
        self._limits, self._label = (settings.max_depth, plane.reader.max_values), plane.metadata().schema.label
        app.add(
            "GET POST",
            "/send-feedback /api/v1.0/feedback /api/v0.1/feedback",
            self._take,
            "seldon",
            rights=MAY_FEED_BACK,
        )

    def _take(self, request: Request) -> Response | None:
        self._refuse_foreign_page(request)
        return read_request(self._app, self._plane, request, self._read, self._count)

    def _read(self, request: Request) -> tuple[Feedback, Any]:
        """The feedback and how it names its prediction."""
        document = read_document(request, *self._limits)
        feedback = read_feedback(document, self._label, self._settings.max_rows)
        return feedback, (document.get("response", {}).get("meta") or {}).get("puid")

    def _count(self, request: Request, found: tuple[Feedback, Any]) -> Response:
        feedback, said = found
        id_ = self._plane.ids.make(request.headers.get(HEADER, b""), said, "response.meta.puid")
        content = content_of(request) if self._plane.prediction_events is not None and is_watched(request) else None
        source = source_of(request.caller, len(feedback.truth))
        request.id = id_.named
        self._plane.feedback(feedback.truth, feedback.reward, id_, source, content, request.span)
        meta = {"puid": id_.named, "tags": self._plane.identity.tags}
        return Response.of({"data": {"ndarray": []}, "meta": meta})

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


def _hostname(host: bytes) -> str:
    """The name or address in a Host field, without the port."""
    return (urlsplit(b"//" + host).hostname or b"").decode()


def _values(truth: dict[str, Any]) -> Any:
    refuse_unknown("truth", "member", truth, {"status", "meta", "data", "jsonData"})
    refuse_both(truth, FORMS, "truth.")
    data = truth.get("data", {})
    if type(data) is not dict:
        raise bad("truth.data is not an object")
    refuse_unknown("truth.data", "member", data, {"names", "ndarray", "tensor"})
    refuse_both(data, ARRAYS, "truth.data.")
    if "tensor" in data:
        return data["tensor"].get("values", []) if type(data["tensor"]) is dict else None
    return data.get("ndarray", truth.get("jsonData", []))


def _flatten(values: Any, label: str) -> list[Any]:
    """Accepts [1, 0] as well as [[1], [0]] and [{label: 1}, {label: 0}]."""
    if type(values) is dict:
        values = [values]
    if type(values) is not list:
        raise bad("truth is not a list with one label for each row")
    return [_unwrap(value, label) for value in values]


def _unwrap(value: Any, label: str) -> Any:
    if type(value) is dict:
        return value.get(label)
    return value[0] if type(value) is list and len(value) == 1 else value


def _label_of(value: Any, row: int, label: Label) -> float:
    try:
        return label.parse(value)
    except ValueError as error:
        raise bad(f"truth of row {row}: {error}") from None
