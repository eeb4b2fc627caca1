"""Asking a model: a frame answered in process or by HTTP, in the frame's own kind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.config.errors import DataError, first_line
from lifeboat.config.settings import Settings, read_settings
from lifeboat.data.reading import without_views
from lifeboat.data.table import check_table
from lifeboat.deploy.probe import ask, describe
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.model.decision import Decision
from lifeboat.model.scoring import Scorer
from lifeboat.pipeline.batch_scoring import answer_columns
from lifeboat.registry.registry import CHAMPION, Registry

# Rows that the client sends at a time.
ROWS = 1000
_FRAME = "the frame"


def load(reference: str | Path, settings: Settings | None = None) -> Model:
    """A model from the registry, or from a directory, to be asked in this process.

    Args:
        reference: `NAME@ALIAS`, such as titanic@champion; `NAME`, which is its champion; or a bundle's directory.
        settings: of the home; those of the project of this folder, and of the environment, unless given.

    Raises:
        RegistryError: there is no such version.
        BundleError: the bundle was altered, or is none.
    """
    if isinstance(reference, Path) or Path(reference).is_dir():
        return Model(open_bundle(reference))
    name, _, alias = reference.partition("@")
    registry = Registry((settings or read_settings()).resolved())
    return Model(registry.bundle(registry.get(name, alias or CHAMPION)))


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
        """The probability of each class, float32, and the predicted class, for each row.

        Args:
            frame: raw columns as in the schema: a pandas or polars DataFrame, an Arrow table, or whatever else offers
                the Arrow C stream interface. Columns that may be null may be missing; others than the schema's are
                left out.

        Returns:
            `probability_<class>` for each class and `prediction`: of pandas' kind with the frame's index, of polars',
            or an Arrow table.

        Raises:
            DataError: a value breaks the schema; names row, column and limit.
        """
        checked = check_table(_as_table(frame), self.bundle.schema, labelled=False, name=_FRAME)
        if checked.problems:
            raise checked.first_error(_FRAME)
        probabilities = self._scorer.probabilities(checked.table)
        return _answer(frame, probabilities, self.bundle.schema.label.classes, self.bundle.decision)


class Client:
    """A model behind an endpoint, in Seldon's protocol.

    Args:
        url: of the model server or of the way to it, without a path.
        logged: whether what is asked counts as traffic, for drift and for what is learned from.
    """

    def __init__(self, url: str, *, logged: bool = True) -> None:
        self.url, self._logged = url.rstrip("/"), logged

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def predict(self, frame: Any) -> Any:
        """As `Model.predict`; the server holds the rows against the schema, and the first error ends it.

        Raises:
            DeployError: no answer, or one that is no success, with what the server says.
            DataError: `frame` is none.
        """
        # Asked each time: behind one address a new version may take over, with other inputs and another threshold.
        served = describe(self.url)
        [inputs], [outputs] = served["inputs"], served["outputs"]
        classes, threshold = outputs["schema"]["names"], float(served["custom"]["threshold"])
        table = _as_table(frame)
        given = [name for name in inputs["schema"]["names"] if name in table.column_names]
        if not given:
            raise DataError(f"has none of the columns {', '.join(inputs['schema']['names'])}", file=_FRAME)
        parts = [np.empty((0, len(classes)), np.float32)]
        sent = pa.table({name: _null_for_nan(table[name]) for name in given})
        for start in range(0, sent.num_rows, ROWS):
            rows = sent.slice(start, ROWS).to_pylist()
            parts.append(np.asarray(ask(self.url, rows, logged=self._logged)[0], np.float32))
        return _answer(frame, np.concatenate(parts), classes, Decision(threshold))


def _as_table(frame: Any) -> pa.Table:
    if not hasattr(frame, "__arrow_c_stream__"):
        raise DataError(f"is a {type(frame).__name__}, not a pandas or polars DataFrame or an Arrow table", file=_FRAME)
    try:
        return without_views(pa.table(frame))
    except (ValueError, TypeError) as error:  # Arrow's own errors are such, and pandas' of a column named twice
        raise DataError(f"cannot be read: {first_line(error)}", file=_FRAME) from error


def _null_for_nan(column: Any) -> Any:
    """JSON knows no NaN, which stands for a null in a frame."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _answer(frame: Any, probabilities: NDArray[np.float32], classes: Sequence[str], decision: Decision) -> Any:
    """The answer in the frame's own kind."""
    table = pa.table(answer_columns(probabilities, classes, decision))
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas":
        return table.to_pandas().set_axis(frame.index)
    return sys.modules["polars"].from_arrow(table) if library == "polars" else table
