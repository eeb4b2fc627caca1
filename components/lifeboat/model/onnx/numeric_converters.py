"""ONNX forms of scikit-learn's numeric transformers that round as scikit-learn does.

A tree behind a transformer decides by thresholds that lie between training values: a last digit that differs can send a
row to the other side. So each form here makes the same operations, in the same precision and order. Where a function
has no exact counterpart (a logarithm, say) it is computed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from lifeboat.model.onnx.nodes import Nodes


def standard_scaler(nodes: Nodes) -> None:
    """`(x - mean) / scale`, both rounded to the input's precision first."""
    nodes.finish(_standardised(nodes, nodes.numbers(), nodes.model))


def _standardised(nodes: Nodes, x: str, scaler: StandardScaler) -> str:
    if scaler.with_mean:
        x = nodes.add("Sub", x, nodes.number(scaler.mean_))
    return nodes.add("Div", x, nodes.number(scaler.scale_)) if scaler.with_std else x


def minmax_scaler(nodes: Nodes) -> None:
    """`x * scale + min`, clipped where asked."""
    model = nodes.model
    x = nodes.inplace("Mul", nodes.numbers(), model.scale_)
    x = nodes.inplace("Add", x, model.min_)
    nodes.finish(_clipped(nodes, x, *model.feature_range) if model.clip else x)


def maxabs_scaler(nodes: Nodes) -> None:
    """`x / max |x|`."""
    x = nodes.inplace("Div", nodes.numbers(), nodes.model.scale_)
    nodes.finish(_clipped(nodes, x, -1, 1) if getattr(nodes.model, "clip", False) else x)


def robust_scaler(nodes: Nodes) -> None:
    """`(x - center) / scale`, of which each step computes in float64 and rounds."""
    x, model = nodes.numbers(), nodes.model
    if model.with_centering:
        x = nodes.inplace("Sub", x, model.center_)
    nodes.finish(nodes.inplace("Div", x, model.scale_) if model.with_scaling else x)


def _clipped(nodes: Nodes, x: str, low: float, high: float) -> str:
    return nodes.add("Clip", x, nodes.number(low), nodes.number(high))


def binarizer(nodes: Nodes) -> None:
    """1 where the value is above the threshold."""
    threshold = nodes.constant(np.float64(nodes.model.threshold))
    nodes.finish(nodes.add("Greater", nodes.cast(nodes.source, np.float64), threshold))


def k_bins(nodes: Nodes) -> None:
    """The number of inner edges that are not above the value; as one column for each bin if asked."""
    model = nodes.model
    inner = [np.asarray(edges[1:-1], np.float64) for edges in model.bin_edges_]
    most = max(1, *(len(edges) for edges in inner))
    # Float64 compares a float32 with an edge as NumPy does; missing edges are above every value.
    padded = np.array([[*edges, *[np.inf] * (most - len(edges))] for edges in inner])
    values = nodes.add("Unsqueeze", nodes.cast(nodes.source, np.float64), nodes.constant(np.array([2])))
    reached = nodes.cast(nodes.add("GreaterOrEqual", values, nodes.constant(padded)), np.float32)
    bins = nodes.add("ReduceSum", reached, nodes.constant(np.array([2])), keepdims=0)
    nodes.finish(bins if model.encode == "ordinal" else _one_column_a_bin(nodes, bins, model.n_bins_))


def _one_column_a_bin(nodes: Nodes, bins: str, counts: NDArray[np.int64]) -> str:
    widest = int(max(counts))
    unsqueezed = nodes.add("Unsqueeze", bins, nodes.constant(np.array([2])))
    equal = nodes.add("Equal", unsqueezed, nodes.constant(np.arange(widest, dtype=np.float32)))
    flat = nodes.add("Reshape", nodes.cast(equal, np.float32), nodes.constant(np.array([0, len(counts) * widest])))
    kept = [column * widest + place for column, count in enumerate(counts) for place in range(count)]
    return flat if len(kept) == len(counts) * widest else nodes.columns(kept, flat)


def polynomial(nodes: Nodes) -> None:
    """Products of columns, multiplied from the last factor to the first as scikit-learn does."""
    model, x = nodes.model, nodes.numbers()
    combinations = [list(row.nonzero()[0].repeat(row[row.nonzero()])) for row in model.powers_]
    blocks, start = [], 0
    while start < len(combinations):
        degree = len(combinations[start])
        same = [item for item in combinations[start:] if len(item) == degree]
        blocks.append(_products(nodes, x, same))
        start += len(same)
    nodes.finish(nodes.join(blocks))


def _products(nodes: Nodes, x: str, combinations: list[list[int]]) -> str:
    if not combinations[0]:
        first = nodes.columns([0], x)
        return nodes.add("Where", nodes.add("Equal", first, first), nodes.number([[1]]), nodes.number([[1]]))
    product = nodes.columns([item[-1] for item in combinations], x)
    for place in range(len(combinations[0]) - 2, -1, -1):
        product = nodes.add("Mul", product, nodes.columns([item[place] for item in combinations], x))
    return product


def power(nodes: Nodes) -> None:
    """Yeo-Johnson or Box-Cox in float64, then the scaler in the input's precision."""
    model, x = nodes.model, nodes.cast(nodes.source, np.float64)
    form = _yeo_johnson if model.method == "yeo-johnson" else _box_cox
    columns = [form(nodes, nodes.column(place, x), float(power)) for place, power in enumerate(model.lambdas_)]
    powered = nodes.cast(nodes.join(columns), nodes.dtype)
    nodes.finish(_standardised(nodes, powered, model._scaler) if model.standardize else powered)


def _yeo_johnson(nodes: Nodes, x: str, power: float) -> str:
    zero, one = nodes.constant(np.float64(0)), nodes.constant(np.float64(1))
    above = nodes.add("Log", nodes.add("Add", one, nodes.add("Max", x, zero)))
    below = nodes.add("Log", nodes.add("Sub", one, nodes.add("Min", x, zero)))
    positive, negative = _powered(nodes, above, power), nodes.add("Neg", _powered(nodes, below, 2 - power))
    return nodes.add("Where", nodes.add("GreaterOrEqual", x, zero), positive, negative)


def _box_cox(nodes: Nodes, x: str, power: float) -> str:
    return _powered(nodes, nodes.add("Log", x), power)


def _powered(nodes: Nodes, logarithm: str, power: float) -> str:
    """`(exp(power * logarithm) - 1) / power`, the logarithm itself at 0."""
    if abs(power) < np.spacing(1.0):
        return logarithm
    scale = nodes.constant(np.float64(power))
    raised = nodes.add("Exp", nodes.add("Mul", logarithm, scale))
    return nodes.add("Div", nodes.add("Sub", raised, nodes.constant(np.float64(1))), scale)


def quantile(nodes: Nodes) -> None:
    """The place among the training quantiles, from below and from above, in float64."""
    model, x = nodes.model, nodes.cast(nodes.source, np.float64)
    columns = []
    for place in range(model.n_features_in_):
        known, column = model.quantiles_[:, place].astype(np.float64), nodes.column(place, x)
        columns.append(_quantile_column(nodes, column, known))
    nodes.finish(nodes.join(columns))


def _quantile_column(nodes: Nodes, x: str, known: NDArray[np.float64]) -> str:
    model = nodes.model
    upward = _interpolated(nodes, x, known, model.references_)
    downward = _interpolated(nodes, nodes.add("Neg", x), -known[::-1], -model.references_[::-1])
    share = nodes.add("Mul", nodes.constant(np.float64(0.5)), nodes.add("Sub", upward, downward))
    normal = model.output_distribution == "normal"
    margin = 1e-7 if normal else 0.0
    for bound, value, kind in ((known[-1] - margin, 1.0, "Greater"), (known[0] + margin, 0.0, "Less")):
        found = nodes.add(kind if normal else "Equal", x, nodes.constant(np.float64(bound)))
        share = nodes.add("Where", found, nodes.constant(np.float64(value)), share)
    # What is missing stays missing.
    share = nodes.add("Where", nodes.add("IsNaN", x), nodes.constant(np.float64(np.nan)), share)
    return _normal_quantile(nodes, share) if normal else share


def _interpolated(nodes: Nodes, x: str, known: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    """`numpy.interp(x, known, values)` of [n, 1]."""
    reached = nodes.cast(nodes.add("GreaterOrEqual", x, nodes.constant(known)), np.int64)
    count = nodes.add("ReduceSum", reached, nodes.constant(np.array([1])), keepdims=1)
    # Place 0 is below all, the last place above all: there the value is constant.
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.nan_to_num(np.diff(values) / np.diff(known), posinf=0, neginf=0)
    tables = [[known[0], *known], [0, *slopes, 0], [values[0], *values]]
    start, slope, base = (nodes.add("Gather", nodes.constant(np.array(table)), count, axis=0) for table in tables)
    return nodes.add("Add", nodes.add("Mul", slope, nodes.add("Sub", x, start)), base)


# P. J. Acklam, An algorithm for computing the inverse normal cumulative distribution function, 2003: off by at most
# 1.15e-9 of the value.
_A = (
    -39.69683028665376,
    220.9460984245205,
    -275.9285104469687,
    138.357751867269,
    -30.66479806614716,
    2.506628277459239,
)
_B = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
_C = (
    -0.007784894002430293,
    -0.3223964580411365,
    -2.400758277161838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
)
_D = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
_TAIL = 0.02425
# scikit-learn clips the share to this distance from 0 and 1.
_CLIP = 1e-7 - np.spacing(1)


def _normal_quantile(nodes: Nodes, share: str) -> str:
    def number(value: float) -> str:
        return nodes.constant(np.float64(value))

    share = nodes.add("Clip", share, number(_CLIP), number(1 - _CLIP))
    centred = nodes.add("Sub", share, number(0.5))
    square = nodes.add("Mul", centred, centred)
    middle = nodes.add("Div", nodes.add("Mul", _horner(nodes, _A, square), centred), _horner(nodes, _B, square))
    lower = nodes.add("Min", share, nodes.add("Sub", number(1), share))
    root = nodes.add("Sqrt", nodes.add("Mul", number(-2), nodes.add("Log", lower)))
    tail = nodes.add("Div", _horner(nodes, _C, root), _horner(nodes, _D, root))
    signed = nodes.add("Mul", tail, nodes.add("Neg", nodes.add("Sign", centred)))
    return nodes.add("Where", nodes.add("Less", lower, number(_TAIL)), signed, middle)


def _horner(nodes: Nodes, coefficients: tuple[float, ...], x: str) -> str:
    total = nodes.constant(np.float64(coefficients[0]))
    for coefficient in coefficients[1:]:
        total = nodes.add("Add", nodes.add("Mul", total, x), nodes.constant(np.float64(coefficient)))
    return total
