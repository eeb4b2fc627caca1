"""Where a model and its figures come from, on the card: data, code and versions, by names for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lifeboat.evaluate.evaluation import Evaluation

# Of a bundle's manifest, by the path to each value. A key that is not here is shown as it is written.
_TITLES = {
    "usecase, commit": "The use case's commit",
    "usecase, digest": "The use case's source, SHA-256",
    "code": "Lifeboat's commit",
    "version": "Lifeboat's version",
    "seed": "Seed",
    "data, digest": "Table, SHA-256",
    "data, rows": "Rows of the table",
    "data, labelled": "Rows from feedback",
    "data, labelled_digest": "Rows from feedback, SHA-256",
    "data, labelled_since": "Their first truth came",
    "data, labelled_until": "Their last truth came",
    "data, train": "Rows to train on",
    "data, test": "Rows held out",
    "split, by": "Split by",
    "split, column": "Split by the column",
    "split, salt": "Split, salt",
    "split, share": "Split, share held out",
    "split, below": "Split, held out below",
    "split, large": "Split, groups too large for it",
    "split, table": "Split, SHA-256 of all groups' sides",
    "split, test": "Split, held out",
    "split, gap": "Split, seconds between",
    "split, boundary": "Split, held out from",
}
_SOURCES, _VIEWS = "data, sources, ", "data, views, "
_OF_VIEW = {
    "digest": "SHA-256", "found": "rows with a value", "missing": "rows without one",
    "expired": "rows whose value is too old",
}  # fmt: skip
_EMPTY: tuple[Any, ...] = ("", None, [], {})


def lineage_sections(evaluation: Evaluation, manifest: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Titled lists of names and values; without what is empty."""
    data = evaluation.data
    held_out = {
        "File": data.file,
        "SHA-256": data.sha256,
        "Rows of the table": evaluation.rows - data.feedback,
        **{f"Rows from {source}": rows for source, rows in data.sources.items()},
    }
    parts = {
        "Data and code": dict(_flat(manifest.get("lineage", {}))),
        "Held-out rows": held_out,
        "Versions": manifest.get("versions", {}),
    }
    return {title: [(name, _written(value)) for name, value in part.items()] for title, part in parts.items() if part}


def commit_of(manifest: Mapping[str, Any]) -> str:
    """Of the use case's own repository, or else of Lifeboat's, which has the use case; empty where it is not known."""
    lineage = manifest.get("lineage", {})
    return str(lineage.get("usecase", {}).get("commit") or lineage.get("code", ""))


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        place = f"{path}, {name}" if path else str(name)
        if isinstance(inner, Mapping):
            yield from _flat(inner, place)
        elif inner not in _EMPTY:
            yield _TITLES.get(place) or _named(place), inner


def _named(place: str) -> str:
    if place.startswith(_SOURCES):
        return f"Rows from {place.removeprefix(_SOURCES)}"
    if place.startswith(_VIEWS):
        view, _, what = place.removeprefix(_VIEWS).rpartition(", ")
        return f"Feature store, view {view}, {_OF_VIEW.get(what, what)}"
    return place.replace("_", " ")


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
