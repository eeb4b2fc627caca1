"""What is kept of a row's answer, as the table of labels has it: a number, or JSON of several."""

from __future__ import annotations

from typing import Any

import orjson


def pack(kept: float | list[float]) -> float | str:
    """For the table."""
    return orjson.dumps(kept).decode() if isinstance(kept, list) else kept


def unpack(stored: float | str) -> Any:
    """What `pack` was given."""
    return orjson.loads(stored) if isinstance(stored, str) else stored
