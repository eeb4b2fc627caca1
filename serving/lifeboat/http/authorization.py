"""The token that a request brings."""

from __future__ import annotations

from base64 import b64decode


def given_token(authorization: bytes, password: bool = True) -> bytes:
    """The token of the header: after `Bearer`, or the password of `Basic` (RFC 7617), which is what a browser can send.

    Args:
        authorization: as it was sent.
        password: whether it may be one: a browser sends it along whichever page asks it to.

    Returns:
        The token; empty where there is none.
    """
    scheme, _, given = authorization.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return given.strip()
    if scheme.lower() == b"basic" and password:
        try:
            return b64decode(given.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return b""
