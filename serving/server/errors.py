"""What a client can do wrong, as an error that knows its HTTP status; protocols render it in their own
shape."""

from __future__ import annotations

BAD_DATA = "MICROSERVICE_BAD_DATA"
INTERNAL = "MICROSERVICE_INTERNAL_ERROR"
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

    @property
    def reason(self) -> str:
        """Seldon's word for it."""
        return BAD_DATA if self.status < 500 else INTERNAL


def bad(info: str) -> RequestError:
    """A 400."""
    return RequestError(400, info)
