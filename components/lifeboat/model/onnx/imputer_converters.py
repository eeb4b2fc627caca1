"""ONNX forms of scikit-learn's imputers, of strings and of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.onnx.nodes import Nodes
from lifeboat.model.onnx.projection_converters import squared_distances


def simple_imputer(nodes: Nodes) -> None:
    """The statistic where a value is missing; then flags of what was missing if asked."""
    model = nodes.model
    if _is_plain(nodes):
        nodes.add(
            "Imputer",
            nodes.source,
            output=nodes.result,
            domain="ai.onnx.ml",
            imputed_value_floats=model.statistics_.astype(np.float32).tolist(),
            replaced_value_float=np.nan,
        )
        return
    missing, x = missing_mask(nodes, model.missing_values), nodes.source if nodes.is_text else nodes.numbers()
    statistics = model.statistics_
    kept = np.arange(len(statistics))
    if not model.keep_empty_features:
        kept = np.flatnonzero([item == item and item is not None for item in statistics])
    chosen = missing
    if len(kept) < len(statistics):
        x, chosen = nodes.columns(kept, x), nodes.columns(kept, missing)
    filled = nodes.add("Where", chosen, _fill(nodes, statistics[kept]), x)
    if nodes.is_text:
        nodes.add("Identity", filled, output=nodes.result)
        return
    if model.indicator_ is not None:
        flags = nodes.cast(nodes.columns(model.indicator_.features_, missing), nodes.dtype)
        filled = nodes.join([filled, flags])
    nodes.finish(filled)


def _is_plain(nodes: Nodes) -> bool:
    """Whether it is what ONNX's one node of this name does: of float32, NaN by a number in each column."""
    model = nodes.model
    if nodes.is_text or nodes.dtype != np.float32 or model.indicator_ is not None:
        return False
    return model.missing_values != model.missing_values and not np.isnan(model.statistics_.astype(np.float64)).any()


def _fill(nodes: Nodes, statistics: NDArray[Any]) -> str:
    """What stands for a missing value of each column, [1, k]."""
    if nodes.is_text:
        return nodes.constant(np.array([[str(item) for item in statistics]], dtype=object))
    return nodes.number(statistics.astype(nodes.model._fill_dtype)[None, :])


def missing_indicator(nodes: Nodes) -> None:
    """1 where a value is missing, of the columns chosen at training."""
    missing = missing_mask(nodes, nodes.model.missing_values)
    nodes.finish(nodes.columns(nodes.model.features_, missing))


def missing_mask(nodes: Nodes, missing_values: Any) -> str:
    """Whether each cell is what stands for a missing value, bool [n, k]."""
    if nodes.is_text:
        shown = missing_values if isinstance(missing_values, str) else "\0 no text is this"
        return nodes.add("Equal", nodes.source, nodes.constant(np.array([[shown]], dtype=object)))
    if isinstance(missing_values, float) and np.isnan(missing_values):
        return nodes.add("IsNaN", nodes.source)
    if not isinstance(missing_values, int | float):
        raise NotImplementedError(f"missing_values={missing_values!r} of a number is no number")
    return nodes.add("Equal", nodes.numbers(), nodes.number(missing_values))


def nearest_neighbours(nodes: Nodes) -> None:
    """The mean of the nearest training rows that have the value, by the distance over what both rows have.

    Raises:
        NotImplementedError: neighbours are weighted by their distance, or what is missing is no NaN.
    """
    model = nodes.model
    if model.weights != "uniform" or model.metric != "nan_euclidean" or model.missing_values == model.missing_values:
        raise NotImplementedError("it has an ONNX form for weights='uniform', metric='nan_euclidean' and NaN only")
    x, missing = nodes.numbers(), nodes.add("IsNaN", nodes.source)
    distances = _distances(nodes, x, missing)
    kept = np.flatnonzero(model._valid_mask)
    columns = [_neighbours_column(nodes, column, x, missing, distances) for column in kept.tolist()]
    if model.indicator_ is not None:
        columns.append(nodes.cast(nodes.columns(model.indicator_.features_, missing), nodes.dtype))
    nodes.finish(nodes.join(columns))


def _distances(nodes: Nodes, x: str, missing: str) -> str:
    """Squares of the distances from every training row, infinite where no column is there in both, [n, m].

    In the precision and the order of `sklearn.metrics.pairwise.nan_euclidean_distances`, or near ties fall otherwise.
    """
    model = nodes.model
    absent = model._mask_fit_X
    rows = np.where(absent, 0, model._fit_X).astype(nodes.dtype)
    filled = nodes.add("Where", missing, nodes.number(0), x)
    gone = nodes.cast(missing, nodes.dtype)
    total = nodes.cast(squared_distances(nodes, nodes.cast(filled, np.float64), rows), nodes.dtype)
    squares = nodes.add("MatMul", nodes.add("Mul", filled, filled), nodes.number(absent.T))
    total = nodes.add("Sub", total, squares)
    total = nodes.add("Sub", total, nodes.add("MatMul", gone, nodes.number((rows * rows).T)))
    total = nodes.add("Max", total, nodes.number(0))
    here = nodes.add("Sub", nodes.number(1), gone)
    both = nodes.add("MatMul", here, nodes.number(~absent.T))
    mean = nodes.add("Div", total, nodes.add("Max", both, nodes.number(1)))
    distance = nodes.add("Sqrt", nodes.add("Mul", mean, nodes.number(rows.shape[1])))
    none = nodes.add("Equal", both, nodes.number(0))
    return nodes.add("Where", none, nodes.number(np.inf), distance)


def _neighbours_column(nodes: Nodes, column: int, x: str, missing: str, distances: str) -> str:
    model = nodes.model
    donors = np.flatnonzero(~model._mask_fit_X[:, column])
    values = model._fit_X[donors, column].astype(np.float64)
    near, places = nodes.variable("near"), nodes.variable("places")
    nodes.container.add_node(
        "TopK",
        [nodes.columns(donors, distances), nodes.constant(np.array([min(model.n_neighbors, len(donors))]))],
        [near, places],
        op_domain="",
        op_version=11,
        name=nodes.scope.get_unique_operator_name(f"{nodes.prefix}_TopK"),
        axis=1,
        largest=0,
        sorted=1,
    )
    far = nodes.add("IsInf", nodes.cast(near, np.float64))
    counted = nodes.cast(nodes.add("Not", far), np.float64)
    axis = nodes.constant(np.array([1]))
    taken = nodes.add("Mul", nodes.add("Gather", nodes.constant(values), places, axis=0), counted)
    total, count = (nodes.add("ReduceSum", item, axis, keepdims=1) for item in (taken, counted))
    mean = nodes.add("Div", total, nodes.add("Max", count, nodes.constant(np.float64(1))))
    alone = nodes.add("Equal", count, nodes.constant(np.float64(0)))
    found = nodes.add("Where", alone, nodes.constant(np.float64(values.mean())), mean)
    gap = nodes.column(column, missing)
    return nodes.add("Where", gap, nodes.cast(found, nodes.dtype), nodes.column(column, x))
