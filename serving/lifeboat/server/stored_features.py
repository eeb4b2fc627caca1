"""Asks a feature server for what requests leave out, by the keys of their rows.

The contract is that of Feast's feature server (`POST /get-online-features`), so that Feast's own can stand there. What
comes is held against the schema like any value. What does not come, in time or at all, is a null, and counted: no
request fails by it. Requests that come while the loop is busy are asked about together, as they are predicted together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.http.http_client import HttpClient, Target
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.protocols.row_parser import Columns, NotSent
from lifeboat.system import log
from lifeboat.system.tracing import Span
from lifeboat.usecase.schema import Column, Schema, Value

PATH = "/get-online-features"
MAX_BYTES = 32 * 1024 * 1024
# After so many questions in a row that nobody answered one is asked now and then: each would take its whole time.
FAILURES, PAUSE_SECONDS = 5, 0.2
# Questions at a time; requests that come meanwhile are in the next one.
QUESTIONS = 8
# Between two lines of the log about a server that does not answer.
SAY_SECONDS = 60.0
# What is said of a value that is there, too old, or not; Feast's words. Every other word is of one that is not there.
_FOUND, _EXPIRED = ("PRESENT", "NULL_VALUE"), "OUTSIDE_MAX_AGE"
Key = tuple[Value, ...]
# By view and key: what came of it, and the values by the place of their column.
Known = dict[tuple[str, Key], tuple[str, dict[int, Any]]]


class _View(NamedTuple):
    """A view as rows ask for it: places of its keys, and of its columns with the field that each is."""

    name: str
    keys: tuple[int, ...]
    fields: dict[int, str]


class _Waiting(NamedTuple):
    """Rows whose columns are to be filled, since when, the span of their request, and what is called then."""

    columns: Columns
    since: float
    span: Span | None
    then: Callable[[], object]


class StoredFeatures:
    """The features of one model that are asked for.

    Args:
        schema: of its rows.
        keys: names of the columns by which the values of each view are found.
        url: of the feature server.
        seconds: that an answer may take.
        metrics: counts what came of each view.
        loop: on which requests are answered.

    Attributes:
        asking: the questions that go on.

    Raises:
        SettingsError: the URL is none.
    """

    def __init__(
        self,
        schema: Schema,
        keys: Mapping[str, Sequence[str]],
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
        self._metrics, self._loop = metrics, loop
        self._columns: tuple[Column, ...] = (*schema.columns, *schema.keys)
        self._views = tuple(_views(self._columns, keys))
        self._keys = sorted({place for view in self._views for place in view.keys})
        metrics.watch_views([view.name for view in self._views])
        self._waiting: list[_Waiting] = []
        self.asking: set[asyncio.Task[None]] = set()
        self._failed, self._again, self._said = 0, 0.0, -SAY_SECONDS

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
        self._waiting.append(_Waiting(columns, time.monotonic(), span, then))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._begin)

    async def filled(self, columns: Columns, span: Span | None) -> None:
        """As `fill`, for who can wait."""
        done = asyncio.Event()
        self.fill(columns, span, done.set)
        await done.wait()

    def close(self) -> None:
        """Ends the connections that are kept."""
        self._client.close()

    def _begin(self) -> None:
        if not self._waiting or len(self.asking) >= QUESTIONS:
            return
        batch, self._waiting = self._waiting, []
        task = self._loop.create_task(self._serve(batch))
        self.asking.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self.asking.discard(task)
        self._begin()

    async def _serve(self, batch: list[_Waiting]) -> None:
        begun, found = time.time_ns(), Known()
        wanted = [view for view in self._views if any(_lacks(one.columns, view) for one in batch)]
        keys = sorted({key for one in batch for key in self._keys_of(one.columns)}, key=repr)
        otherwise = await self._ask(wanted, keys, found, until=batch[0].since + self._seconds)
        for one in batch:
            self._put(one.columns, wanted, found, otherwise)
            if one.span is not None:
                one.span.child("look features up", "client", begun).end(otherwise if otherwise != "missing" else "")
            one.then()

    def _keys_of(self, columns: Columns) -> Iterable[Key]:
        return zip(*(columns[place] for place in self._keys), strict=True)

    async def _ask(self, views: list[_View], keys: list[Key], found: Known, until: float) -> str:
        """Adds what is known of each key by view; gives what a key is said to be that is not among them."""
        if time.monotonic() < self._again:
            return "failed"
        begun = time.perf_counter()
        try:
            answer = await self._client.post(
                self._question(views, keys), "application/json", None, until - time.monotonic(), MAX_BYTES
            )
            if answer.status != 200:
                raise ValueError(f"it answered {answer.status}")  # noqa: TRY301  # as what it says otherwise
            self._read(orjson.loads(answer.body), views, keys, found)
        except TimeoutError:
            return self._note("late", f"no answer within {self._seconds * 1000:g} ms")
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
            found.clear()
            return self._note("failed", repr(error))
        self._metrics.looked_up(time.perf_counter() - begun)
        self._failed = 0
        return "missing"

    def _note(self, result: str, reason: str) -> str:
        """Counts a question that was not answered; after some in a row none is asked for a while."""
        self._failed += 1
        now = time.monotonic()
        if self._failed >= FAILURES:
            self._again = now + PAUSE_SECONDS
        if now - self._said > SAY_SECONDS:
            self._said = now
            log.error(
                "stored features are null: the feature server gives none", url=self._client.target.url, reason=reason
            )
        return result

    def _question(self, views: list[_View], keys: list[Key]) -> bytes:
        features = [f"{view.name}:{field}" for view in views for field in view.fields.values()]
        entities = {
            self._columns[place].name: [self._sent(place, key[number]) for key in keys]
            for number, place in enumerate(self._keys)
        }
        return orjson.dumps({"features": features, "entities": entities, "full_feature_names": True})

    def _sent(self, place: int, value: Value) -> Value:
        """A key as it is asked for: a whole number as one; of a null something, for its answer is not looked at."""
        if self._columns[place].is_number:
            return 0 if value != value else int(value)
        return value

    def _read(self, answer: Any, views: list[_View], keys: list[Key], found: Known) -> None:
        names = {name: number for number, name in enumerate(answer["metadata"]["feature_names"])}
        for view in views:
            own = [self._keys.index(place) for place in view.keys]
            parts = {place: answer["results"][names[f"{view.name}__{field}"]] for place, field in view.fields.items()}
            for number, key in enumerate(keys):
                if any(self._is_null(self._keys[one], key[one]) for one in own):
                    continue
                said = {part["statuses"][number] for part in parts.values()}
                if said <= {*_FOUND}:
                    values = {place: part["values"][number] for place, part in parts.items()}
                    found[view.name, key] = self._checked(values)
                elif _EXPIRED in said:
                    found[view.name, key] = "expired", {}

    def _is_null(self, place: int, value: Value) -> bool:
        return value != value if self._columns[place].is_number else not value

    def _checked(self, values: dict[int, Any]) -> tuple[str, dict[int, Any]]:
        """The values as the model takes them; none of a view of which one breaks its column's rules."""
        try:
            return "found", {place: self._columns[place].parse(value) for place, value in values.items()}
        except ValueError:  # its words have the value
            return "wrong", {}

    def _put(
        self, columns: Columns, views: list[_View], found: Known,
        otherwise: str,
    ) -> None:  # fmt: skip
        """Replaces what was not sent, and counts each row of each view by what came of it."""
        keys = list(self._keys_of(columns))
        for view in views:
            if not _lacks(columns, view):
                continue
            rows = [found.get((view.name, key), (otherwise, _NOTHING)) for key in keys]
            self._metrics.features(view.name, [result for result, _ in rows])
            for place in view.fields:
                if type(columns[place]) is NotSent:
                    null = self._columns[place].null
                    columns[place] = [values.get(place, null) for _, values in rows]


_NOTHING: dict[int, Any] = {}


def _views(columns: Sequence[Column], keys: Mapping[str, Sequence[str]]) -> Iterable[_View]:
    places = {column.name: place for place, column in enumerate(columns)}
    for name, by in sorted(keys.items()):
        fields = {
            place: column.source.partition(":")[2]
            for place, column in enumerate(columns)
            if column.source.partition(":")[0] == name and column.source
        }
        yield _View(name, tuple(places[key] for key in by), fields)


def _lacks(columns: Columns, view: _View) -> bool:
    return any(type(columns[place]) is NotSent for place in view.fields)
