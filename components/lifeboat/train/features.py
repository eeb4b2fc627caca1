"""A use case's features, made so that a null in a string column is a null to scikit-learn's imputers, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils._indexing import _get_column_indices

from lifeboat.usecase.transformers import TextBetween
from lifeboat.usecase.usecase import UseCase

# Steps that give text where they get text.
_KEEP_TEXT = (SimpleImputer, SelectorMixin, TextBetween)


def make_features(usecase: UseCase, X: Any) -> Any:
    """The unfitted features; imputers of strings take "", as which a null stands there, for missing.

    Args:
        usecase: gives the features.
        X: raw rows, a data frame: its columns of objects are strings.
    """
    features = usecase.features()
    _read_nulls(features, X)
    return features


def _read_nulls(part: Any, X: Any) -> bool:
    """Changes the imputers inside a part that gets X; gives whether it makes text of it."""
    text = bool(len(X.columns)) and all(dtype.kind == "O" for dtype in X.dtypes)
    if isinstance(part, ColumnTransformer):
        made = [_read_nulls(inner, X.iloc[:, columns]) for _, inner, columns in _selections(part, X)]
        return bool(made) and all(made)
    if isinstance(part, Pipeline):
        for _, step in part.steps:
            if not (text := _read_nulls(step, X)):
                return False
        return text
    if isinstance(part, FeatureUnion):
        made = [_read_nulls(inner, X) for _, inner in part.transformer_list]
        return all(made)
    if text and isinstance(part, SimpleImputer | MissingIndicator) and not isinstance(part.missing_values, str):
        part.set_params(missing_values="")
    return text and (isinstance(part, _KEEP_TEXT) or part == "passthrough")


def _selections(transformer: ColumnTransformer, X: Any) -> Iterator[tuple[str, Any, list[int]]]:
    """Name, part and places of the columns of each entry."""
    for name, part, columns in transformer.transformers:
        chosen = columns(X) if callable(columns) else columns
        yield name, part, list(_get_column_indices(X, chosen))


def empty_selections(features: Any, X: Any) -> list[str]:
    """A sentence for each entry of a column transformer whose selection takes no column at all."""
    if isinstance(features, Pipeline):
        features = features[0]
    if not isinstance(features, ColumnTransformer):
        return []
    return [
        f"features, step {name!r} selects no column at all; "
        "strings are columns of objects here: make_column_selector(dtype_include=object)"
        for name, _, columns in _selections(features, X)
        if not columns
    ]
