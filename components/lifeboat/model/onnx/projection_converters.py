"""ONNX forms of scikit-learn's projections, kernels and splines that skl2onnx lacks, all in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PPoly

from lifeboat.model.onnx.model_converters import classify
from lifeboat.model.onnx.nodes import Nodes


def affine(nodes: Nodes) -> None:
    """A transform that is a matrix and an offset: what it makes of 0 and of the unit vectors says which."""
    model = nodes.model
    width = model.n_features_in_
    rows = np.vstack([np.zeros((1, width)), np.eye(width)])
    made = np.asarray(model.transform(rows), np.float64)
    probe = np.linspace(-3, 3, width)[None, :]
    if not np.allclose(model.transform(probe), made[0] + probe @ (made[1:] - made[0]), atol=1e-6):
        raise NotImplementedError("what it makes of a row is no linear function of it")
    nodes.finish(nodes.add("Add", _product(nodes, _wide(nodes), made[1:] - made[0]), nodes.constant(made[0])))


def _wide(nodes: Nodes) -> str:
    return nodes.cast(nodes.source, np.float64)


def _product(nodes: Nodes, rows: str, matrix: NDArray[Any]) -> str:
    return nodes.add("MatMul", rows, _constant(nodes, matrix))


def _constant(nodes: Nodes, values: NDArray[Any]) -> str:
    return nodes.constant(np.asarray(values, np.float64))


def random_fourier(nodes: Nodes) -> None:
    """The cosine of random projections: RBFSampler."""
    nodes.finish(_cosine(nodes, _wide(nodes)))


def skewed_chi2(nodes: Nodes) -> None:
    """The same of the logarithm: SkewedChi2Sampler."""
    skewed = nodes.add("Add", _wide(nodes), nodes.constant(np.float64(nodes.model.skewedness)))
    nodes.finish(_cosine(nodes, nodes.add("Log", skewed)))


def _cosine(nodes: Nodes, x: str) -> str:
    model = nodes.model
    projected = nodes.add("Add", _product(nodes, x, model.random_weights_), _constant(nodes, model.random_offset_))
    return nodes.add("Mul", nodes.add("Cos", projected), nodes.constant(np.sqrt(2.0 / model.n_components)))


def boltzmann(nodes: Nodes) -> None:
    """The sigmoid of a projection: BernoulliRBM."""
    model = nodes.model
    hidden = nodes.add(
        "Add", _product(nodes, _wide(nodes), model.components_.T), _constant(nodes, model.intercept_hidden_)
    )
    nodes.finish(nodes.add("Sigmoid", hidden))


def nystroem(nodes: Nodes) -> None:
    """The kernel of a row and the chosen training rows, projected.

    Raises:
        NotImplementedError: the kernel is not the Gaussian one.
    """
    model = nodes.model
    _refuse_other_kernels(model.kernel)
    gamma = model.gamma if model.gamma is not None else 1.0 / model.n_features_in_
    nodes.finish(_product(nodes, _gaussian(nodes, model.components_, gamma), model.normalization_.T))


def propagation(nodes: Nodes) -> None:
    """The labels of the training rows, weighted by the Gaussian kernel.

    Raises:
        NotImplementedError: the kernel is not the Gaussian one.
    """
    model = nodes.model
    _refuse_other_kernels(model.kernel)
    weights = _product(nodes, _gaussian(nodes, model.X_, model.gamma), model.label_distributions_)
    total = nodes.add("ReduceSum", weights, nodes.constant(np.array([1])), keepdims=1)
    classify(nodes, nodes.cast(nodes.add("Div", weights, total), np.float32))


def _refuse_other_kernels(kernel: Any) -> None:
    if kernel != "rbf":
        raise NotImplementedError(f"it has an ONNX form for kernel='rbf', not {kernel!r}")


def _gaussian(nodes: Nodes, centres: NDArray[Any], gamma: float) -> str:
    scaled = nodes.add("Mul", squared_distances(nodes, _wide(nodes), centres), nodes.constant(np.float64(-gamma)))
    return nodes.add("Exp", scaled)


def clusters(nodes: Nodes) -> None:
    """The distance from the centre of each cluster."""
    centres = getattr(nodes.model, "cluster_centers_", getattr(nodes.model, "subcluster_centers_", None))
    nodes.finish(nodes.add("Sqrt", squared_distances(nodes, _wide(nodes), np.asarray(centres))))


def squared_distances(nodes: Nodes, rows: str, centres: NDArray[Any]) -> str:
    """[n, m] of float64 rows [n, k] and centres [m, k]."""
    rows = nodes.add("Unsqueeze", rows, nodes.constant(np.array([1])))
    away = nodes.add("Sub", rows, nodes.constant(centres.astype(np.float64)[None, :, :]))
    return nodes.add("ReduceSum", nodes.add("Mul", away, away), nodes.constant(np.array([2])), keepdims=0)


def splines(nodes: Nodes) -> None:
    """Each column's B-splines, as polynomials between the knots.

    Raises:
        NotImplementedError: beyond the knots it goes on otherwise than constant.
    """
    model = nodes.model
    if model.extrapolation != "constant":
        raise NotImplementedError(f"it has an ONNX form for extrapolation='constant', not {model.extrapolation!r}")
    x = _wide(nodes)
    blocks = [_spline_column(nodes, nodes.column(place, x), spline) for place, spline in enumerate(model.bsplines_)]
    made = nodes.join(blocks)
    if not model.include_bias:
        width = model.bsplines_[0].c.shape[1]
        made = nodes.columns([place for place in range(width * len(blocks)) if (place + 1) % width], made)
    nodes.finish(made)


def _spline_column(nodes: Nodes, x: str, spline: Any) -> str:
    first, last = spline.t[spline.k], spline.t[-spline.k - 1]
    x = nodes.add("Clip", x, nodes.constant(np.float64(first)), nodes.constant(np.float64(last)))
    pieces = [PPoly.from_spline((spline.t, column, spline.k)) for column in spline.c.T]
    knots = pieces[0].x
    inner = [place for place in range(len(knots) - 1) if first <= knots[place] < min(last, knots[place + 1])]
    starts = knots[inner]
    reached = nodes.cast(nodes.add("GreaterOrEqual", x, nodes.constant(starts[None, :])), np.int64)
    count = nodes.add("ReduceSum", reached, nodes.constant(np.array([1])), keepdims=0)
    piece = nodes.add("Sub", count, nodes.constant(np.array(1)))
    start = nodes.add("Gather", nodes.constant(starts[:, None]), piece, axis=0)
    along = nodes.add("Sub", x, start)
    coefficients = np.stack([basis.c[:, inner] for basis in pieces], axis=2)
    tables = [nodes.constant(np.ascontiguousarray(table)) for table in coefficients]
    total = nodes.add("Gather", tables[0], piece, axis=0)
    for table in tables[1:]:
        total = nodes.add("Add", nodes.add("Mul", total, along), nodes.add("Gather", table, piece, axis=0))
    return total
