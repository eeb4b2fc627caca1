"""Holding an exported graph against the scikit-learn pipeline: on rows of the table and on probes of the schema."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError
from lifeboat.model.onnx.precision import is_exact
from lifeboat.model.probes import Probes, describe_row, make_probes
from lifeboat.model.scoring import Scorer
from lifeboat.model.tensors import tensor_type
from lifeboat.tasks.learning import Fitted
from lifeboat.train.words import words_of
from lifeboat.usecase.schema import Schema


def data_frame(table: pa.Table, schema: Schema) -> Any:
    """The raw inputs as the features take them: float32 columns, float64 where wide, and columns of Python strings."""
    frame = table.select(list(schema.names)).to_pandas()
    return frame.astype({column.name: tensor_type(column) for column in schema.columns})


def check_parity(model: Fitted, graph: bytes, schema: Schema, table: pa.Table) -> tuple[Scorer, float]:
    """Scores all rows and the probes in both worlds.

    Args:
        model: that was fitted.
        graph: what was exported of it.
        schema: of a raw row.
        table: the training rows.

    Returns:
        The graph, loaded, and the largest difference of an answer.

    Raises:
        BundleError: the graph does not load, or an answer differs by more than rounding explains; it names the row,
            both answers and what is special about the row.
    """
    scorer = Scorer(graph, schema)
    rows = table.select(list(schema.names))
    worst = _compare(model, scorer, Probes(rows, ["it is a training row"] * rows.num_rows))
    # Behind a step that is not computed bit for bit a threshold has no exact place.
    exact = is_exact(onnx.load_from_string(graph).graph)
    return scorer, max(worst, _compare(model, scorer, make_probes(schema, rows, scorer, thresholds=exact)))


def _compare(model: Fitted, scorer: Scorer, probes: Probes) -> float:
    if not probes.reasons:
        return 0.0
    expected = _expected(model, scorer.schema, probes)
    try:
        found = scorer.answers(probes.rows)
    except BundleError as error:
        place = _first_failing(scorer, probes)
        raise BundleError(f"the ONNX graph cannot answer a row ({probes.reasons[place]}): {error}") from error
    differences = np.abs(found - expected).max(axis=1)
    allowed = model.calibration.allowed(expected)
    row = int(np.argmax(differences / allowed))
    if not differences[row] <= allowed[row]:
        # Of two classes the second is the one that is spoken of.
        place = found.shape[1] - 1 - int(np.argmax(np.abs(found[row] - expected[row])[::-1]))
        raise BundleError(
            f"the ONNX graph differs from the scikit-learn pipeline by {differences[row]:.2g}, "
            f"at most {allowed[row]:.2g} may: "
            f"where {probes.reasons[row]} it answers {found[row, place]:.6g} instead of {expected[row, place]:.6g} "
            f"({describe_row(probes.rows.slice(row, 1).to_pylist()[0], scorer.schema)})"
        )
    return float(differences.max())


def _expected(model: Fitted, schema: Schema, probes: Probes) -> NDArray[np.float64]:
    frame = data_frame(probes.rows, schema)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # A probe is far from the training rows on purpose.
            warnings.simplefilter("ignore")
            return model.answers(frame)
    except (ValueError, TypeError) as error:
        place, cause = _first_refused(model, frame, error)
        said = words_of(cause, schema)
        raise BundleError(
            f"scikit-learn itself refuses a row that the schema allows ({probes.reasons[place]}): {said}"
        ) from error


def _first_refused(model: Fitted, frame: Any, error: Exception) -> tuple[int, Exception]:
    for place in range(len(frame)):
        try:
            model.answers(frame.iloc[place : place + 1])
        except (ValueError, TypeError) as own:
            return place, own
    return 0, error


def _first_failing(scorer: Scorer, probes: Probes) -> int:
    for place in range(len(probes.reasons)):
        try:
            scorer.answers(probes.rows.slice(place, 1))
        except BundleError:
            return place
    return 0
