"""ONNX forms of scikit-learn's encoders of categories, strings or numbers, with unseen, missing and rare ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.onnx.nodes import Nodes


def one_hot(nodes: Nodes) -> None:
    """One column for each category that is kept; an unseen one is all 0, or rare where the encoder says so."""
    blocks = [_one_hot_column(nodes, place) for place in range(len(nodes.model.categories_))]
    nodes.finish(nodes.join([block for block in blocks if block]))


def _one_hot_column(nodes: Nodes, place: int) -> str | None:
    model = nodes.model
    categories = model.categories_[place]
    flags = _flags(nodes, place, categories)
    outputs = _outputs(model, place, len(categories))
    rare = _rare_output(model, place)
    if rare is not None and model.handle_unknown in ("infrequent_if_exist", "warn"):
        outputs = np.append(outputs, rare)
        known = nodes.add("ReduceMax", flags, nodes.constant(np.array([1])), keepdims=1)
        flags = nodes.join([flags, nodes.add("Sub", nodes.constant(np.float32(1)), known)])
    dropped = model._drop_idx_after_grouping[place] if model._drop_idx_after_grouping is not None else None
    kept = [output for output in range(int(outputs.max()) + 1) if output != dropped]
    if not kept:
        return None
    if np.array_equal(outputs, kept):
        return flags
    sums = (outputs[:, None] == np.asarray(kept)[None, :]).astype(np.float32)
    return nodes.add("MatMul", flags, nodes.constant(sums))


def _flags(nodes: Nodes, place: int, categories: NDArray[Any]) -> str:
    """float32 [n, categories]: 1 where the cell is the category."""
    column = nodes.column(place) if len(nodes.model.categories_) > 1 else nodes.source
    if nodes.is_text:
        known = np.array([str(item) for item in categories], dtype=object)
        return nodes.cast(nodes.add("Equal", column, nodes.constant(known.reshape(1, -1))), np.float32)
    numbers = np.asarray(categories, np.float64)
    column = nodes.cast(column, np.float64)
    equal = nodes.add("Equal", column, nodes.constant(numbers.reshape(1, -1)))
    if np.isnan(numbers).any():
        missing = nodes.add("And", nodes.add("IsNaN", column), nodes.constant(np.isnan(numbers).reshape(1, -1)))
        equal = nodes.add("Or", equal, missing)
    return nodes.cast(equal, np.float32)


def _outputs(model: Any, place: int, count: int) -> NDArray[np.int64]:
    """For each category the number that it is encoded as: rare ones share one."""
    mappings = getattr(model, "_default_to_infrequent_mappings", None)
    mapping = mappings[place] if getattr(model, "_infrequent_enabled", False) and mappings else None
    return np.arange(count) if mapping is None else np.asarray(mapping, np.int64)


def _rare_output(model: Any, place: int) -> int | None:
    rare = getattr(model, "_infrequent_indices", None)
    if not getattr(model, "_infrequent_enabled", False) or rare is None or rare[place] is None:
        return None
    return int(model._default_to_infrequent_mappings[place][rare[place][0]])


def ordinal(nodes: Nodes) -> None:
    """The number of the category; `unknown_value` where it was not seen."""
    nodes.finish(nodes.join([_ordinal_column(nodes, place) for place in range(len(nodes.model.categories_))]))


def _ordinal_column(nodes: Nodes, place: int) -> str:
    model = nodes.model
    categories = model.categories_[place]
    codes = _outputs(model, place, len(categories)).astype(np.float32)
    if place in model._missing_indices:
        codes[model._missing_indices[place]] = model.encoded_missing_value
    unknown = -1.0 if model.unknown_value is None else float(model.unknown_value)
    return _looked_up(nodes, place, categories, np.append(np.float32(unknown), codes))


def target(nodes: Nodes) -> None:
    """The smoothed mean of the label among the category's rows; the overall mean where it was not seen."""
    model = nodes.model
    columns = []
    for place, (categories, means) in enumerate(zip(model.categories_, model.encodings_, strict=True)):
        table = np.append(model.target_mean_, means).astype(np.float64)
        columns.append(_looked_up(nodes, place, categories, table))
    nodes.finish(nodes.join(columns))


def _looked_up(nodes: Nodes, place: int, categories: NDArray[Any], table: NDArray[Any]) -> str:
    """[n, 1]: the table's entry of the category, the first one where there is none."""
    if nodes.is_text:
        places = text_places(nodes, place, [str(item) for item in categories])
    else:
        ordered = np.arange(1, len(table), dtype=np.float32).reshape(-1, 1)
        places = nodes.cast(nodes.add("MatMul", _flags(nodes, place, categories), nodes.constant(ordered)), np.int64)
    return nodes.add("Gather", nodes.constant(table), places, axis=0)


def text_places(nodes: Nodes, place: int, texts: list[str]) -> str:
    """int64 [n, 1]: which of these texts a column's cell is, from 1; 0 for none. Thousands are as fast as ten."""
    column = nodes.column(place) if nodes.model.n_features_in_ > 1 else nodes.source
    numbers = list(range(1, len(texts) + 1))
    return nodes.add(
        "LabelEncoder", column, domain="ai.onnx.ml", keys_strings=texts, values_int64s=numbers, default_int64=0
    )


def category_codes(nodes: Nodes) -> None:
    """The place of the category among those kept; -1 for any other."""
    codes = [
        nodes.add("Sub", text_places(nodes, place, texts), nodes.constant(np.int64(1)))
        for place, texts in enumerate(nodes.model.categories_)
    ]
    nodes.finish(nodes.join(codes))
