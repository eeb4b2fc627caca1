"""Asks a feature server for what requests leave out, by the keys of their rows.

The contract is that of Feast's feature server (`POST /get-online-features`), so that Feast's own can stand there. What
comes is held against the schema and against its age, like any value. What does not come, in time or at all, is a null,
and counted: no request fails by it. Requests that come while the loop is busy are asked about together, as they are
predicted together; a large one is asked about by itself, a piece at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.http.http_client import HttpClient, Target
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.protocols.row_parser import Columns, NotSent
from lifeboat.system import log
from lifeboat.system.tracing import Span
from lifeboat.usecase.column import is_null
from lifeboat.usecase.datetimes import format_moment
from lifeboat.usecase.schema import Column, Schema, Value

PATH = "/get-online-features"
MAX_BYTES = 32 * 1024 * 1024
# Keys of a question at most, and rows of a request that is asked about with others.
PIECE = 256
# While some questions go on, requests gather for so long, and so many go on at most.
SOME, MOST, GATHER_SECONDS = 2, 32, 0.001
# After so many questions in a row that nobody answered one is asked now and then: each would take its whole time.
FAILURES, PAUSE_SECONDS = 5, 0.2
# Between two lines of the log about a server that does not answer.
SAY_SECONDS = 60.0
# What Feast says of a value that is there; every other word is of one that is not, or is too old.
_THERE, _EXPIRED = ("PRESENT", "NULL_VALUE"), "OUTSIDE_MAX_AGE"
Key = tuple[Value, ...]


class View(NamedTuple):
    """A view as rows ask for it.

    Args:
        name: of it.
        keys: places of the columns by which its values are found.
        fields: place of each column that is its, and the field that it is.
        max_age: seconds; None for values of any age.
    """

    name: str
    keys: tuple[int, ...]
    fields: dict[int, str]
    max_age: float | None


class Known(NamedTuple):
    """What is known of a key in a view: what came of it, and the values by the place of their column."""

    result: str
    values: dict[int, Value]


_LATE, _FAILED, _MISSING = (Known(result, {}) for result in ("late", "failed", "missing"))


class _Waiting(NamedTuple):
    """Rows whose columns are to be filled, until when, the span of their request, and what is called then."""

    columns: Columns
    until: float
    span: Span | None
    then: Callable[[], object]


class Load:
    """How many requests wait, as a length."""

    def __init__(self) -> None:
        self.number = 0

    def __len__(self) -> int:
        return self.number


class StoredFeatures:
    """The features of one model that are asked for.

    Args:
        schema: of its rows.
        views: of the bundle's manifest: by name the `keys` and the `max_age`.
        url: of the feature server.
        seconds: that an answer may take.
        metrics: counts what came of each view.
        loop: on which requests are answered.

    Attributes:
        load: requests that wait for their features.

    Raises:
        SettingsError: the URL is none.
    """

    def __init__(
        self,
        schema: Schema,
        views: Mapping[str, Mapping[str, Any]],
        url: str,
        seconds: float,
        metrics: ServerMetrics,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        try:
            target = Target.of(url.rstrip("/") + PATH)
        except ValueError as error:
            raise SettingsError(f"features_url is {url!r}: {error}") from None
        self._client, self._seconds = HttpClient(target), seconds
        self._metrics, self._loop, self.load = metrics, loop, Load()
        self._columns: tuple[Column, ...] = (*schema.columns, *schema.keys)
        self._views = tuple(_views(self._columns, views))
        self._keys = sorted({place for view in self._views for place in view.keys})
        metrics.watch_views([view.name for view in self._views])
        self._waiting: list[_Waiting] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._failed, self._failed_at, self._again, self._said = 0, 0.0, 0.0, -SAY_SECONDS

    def fill(self, columns: Columns, span: Span | None, then: Callable[[], object]) -> None:
        """Fills the columns that a request did not send, and calls `then`, on the loop.

        Args:
            columns: of the request, as `Reader` gives them; those that were not sent are replaced.
            span: of the request, where it is traced.
            then: goes on.
        """
        if not any(type(column) is NotSent for column in columns):
            then()
            return
        self.load.number += 1
        one = _Waiting(columns, time.monotonic() + self._seconds, span, then)
        if len(columns[0]) > PIECE:
            self._start([one])
            return
        self._waiting.append(one)
        if len(self._waiting) > 1:
            return
        if len(self._asking) < SOME:
            self._loop.call_soon(self._begin)
        else:
            self._loop.call_later(GATHER_SECONDS, self._begin)

    async def filled(self, columns: Columns, span: Span | None) -> None:
        """As `fill`, for who can wait."""
        done = asyncio.Event()
        self.fill(columns, span, done.set)
        await done.wait()

    def _begin(self) -> None:
        if self._waiting and len(self._asking) < MOST:
            batch, self._waiting = self._waiting, []
            self._start(batch)

    def _start(self, batch: list[_Waiting]) -> None:
        task = self._loop.create_task(self._serve(batch))
        self._asking.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        self._begin()

    async def _serve(self, batch: list[_Waiting]) -> None:
        begun, known = time.time_ns(), dict[tuple[str, Key], Known]()
        views = [view for view in self._views if any(_lacks(one.columns, view) for one in batch)]
        keys = list({key: None for one in batch for key in self._keys_of(one.columns)})
        otherwise = await self._ask_all(views, keys, known, batch[0].until)
        for one in batch:
            self.load.number -= 1
            try:
                self._put(one.columns, views, known, otherwise)
                if one.span is not None:
                    error = "" if otherwise is _MISSING else otherwise.result
                    one.span.child("look features up", "client", begun).end(error)
                one.then()
            except Exception as error:  # the others of this question must still be answered
                log.error("a request cannot go on after its features were looked up", error)

    def _keys_of(self, columns: Columns) -> Iterable[Key]:
        return zip(*(columns[place] for place in self._keys), strict=True)

    async def _ask_all(
        self, views: list[View], keys: list[Key], known: dict[tuple[str, Key], Known], until: float
    ) -> Known:
        """Adds what is known of the keys; gives what is to be said of one that is not among it."""
        is_large = len(keys) > PIECE
        for start in range(0, len(keys), PIECE):
            otherwise = await self._ask(views, keys[start : start + PIECE], known, until, counts=not is_large)
            if otherwise is not _MISSING:
                return otherwise
            # Each piece has the time of a question; a single one what is left of its requests'.
            until = time.monotonic() + self._seconds
        return _MISSING

    async def _ask(
        self, views: list[View], keys: list[Key], known: dict[tuple[str, Key], Known], until: float, *, counts: bool
    ) -> Known:
        begun = time.monotonic()
        if self._failed >= FAILURES:
            if begun < self._again:
                return _FAILED
            self._again = begun + PAUSE_SECONDS
        if begun >= until:
            return _LATE
        try:
            question = self._question(views, keys)
            answer = await self._client.post(question, "application/json", None, until - begun, MAX_BYTES)
            if answer.status != 200:
                raise ValueError(f"it answered {answer.status}")  # noqa: TRY301  # as what it says otherwise
            known |= self._read(orjson.loads(answer.body), views, keys)
        except TimeoutError:
            self._note(begun, f"no answer within {self._seconds * 1000:g} ms", counts=counts)
            return _LATE
        except Exception as error:  # whatever it says, the request is answered
            self._note(begun, repr(error), counts=counts)
            return _FAILED
        self._metrics.looked_up(time.monotonic() - begun)
        self._failed = 0
        return _MISSING

    def _note(self, begun: float, reason: str, *, counts: bool) -> None:
        """Counts a question that was not answered, of those that went on together one."""
        now = time.monotonic()
        if counts and begun >= self._failed_at:
            self._failed, self._failed_at = self._failed + 1, now
            self._again = now + PAUSE_SECONDS
        if now - self._said > SAY_SECONDS:
            self._said = now
            url = self._client.target.url
            log.error("stored features are null: the feature server gives none", url=url, reason=reason)

    def _question(self, views: list[View], keys: list[Key]) -> bytes:
        features = [f"{view.name}:{field}" for view in views for field in view.fields.values()]
        entities = {
            self._columns[place].name: [self._sent(place, key[number]) for key in keys]
            for number, place in enumerate(self._keys)
        }
        return orjson.dumps({"features": features, "entities": entities, "full_feature_names": True})

    def _sent(self, place: int, value: Value) -> Value:
        """A key as it is asked for: a whole number as one; of a null something, for its answer is not looked at."""
        if self._columns[place].is_number:
            return 0 if is_null(value) else int(value)
        return value

    def _read(self, answer: Any, views: list[View], keys: list[Key]) -> dict[tuple[str, Key], Known]:
        names = {name: number for number, name in enumerate(answer["metadata"]["feature_names"])}
        known, now = dict[tuple[str, Key], Known](), time.time()
        for view in views:
            own = [self._keys.index(place) for place in view.keys]
            parts = {place: answer["results"][names[f"{view.name}__{field}"]] for place, field in view.fields.items()}
            for number, key in enumerate(keys):
                if not any(is_null(key[one]) for one in own):
                    known[view.name, key] = self._known(view, parts, number, now)
        return known

    def _known(self, view: View, parts: Mapping[int, Any], number: int, now: float) -> Known:
        """What an answer says of one key."""
        said = {place: part["statuses"][number] for place, part in parts.items()}
        there = {place for place, word in said.items() if word in _THERE}
        if not there:
            return Known("expired", {}) if _EXPIRED in said.values() else _MISSING
        if view.max_age is not None:
            # Feast's server gives values of any age.
            event = parts[next(iter(there))]["event_timestamps"][number]
            if now - datetime.fromisoformat(event).timestamp() > view.max_age:
                return Known("expired", {})
        try:
            values = {place: self._value(self._columns[place], parts[place]["values"][number]) for place in there}
        except ValueError:  # its words have the value
            return Known("wrong", {})
        return Known("found" if len(there) == len(parts) else "partial", values)

    @staticmethod
    def _value(column: Column, value: Any) -> Value:
        """As the model takes it. Feast's server writes moments as seconds, and a float that is none as text."""
        if column.is_datetime and type(value) in (int, float):
            value = format_moment(value * 1e6)
        elif column.is_number and value == "NaN":
            value = None
        return column.parse(value)

    def _put(
        self, columns: Columns, views: list[View], known: Mapping[tuple[str, Key], Known], otherwise: Known
    ) -> None:
        """Replaces what was not sent, and counts each row of each view by what came of it."""
        keys = list(self._keys_of(columns))
        for view in views:
            if not _lacks(columns, view):
                continue
            # Of a key that is a null nothing was asked: where the server answered it is missing.
            rows = [known.get((view.name, key), otherwise) for key in keys]
            self._metrics.features(view.name, [row.result for row in rows])
            for place in view.fields:
                if type(columns[place]) is NotSent:
                    null = self._columns[place].null
                    columns[place] = [row.values.get(place, null) for row in rows]


def _views(columns: Sequence[Column], views: Mapping[str, Mapping[str, Any]]) -> Iterable[View]:
    places = {column.name: place for place, column in enumerate(columns)}
    for name, view in sorted(views.items()):
        fields = {
            place: column.source.partition(":")[2]
            for place, column in enumerate(columns)
            if column.source.partition(":")[0] == name and column.source
        }
        yield View(name, tuple(places[key] for key in view["keys"]), fields, view["max_age"])


def _lacks(columns: Columns, view: View) -> bool:
    return any(type(columns[place]) is NotSent for place in view.fields)
