"""What a client can do wrong, as an error that knows its HTTP status; protocols render it in their own
shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any

LONGEST_INFO = 1000


class RequestError(Exception):
    """A request that is answered with a status of 400 or more.

    Args:
        status: the HTTP status.
        info: one sentence that names the facts.
        headers: raw header lines of the answer, each with its line end.
    """

    def __init__(self, status: int, info: str, headers: bytes = b"") -> None:
        super().__init__(info)
        # What a client sent may stand in it, and be long.
        self.info = info if len(info) <= LONGEST_INFO else f"{info[: LONGEST_INFO - 3]}..."
        self.status, self.headers = status, headers


def bad(info: str) -> RequestError:
    """A 400."""
    return RequestError(400, info)


def again_in(seconds: float) -> bytes:
    """The header line that says when to come again: a second at least."""
    return b"retry-after: %d\r\n" % max(1, math.ceil(seconds))


def unavailable(info: str) -> RequestError:
    """A 503 for what may be asked again in a second."""
    return RequestError(503, info, again_in(1))


def refuse_unknown(where: str, kind: str, given: Mapping[str, Any], known: Set[str]) -> None:
    """Raises a 400 for a name that is none of those known: what is passed over may have been meant."""
    if not given.keys() <= known:
        name = next(name for name in given if name not in known)
        raise bad(f"{where}: the {kind} {name} is not supported, only {', '.join(sorted(known))}")
