"""Many predictions in one event, column by column: as the model server writes them and the drift detector reads them.

The event is a CloudEvent in binary mode whose content is JSON. Inputs and outputs in it are the tensors of the Open
Inference Protocol, over the rows of all its predictions, one after the other; which rows are whose stands beside them:

    {"model_name": "titanic", "model_version": "7", "parameters": {"bundle_digest": "…"},
     "predictions": {"id": ["…", "…"], "client_id": ["", "order 12"], "time": [1764232021.1, 1764232021.2],
                     "rows": [1, 2]},
     "inputs": [{"name": "Age", "datatype": "FP32", "shape": [3, 1], "data": [22.0, null, 38.0]}, …],
     "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [3, 2], "data": [0.9, 0.1, …]}]}

Inputs are those of the model, and the keys that a request gave. `client_id` is left out where no request has one, and
so is `traceparent`, of the trace of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifeboat.http.errors import bad
from lifeboat.server.protocols.outputs import OutputWriter, describe, identified
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import RequestId
from lifeboat.system.tracing import HEADER, Span
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Task
from lifeboat.usecase.column import Column
from lifeboat.usecase.schema import Schema, Value

# Of CloudEvents, and the attribute that says how many predictions an event holds.
PREDICTIONS, COUNT = "io.lifeboat.predictions", "predictions"
# Predictions in an event, at most.
MOST = 1_000


class Predicted(NamedTuple):
    """Predictions of one run of the model as they wait to be sent.

    Args:
        ids, rows: of the requests, and how many rows each has.
        time: in seconds since 1970.
        columns: inputs and keys of all their rows, n values each.
        answers: of the model, [n, width].
        size: bytes of it, more or less.
        spans: of each request's event, where it is traced; none at all where nobody traces.
    """

    ids: list[RequestId]
    rows: list[int]
    time: float
    columns: Columns
    answers: NDArray[np.float32]
    size: int
    spans: Sequence[Span | None] = ()

    def end_spans(self, error: str) -> None:
        """They are sent, or what kept them from it."""
        for span in self.spans:
            if span is not None:
                span.end(error)

    @property
    def number(self) -> int:
        """How many predictions."""
        return len(self.ids)

    @property
    def total(self) -> int:
        """How many rows."""
        return len(self.answers)


class InputWriter:
    """Writes rows as the tensors of the Open Inference Protocol.

    Args:
        schema: of the rows.
    """

    def __init__(self, schema: Schema) -> None:
        self._known, self._keys = list(schema.known.values()), len(schema.names)
        kinds = {column.name: column.kind for column in self._known}
        self._inputs = [(one["name"], one["datatype"]) for one in describe(kinds, {})["inputs"]]

    def write(self, columns: Columns) -> list[dict[str, Any]]:
        """One for each input, and for each key that some row has; NaN in them is a null, as orjson writes it."""
        known = zip(self._inputs, self._known, columns, strict=False)
        return [
            {"name": name, "datatype": datatype, "shape": (len(values), 1), "data": _written(column, values)}
            for place, ((name, datatype), column, values) in enumerate(known)
            if place < self._keys or not _is_absent(column, values)
        ]


class ColumnarWriter:
    """Writes the predictions of one model.

    Args:
        schema: of its rows.
        task, decision: what answers are.
        tags: name model, version and bundle.
    """

    def __init__(self, schema: Schema, task: Task[Any, Any], decision: Decision, tags: Mapping[str, str]) -> None:
        self._inputs = InputWriter(schema)
        self._outputs, self._answered = OutputWriter(task, decision), sorted(task.answer_outputs)
        self._head = identified(tags)

    def write(self, batch: Sequence[Predicted]) -> bytes:
        """The content of an event."""
        answers = np.concatenate([one.answers for one in batch])
        ids = [id_ for one in batch for id_ in one.ids]
        predictions: dict[str, Any] = {
            "id": [id_.puid for id_ in ids],
            "time": [one.time for one in batch for _ in one.ids],
            "rows": [rows for one in batch for rows in one.rows],
        }
        aliases = [id_.alias for id_ in ids]
        if any(aliases):
            predictions["client_id"] = aliases
        if any(one.spans for one in batch):
            spans = [span for one in batch for span in one.spans or [None] * one.number]
            predictions[HEADER] = ["" if span is None else span.traceparent for span in spans]
        columns = [list(chain.from_iterable(parts)) for parts in zip(*(one.columns for one in batch), strict=True)]
        outputs = [self._outputs.write(name, False, answers, []) for name in self._answered]
        document = {**self._head, "predictions": predictions, "inputs": self._inputs.write(columns), "outputs": outputs}
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


@dataclass(frozen=True)
class Requests:
    """Whose the rows of an event are.

    Args:
        ids, aliases: what each request is called, "" for no alias.
        times: when each was answered, in seconds since 1970.
        rows: how many each had.
        parents: the `traceparent` of each, "" for one that is not traced; empty where none is.
    """

    ids: list[str]
    aliases: list[str]
    times: list[float]
    rows: list[int]
    parents: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Requests:
        """From an event's content.

        Raises:
            RequestError: 400; it names what is wrong.
        """
        said = document.get("predictions")
        if type(said) is not dict:
            raise bad("predictions is not an object")
        ids = _checked(said, "id", str, MOST)
        rows = _checked(said, "rows", int, len(ids), len(ids))
        times = _checked(said, "time", float, len(ids), len(ids))
        aliases = _checked(said, "client_id", str, len(ids), len(ids)) if "client_id" in said else [""] * len(ids)
        parents = _checked(said, HEADER, str, len(ids), len(ids)) if HEADER in said else []
        if not all(ids) or min(rows) < 1:
            raise bad("predictions: an id is empty, or one has no rows")
        return cls(ids, aliases, times, rows, parents)


def read_inputs(document: dict[str, Any], rows: int, read: Callable[[dict[str, list[Any]], int], Columns]) -> Columns:
    """The columns of an event's content, checked by a reader.

    Args:
        document: the content.
        rows: how many its predictions have.
        read: takes values by column name, and their number.

    Raises:
        RequestError: 400; it names what is wrong.
    """
    inputs = document.get("inputs")
    if type(inputs) is not list or not inputs:
        raise bad("inputs is not a list of tensors, one for each column")
    found: dict[str, list[Any]] = {}
    for entry in inputs:
        name, data = (entry.get("name"), entry.get("data")) if type(entry) is dict else (None, None)
        if type(name) is not str or type(data) is not list or len(data) != rows:
            raise bad(f"an input is no tensor of {rows} values with a name")
        found[name] = data
    return read(found, rows)


def _checked(said: dict[str, Any], name: str, kind: type, most: int, least: int = 1) -> list[Any]:
    values = said.get(name)
    if type(values) is not list or not least <= len(values) <= most or not all(type(one) is kind for one in values):
        raise bad(f"predictions.{name} is no list of {least} to {most} values of {kind.__name__}")
    return values


def _written(column: Column, values: list[Value]) -> list[Any]:
    """Values as a request would say them: a datetime not as the graph counts it."""
    return [column.written(value) for value in values] if column.is_datetime else values


def _is_absent(column: Column, values: list[Value]) -> bool:
    """Whether no request gave this key."""
    return all(value != value for value in values) if column.is_number else not any(values)
