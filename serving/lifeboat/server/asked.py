"""What every adapter asks the data plane."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import RequestId


@dataclass(slots=True)
class Asked:
    """Rows to predict.

    Args:
        columns: as `Reader` gives them.
        rows: their number.
        id: of the request.
        size: its bytes.
        is_watched: whether the events are told.
    """

    columns: Columns
    rows: int
    id: RequestId
    size: int
    is_watched: bool
