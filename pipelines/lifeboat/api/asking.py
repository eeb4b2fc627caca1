"""Asking a model: a frame answered in process or by HTTP, in the frame's own kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.api import contributions
from lifeboat.config.errors import DataError, DeployError, RegistryError, first_line
from lifeboat.config.settings import Settings, read_settings
from lifeboat.data.cells import is_text
from lifeboat.data.reading import without_views
from lifeboat.data.table import check_table
from lifeboat.deploy.probe import ask, describe, read_answers
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.model.scoring import Scorer
from lifeboat.pipeline.batch_scoring import answer_columns
from lifeboat.registry.registry import CHAMPION, Registry
from lifeboat.usecase.explain_policy import ExplainPolicy

# Rows that the client sends at a time, and of which it asks the reasons at a time: each costs a thousand predictions.
ROWS, EXPLAINED_ROWS = 1000, 20
_FRAME = "the frame"
_Ask = Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]]
_PLAIN = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)


def load(reference: str | Path, settings: Settings | None = None) -> Model:
    """A model from the registry, or from a directory, to be asked in this process.

    Args:
        reference: `NAME@ALIAS`, such as titanic@champion; `NAME@VERSION`; `NAME`, which is its champion; or a bundle's
            directory, as a `Path` or as a text with a slash in it.
        settings: of the home; those of the project of this folder, and of the environment, unless given.

    Raises:
        RegistryError: there is no such version.
        BundleError: the bundle was altered, or is none.
    """
    if isinstance(reference, Path) or "/" in reference:
        return Model(open_bundle(reference))
    name, at, alias = reference.partition("@")
    if not name or (at and not alias):
        forms = "NAME, NAME@ALIAS such as titanic@champion, NAME@VERSION, or a bundle's directory with a slash in it"
        raise RegistryError(f"{reference!r} names no model; it takes {forms}")
    registry = Registry((settings or read_settings()).resolved())
    version = registry.numbered(name, alias) if alias.isdecimal() else registry.get(name, alias or CHAMPION)
    return Model(registry.bundle(version))


class Model:
    """A bundle's model, in this process.

    Args:
        bundle: as `lifeboat.model.bundle.open_bundle` gives it.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._scorer = Scorer(bundle.model, bundle.schema)

    def __repr__(self) -> str:
        return f"Model({self.bundle.usecase}, bundle {self.bundle.digest[:12]})"

    def predict(self, frame: Any) -> Any:
        """The answer to each row: float32 numbers, such as the probability of each class, and the prediction.

        Args:
            frame: raw columns as in the schema: a pandas or polars DataFrame, an Arrow table, or whatever else offers
                the Arrow C stream interface. Columns that may be null may be missing; others than the schema's are
                left out.

        Returns:
            `probability_<class>` for each class, or `value`, `lower` and `upper` of a number, and `prediction`: of
            pandas' kind with the frame's index, of polars', or an Arrow table.

        Raises:
            DataError: a value breaks the schema; names row, column and limit.
        """
        answers = self._scorer.answers(self._checked(frame))
        return _as_kind(frame, pa.table(answer_columns(answers, self.bundle.task, self.bundle.decision)))

    def explain(
        self, frame: Any, outputs: Sequence[str] | None = None, groups: Sequence[Sequence[str]] | None = None
    ) -> Any:
        """What each column adds to each row's answer: Shapley values beside rows of the bundle's reference.

        Args:
            frame: as of `predict`.
            outputs: which numbers of the answer, such as `probability_survived`; unless given the probability of the
                second of two classes, of each of several, or the value.
            groups: columns that count as one, such as a date and its weekday; as the use case says unless given.

        Returns:
            Of each row and output one row for each column (or group, its names joined by " + "), in the frame's kind:
            `row`, its place from 0; `output`; `answer`; `base`, the mean answer of the reference's rows; `column`;
            `contribution`, which with the base add up to the answer; and `error`, the contribution's standard error,
            which is 0 for up to ten columns, of which every coalition is counted.

        Raises:
            DataError: a value breaks the schema; there is no such output.
            UseCaseError: a group names a column that there is not.
        """
        table = self._checked(frame)
        own = ExplainPolicy.of_manifest(self.bundle.manifest)
        policy = own if groups is None else replace(own, groups=tuple(map(tuple, groups)))
        found = Explainer(self.bundle, policy, scorer=self._scorer).explain(table, outputs)
        return _as_kind(frame, contributions.of_model(found), keep_index=False)

    def _checked(self, frame: Any) -> pa.Table:
        table = _as_table(frame)
        for column in self.bundle.schema.columns:
            # As an endpoint does. In a file everything is text; a frame says what is a number.
            if not column.is_text and column.name in table.column_names and is_text(table[column.name].type):
                raise DataError(f"has type string, asked: {column.kind}", file=_FRAME, column=column.name)
        checked = check_table(table, self.bundle.schema, labelled=False, name=_FRAME)
        if checked.problems:
            raise checked.first_error(_FRAME)
        return checked.table


class Client:
    """A model behind an endpoint, in Seldon's protocol.

    Args:
        url: of the model server or of the way to it, without a path.
        logged: whether what is asked counts as traffic, for drift and for what is learned from.
        token: a bearer token, where the endpoint takes one.
    """

    def __init__(self, url: str, *, logged: bool = True, token: str = "") -> None:
        self.url, self._logged, self._token = url.rstrip("/"), logged, token

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def predict(self, frame: Any) -> Any:
        """As `Model.predict`; the server holds the rows against the schema, and the first error ends it.

        Raises:
            DeployError: no answer, or one that is no success, with what the server says.
            DataError: `frame` is none.
        """
        # Asked each time: behind one address a new version may take over, with other inputs and another threshold.
        served = describe(self.url, self._token)
        task, decision = read_answers(served)
        parts = [np.empty((0, task.width), np.float32)]
        for rows, _ in self._parts(frame, served, ROWS):
            answers, _ = rows({})
            parts.append(np.asarray(answers, np.float32))
        return _as_kind(frame, pa.table(answer_columns(np.concatenate(parts), task, decision)))

    def explain(self, frame: Any, outputs: Sequence[str] | None = None) -> Any:
        """As `Model.explain`, by the endpoint's explainer, with the groups of its use case; it counts as no traffic.

        Raises:
            DeployError: no answer, or one that is no success, with what the server says; it explains nothing.
            DataError: `frame` is none.
        """
        served = describe(self.url, self._token)
        task, _ = read_answers(served)
        parts = [contributions.SCHEMA.empty_table()]
        for rows, start in Client(self.url, logged=False, token=self._token)._parts(frame, served, EXPLAINED_ROWS):
            _, tags = rows({"explain": True if outputs is None else list(outputs)})
            if "explanation" not in tags:
                raise DeployError(f"{self.url} gives no reasons: it is a server of an earlier edition")
            parts.append(contributions.of_endpoint(tags["explanation"], task, start))
        return _as_kind(frame, pa.concat_tables(parts), keep_index=False)

    def _parts(self, frame: Any, served: dict[str, Any], size: int) -> Iterator[tuple[_Ask, int]]:
        """What asks for some rows of a frame, given tags, and the place of the first of them."""
        [inputs] = served["inputs"]
        table = _as_table(frame)
        names = [*inputs["schema"]["names"], *json.loads(served["custom"].get("store_keys", "[]"))]
        given = [name for name in dict.fromkeys(names) if name in table.column_names]
        if not given:
            raise DataError(f"has none of the columns {', '.join(inputs['schema']['names'])}", file=_FRAME)
        sent = pa.table({name: _as_json(table[name], name) for name in given})
        for start in range(0, sent.num_rows, size):
            rows = sent.slice(start, size).to_pylist()
            where = f"rows {start + 1:,} to {start + len(rows):,} of the frame: " if sent.num_rows > size else ""
            yield partial(self._ask, rows, where), start

    def _ask(self, rows: list[dict[str, Any]], where: str, tags: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        try:
            return ask(self.url, rows, token=self._token, logged=self._logged, tags=tags)
        except DeployError as error:
            raise DeployError(f"{where}{error}") from error


def _as_table(frame: Any) -> pa.Table:
    if not hasattr(frame, "__arrow_c_stream__"):
        raise DataError(f"is a {type(frame).__name__}, not a pandas or polars DataFrame or an Arrow table", file=_FRAME)
    try:
        table = without_views(pa.table(frame))
    except (ValueError, TypeError) as error:  # Arrow's own errors are such, and pandas' of a column named twice
        raise DataError(f"cannot be read: {first_line(error)}", file=_FRAME) from error
    plain = [_decoded(column) for column in table.columns]
    return pa.table(plain, table.column_names)


def _decoded(column: Any) -> Any:
    """A column of categories as one of their values."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _as_json(column: Any, name: str) -> Any:
    """What JSON can say: it knows no NaN, which stands for a null in a frame, nothing infinite, and no times."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if not pa.types.is_floating(column.type):
        if not (is_text(column.type) or any(test(column.type) for test in _PLAIN)):
            raise DataError(f"has type {column.type}, not text, numbers, or true and false", file=_FRAME, column=name)
        return column
    infinite = pc.fill_null(pc.is_inf(column), False)
    if pc.any(infinite).as_py():
        row = pc.index(infinite, True).as_py()
        raise DataError(f"{column[row].as_py()} is no number that JSON has", file=_FRAME, row=row + 1, column=name)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _as_kind(frame: Any, table: pa.Table, keep_index: bool = True) -> Any:
    """A table in the frame's own kind, with its index where there is a row for each of its rows."""
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas":
        found = table.to_pandas()
        return found.set_axis(frame.index) if keep_index else found
    return sys.modules["polars"].from_arrow(table) if library == "polars" else table
