"""What becomes of an event: joined, read, held against its schema, and made rows of a window or truths.

A pass reads some posts and works out everything in memory; then one transaction writes it and takes the posts from the
inbox. Killed at any moment, a post was either folded in or is still there.
"""

from __future__ import annotations

import sqlite3
import traceback
from typing import Any, NamedTuple

import orjson

from lifeboat.detector.counters import Counters
from lifeboat.detector.ingest.bundles import Bundles, Known, NotYetError
from lifeboat.detector.ingest.cloudevents import (
    BATCH_BYTES,
    BINARY,
    LIMITS,
    REQUEST,
    RESPONSE,
    VALUES,
    CloudEvent,
    Post,
    is_crowded,
    unfold,
)
from lifeboat.detector.ingest.dedup import Dedup
from lifeboat.detector.ingest.pending import ANY, Item, Key, Pending
from lifeboat.detector.ingest.protobuf import read_message
from lifeboat.detector.ingest.request_joiner import RequestJoiner, Side
from lifeboat.detector.ingest.rows import RefusedError, read_answer
from lifeboat.detector.performance.feedback import read_labels
from lifeboat.detector.performance.labels import Labels
from lifeboat.detector.performance.tombstones import Tombstones
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.predictions import Predictions
from lifeboat.detector.windows.versions import WatchedVersions
from lifeboat.http.errors import RequestError
from lifeboat.http.structure import count_names
from lifeboat.server.cloudevents import FEEDBACK
from lifeboat.server.columnar import PREDICTIONS, Requests
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.system import log
from lifeboat.system.tracing import DIGEST, MODEL, PUID, ROWS, VERSION

SIDES: dict[str, Side] = {REQUEST: "request", RESPONSE: "response"}
_DIGEST_LENGTH, MANY = 64, 1 << 60
# Seconds by which a sender's clock may be ahead.
CLOCKS_DIFFER = 86_400
# Behind the JSON of such a content binary data comes, in which a bracket is none.
JSON_BYTES = {BINARY: BATCH_BYTES}
KINDS = {REQUEST: "request", RESPONSE: "response", PREDICTIONS: "prediction", FEEDBACK: "feedback"}


def describe(error: Exception) -> dict[str, Any]:
    """What went wrong and where, without the message: a passenger may stand in it."""
    return {"kind": type(error).__name__, "where": "".join(traceback.format_tb(error.__traceback__))}


class TracedEvent(NamedTuple):
    """A prediction or a feedback that its sender traces.

    Args:
        parent: its `traceparent`.
        received: in seconds since 1970.
        about: attributes of its span.
    """

    parent: str
    received: float
    about: dict[str, Any]


class Processor:
    """All that is known, and the pass under way.

    Args:
        settings: limits.
        bundles: say what a payload means.

    Attributes:
        traced: of the pass; nothing where nobody traces.
    """

    def __init__(self, settings: DetectorSettings, bundles: Bundles) -> None:
        self._settings, self._bundles = settings, bundles
        self.traced: list[TracedEvent] = []
        self.counters = Counters()
        self.dedup = Dedup(settings.max_ids)
        self.joiner = RequestJoiner(
            self.counters, settings.join_seconds, settings.max_halves, settings.max_halves_bytes
        )
        self.versions = WatchedVersions(
            settings.max_versions, settings.max_newcomers, settings.retention_rows // 2, settings.judge_rate
        )
        self.pending, self.predictions = Pending(settings.max_held, settings.max_held_bytes), Predictions()
        self.tombstones = Tombstones(settings.max_ids)
        self.labels = Labels(settings, self.counters, self.versions, self.tombstones)

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads everything from the database, as it is after the last transaction."""
        for part in (
            self.counters,
            self.dedup,
            self.joiner,
            self.versions,
            self.pending,
            self.predictions,
            self.tombstones,
        ):
            part.load(connection)
        self.labels.load(connection)
        self.traced = []

    def take(self, post: Post, received: float, now: float) -> None:
        """Takes all events of a post."""
        for event in unfold(post):
            if event is None:
                self.counters.refuse("envelope")
            elif self.dedup.first(event.source, event.id):
                self.counters.add(f"events:{KINDS.get(event.type, 'other')}", event.count)
                self._take(event, received, now)
            else:
                self.counters.add("duplicates", event.count)

    def retry(self, connection: sqlite3.Connection, now: float) -> None:
        """Takes what waited for a bundle that is here, and gives up what has waited too long."""
        for key in self.pending.keys:
            model, usecase, digest = key
            if self.versions.newest(model) if digest == ANY else self._bundles.has(usecase, digest):
                self._resume_all(connection, key, now)
        if given_up := self.pending.expire(now - self._settings.bundle_seconds):
            self.counters.refuse("unknown model", given_up)

    def flush(self, connection: sqlite3.Connection) -> bool:
        """Writes the pass; inside a transaction. Tells whether a window was closed."""
        self.dedup.flush(connection)
        self.joiner.flush(connection)
        if given_up := self.pending.make_room(lambda key: self._bundles.has(key[1], key[2])):
            self.counters.refuse("no room for unknown models", given_up)
        self.pending.flush(connection)
        closed = self.versions.flush(connection)
        for version_id, number in self.versions.skipped.items():
            self.counters.add(f"windows:{version_id}:skipped", number)
        self.versions.skipped.clear()
        self.predictions.flush(connection)
        self.labels.flush(connection, self.predictions.arrived)
        self.predictions.arrived = []
        for version in self.versions.crowded():
            self.counters.refuse("too many versions", self.versions.forget(connection, version))
        self.counters.flush(connection)
        return closed

    def _take(self, event: CloudEvent, received: float, now: float) -> None:
        try:
            read_message(event)
            # Of a request it depends on its columns how many values there may be.
            self._bound(event, MANY if event.type in (REQUEST, PREDICTIONS) else VALUES)
            self._check_depth(event)
            if event.type in SIDES:
                self._take_half(SIDES[event.type], event, received, now)
            elif event.type == PREDICTIONS:
                self._take_many(event, received, now)
            elif event.type == FEEDBACK:
                self._take_feedback(event, received)
        except RefusedError as reason:
            self.counters.refuse(str(reason), event.count)
        except sqlite3.Error:
            raise
        except Exception as error:  # whatever a payload can do, it must not cost the others of its batch
            self._lose(error, event.count)

    def _take_half(self, side: Side, event: CloudEvent, received: float, now: float) -> None:
        if not event.puid:
            raise RefusedError("no request id")
        self._check_time([event.time or received], received, now)
        pair = self.joiner.join(side, event, received)
        if pair is None:
            return
        answer, blob = read_answer(pair[1])
        key, version = self._identify(pair[1], answer)
        try:
            self.pending.check(key)
            self._predict(key, version, pair, (answer, blob), received, now)
        except NotYetError:
            self.pending.add(key, received, *pair)

    def _take_many(self, event: CloudEvent, received: float, now: float) -> None:
        document = _columns_of(event)
        key, version = self._identify(event, document)
        try:
            self.pending.check(key)
            self._predict_many(key, version, event, document, received, now)
        except NotYetError:
            self.pending.add(key, received, event)

    def _predict_many(
        self, key: Key, version_name: str, event: CloudEvent, document: dict[str, Any], received: float, now: float
    ) -> None:
        known = self._bundles.find(key[1], key[2])
        self._bound(event, max(VALUES, self._settings.max_rows * len(known.schema.known)))
        requests, columns, scores = known.decoder.read_many(document, event.count)
        self._check_time(requests.times, received, now)
        self._keep(key, version_name, known, requests, columns, scores, received, now)

    def _check_time(self, times: list[float], received: float, now: float) -> None:
        if min(times) < now - self._settings.retention_seconds:
            raise RefusedError("too old")
        if max(times) > received + CLOCKS_DIFFER:
            raise RefusedError("too new")

    def _lose(self, error: Exception, count: int = 1) -> None:
        """Gives up one event that breaks what nobody thought of."""
        log.error("an event cannot be processed", **describe(error))
        self.counters.refuse("internal error", count)

    def _resume_all(self, connection: sqlite3.Connection, key: Key, now: float) -> None:
        while items := self.pending.next(connection, key):
            for item in items:
                try:
                    self._resume(key, item, now)
                except NotYetError:
                    return
                except RefusedError as reason:
                    self.counters.refuse(str(reason), item.first.count)
                except Exception as error:  # whatever a payload can do, it must not stand in the way of the others
                    self._lose(error, item.first.count)
                self.pending.done(key)

    def _resume(self, key: Key, item: Item, now: float) -> None:
        if item.second is None and item.first.type == PREDICTIONS:
            document = _columns_of(item.first)
            _, version = self._identify(item.first, document)
            self._predict_many(key, version, item.first, document, item.received, now)
            return
        if item.second is None:
            self._read_labels(item.first, item.received)
            return
        answer, blob = read_answer(item.second)
        _, version = self._identify(item.second, answer)
        self._predict(key, version, (item.first, item.second), (answer, blob), item.received, now)

    def _identify(self, event: CloudEvent, answer: dict[str, Any]) -> tuple[Key, str]:
        """Model, use case and digest, and the version: of the event, else of the answer."""
        if "data" not in answer and "outputs" not in answer:
            raise RefusedError("no prediction")
        meta = answer.get("meta")
        tags = answer.get("parameters") if "outputs" in answer else meta.get("tags") if type(meta) is dict else None
        said = {**answer, **tags} if type(tags) is dict else answer
        model = _name(event.model or said.get("model_name"), LIMITS["modelid"])
        version = _name(event.version or said.get("model_version"), LIMITS["modelversion"])
        digest = _name(said.get("bundle_digest"), _DIGEST_LENGTH)
        return (model, self._settings.usecase_of(model), digest), version

    def _predict(
        self, key: Key, version_name: str, pair: tuple[CloudEvent, CloudEvent], answer: tuple[dict[str, Any], bytes],
        received: float, now: float,
    ) -> None:  # fmt: skip
        known = self._bundles.find(key[1], key[2])
        self._bound(pair[0], max(VALUES, self._settings.max_rows * len(known.schema.known)))
        columns, scores = known.decoder.read(pair[0], *answer)
        parents = [found] if (found := pair[0].parent or pair[1].parent) else []
        requests = Requests([pair[0].puid], [pair[0].alias], [pair[0].time or received], [len(scores)], parents)
        self._keep(key, version_name, known, requests, columns, scores, received, now)

    def _keep(
        self, key: Key, version_name: str, known: Known, requests: Requests, columns: Columns, scores: list[Any],
        received: float, now: float,
    ) -> None:  # fmt: skip
        model, _, digest = key
        version = self.versions.find(model, version_name, digest, known.window_policy)
        start = self.versions.add(version, len(scores), now)
        self.predictions.add(version, known, start, requests, columns, scores, received)
        if self._settings.traces:
            about = {MODEL: model, VERSION: version_name, DIGEST: digest}
            for parent, puid, rows in zip(requests.parents, requests.ids, requests.rows, strict=False):
                self._trace(parent, received, {PUID: puid[: LIMITS["requestid"]], ROWS: rows, **about})

    @staticmethod
    def _bound(event: CloudEvent, values: int) -> None:
        if isinstance(event.content, bytes) and is_crowded(event.content[: JSON_BYTES.get(event.content_type)], values):
            raise RefusedError("payload")

    def _check_depth(self, event: CloudEvent) -> None:
        """Raises RefusedError (payload) for what is nested deeper than the limit, or than it can be written again."""
        if type(event.content) in (dict, list):
            try:
                # To write it takes a tenth of looking through it, and most have fewer brackets than may be nested.
                text = orjson.dumps(event.content)
                if text.count(b"[") + text.count(b"{") > self._settings.max_depth:
                    count_names(event.content, self._settings.max_depth)
            except (TypeError, RequestError):
                raise RefusedError("payload") from None

    def _take_feedback(self, event: CloudEvent, received: float) -> None:
        key = event.model, "", ANY
        try:
            self.pending.check(key)
            self._read_labels(event, received)
        except NotYetError:
            self.pending.add(key, received, event)

    def _read_labels(self, event: CloudEvent, received: float) -> None:
        version = self.versions.newest(event.model)
        if version is None:
            raise NotYetError
        known = self._bundles.find(self._settings.usecase_of(event.model), version.digest)
        limits = self._settings.max_rows, self._settings.max_depth
        self.labels.add(read_labels(event, known.schema, *limits, received, known.decoder.entity))
        if self._settings.traces:
            self._trace(event.parent, received, {PUID: event.puid, MODEL: event.model})

    def _trace(self, parent: str, received: float, about: dict[str, Any]) -> None:
        if parent:
            self.traced.append(TracedEvent(parent, received, about))


def _columns_of(event: CloudEvent) -> dict[str, Any]:
    """The content of an event of many predictions; raises RefusedError (payload)."""
    try:
        # As JSON itself, such an event would be parsed where it is acknowledged: it comes in binary mode.
        document = orjson.loads(event.content) if isinstance(event.content, bytes) else None
    except orjson.JSONDecodeError:
        document = None
    if type(document) is not dict:
        raise RefusedError("payload")
    return document


def _name(value: Any, limit: int) -> str:
    """A text that is no longer than a name may be."""
    if type(value) is not str or len(value) > limit:
        raise RefusedError("unknown model")
    return value
