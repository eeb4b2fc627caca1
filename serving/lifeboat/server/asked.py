"""What every adapter asks the data plane, and the word by which a client asks that the events are not told."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.http.access import Caller
from lifeboat.http.http_types import LOGGED
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import RequestId
from lifeboat.system.tracing import Span, fields_of

# The field of a request's head, whatever the protocol calls it, and the words in it that Seldon's executor knows.
SKIP = b"seldon-skip-logging"
_YES = (b"true", b"on", b"1")


def skips(said: bytes) -> bool:
    """Whether a client asks not to be logged; nothing said is no."""
    return said.lower() in _YES


@dataclass(slots=True)
class Asked:
    """Rows to predict.

    Args:
        columns: as `Reader` gives them.
        rows: their number.
        id: of the request.
        size: its bytes.
        is_watched: whether the events are told.
        caller: who asks, where that is known.
        span: of the request, where it is traced.
    """

    columns: Columns
    rows: int
    id: RequestId
    size: int
    is_watched: bool
    caller: Caller | None = None
    span: Span | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Of a line of the log that is about it."""
        return fields_of(self.id.puid[:LOGGED], self.span)
