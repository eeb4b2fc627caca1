"""What a client can do wrong, as an error that knows its HTTP status; protocols render it in their own
shape."""

from __future__ import annotations

BAD_DATA = "MICROSERVICE_BAD_DATA"
INTERNAL = "MICROSERVICE_INTERNAL_ERROR"


class RequestError(Exception):
    """A request that is answered with a status of 400 or more.

    Args:
        status: the HTTP status.
        info: one sentence that names the facts.
        headers: raw header lines of the answer, each with its line end.
    """

    def __init__(self, status: int, info: str, headers: bytes = b"") -> None:
        super().__init__(info)
        self.status, self.info, self.headers = status, info, headers

    @property
    def reason(self) -> str:
        """Seldon's word for it."""
        return BAD_DATA if self.status < 500 else INTERNAL


def bad(info: str) -> RequestError:
    """A 400."""
    return RequestError(400, info)
