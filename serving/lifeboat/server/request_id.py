"""Which request it is: an id of our own that nobody can guess, and the one that its sender gave it.

A truth that comes later names its prediction by either. Ours holds 80 random bits, so that nobody names a prediction
that is not his, behind the millisecond in 48, as UUIDs of version 7 have it: an index of them grows at its end, and the
detector writes a few of its pages for hundreds of predictions.

What a sender says (Seldon's executor its header `Seldon-Puid`, a client `meta.puid` or version 2's `id`) is echoed
where its protocol says so and never refused for what it says; whether it is unique is for the detector to see.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, NamedTuple

from lifeboat.http.errors import bad

BYTES = 10
# Read at once from the system's generator: a call for each request would cost more than the rest of it.
POOL = 256 * BYTES
# The field of a request's head, whatever the protocol calls it: a header of HTTP, the metadata of gRPC.
HEADER = b"seldon-puid"
# What a header can carry.
_PRINTABLE = re.compile(rb"[!-~]{1,128}")
# A longer one is echoed, and finds no prediction.
LONGEST = 256


class RequestId(NamedTuple):
    """The names of a request.

    Args:
        own: ours, 32 hexadecimal digits.
        header: what the request's header said; empty if it had none that a header can carry.
        body: what its body said; empty for nothing.
    """

    own: str
    header: str = ""
    body: str = ""

    @property
    def puid(self) -> str:
        """Of events, the log and the answer's header: what the header says, as Seldon's contract has it, else ours."""
        return self.header or self.own

    @property
    def named(self) -> str:
        """Of Seldon's `meta`: what the header says, else the body, else ours."""
        return self.header or self.body or self.own

    @property
    def alias(self) -> str:
        """What besides the puid finds the prediction again; empty for none, or one too long to be kept."""
        return self.body if self.body != self.puid and len(self.body) <= LONGEST else ""


class RequestIds:
    """Makes them."""

    def __init__(self) -> None:
        self._pool, self._place = b"", 0

    def make(self, header: bytes, said: Any, where: str) -> RequestId:
        """Identifies a request.

        Args:
            header: what its header Seldon-Puid says; empty for none.
            said: in the body; None or an empty text for nothing.
            where: it stands in the body, for messages.

        Raises:
            RequestError: 400; what stands in the body is no text.
        """
        if said is not None and type(said) is not str:
            raise bad(f"{where} is not a string")
        sent = header.decode() if header and _PRINTABLE.fullmatch(header) else ""
        return RequestId(self._next(), sent, said or "")

    def _next(self) -> str:
        if self._place == len(self._pool):
            self._pool, self._place = os.urandom(POOL), 0
        self._place += BYTES
        return f"{int(time.time() * 1000):012x}{self._pool[self._place - BYTES : self._place].hex()}"
