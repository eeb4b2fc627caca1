"""Feedback: what was true, for predictions given before. It is checked, counted and passed on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lifeboat.http.errors import bad, refuse_unknown
from lifeboat.server.protocols.seldon import ARRAYS, FORMS, refuse_both
from lifeboat.usecase.schema import Label

_MEMBERS = frozenset({"request", "response", "reward", "truth"})


@dataclass(frozen=True)
class Feedback:
    """What a client sends.

    Args:
        truth: the class of each row, 0 or 1.
        reward: as the client judges it.
    """

    truth: list[int]
    reward: float


def read_feedback(document: dict[str, Any], label: Label, max_rows: int) -> Feedback:
    """Reads Seldon's Feedback message; a truth is what the label's column may hold, or an object with it by its name.

    Raises:
        RequestError: 400; it names what is wrong.
    """
    refuse_unknown("the feedback", "member", document, _MEMBERS)
    reward = document.get("reward", 0.0)
    if type(reward) not in (int, float) or not math.isfinite(reward):
        raise bad("reward is not a number")
    for name in ("request", "response", "truth"):
        if type(document.get(name, {})) is not dict:
            raise bad(f"{name} is not a message")
        if type(document.get(name, {}).get("meta") or {}) is not dict:
            raise bad(f"{name}.meta is not an object")  # a puid in it would find no prediction
    values = _flatten(_values(document.get("truth", {})), label.name)
    if len(values) > max_rows:
        raise bad(f"truth holds {len(values)} rows, the limit is {max_rows}")
    return Feedback([_class_of(value, row, label) for row, value in enumerate(values, start=1)], float(reward))


def _values(truth: dict[str, Any]) -> Any:
    refuse_unknown("truth", "member", truth, {"status", "meta", "data", "jsonData"})
    refuse_both(truth, FORMS, "truth.")
    data = truth.get("data", {})
    if type(data) is not dict:
        raise bad("truth.data is not an object")
    refuse_unknown("truth.data", "member", data, {"names", "ndarray", "tensor"})
    refuse_both(data, ARRAYS, "truth.data.")
    if "tensor" in data:
        return data["tensor"].get("values", []) if type(data["tensor"]) is dict else None
    return data.get("ndarray", truth.get("jsonData", []))


def _flatten(values: Any, label: str) -> list[Any]:
    """Accepts [1, 0] as well as [[1], [0]] and [{label: 1}, {label: 0}]."""
    if type(values) is dict:
        values = [values]
    if type(values) is not list:
        raise bad("truth is not a list with one class for each row")
    return [_unwrap(value, label) for value in values]


def _unwrap(value: Any, label: str) -> Any:
    if type(value) is dict:
        return value.get(label)
    return value[0] if type(value) is list and len(value) == 1 else value


def _class_of(value: Any, row: int, label: Label) -> int:
    try:
        return label.parse(value)
    except ValueError as error:
        raise bad(f"truth of row {row}: {error}") from None
