"""What RFC 9110 and RFC 9112 ask of a request's head beyond its grammar, which the parser has checked.

Where a request ends is never guessed: what two servers could read differently is refused, and its connection closed.
"""

from __future__ import annotations

import re
from itertools import chain

from lifeboat.http.errors import RequestError, bad

MAX_HEAD = 32 * 1024
MAX_TARGET = 16 * 1024
# Of a field that came in several lines, joined: each line copies those before it.
MAX_JOINED = 8 * 1024
# Fields that say one thing, of those that a handler reads; attributes of CloudEvents (ce-…) are such, too.
ONCE = frozenset((b"host", b"content-type", b"inference-header-content-length", b"seldon-puid"))
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?", re.ASCII)
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)(.*)")


def join(name: bytes, value: bytes, another: bytes) -> bytes:
    """The value of a field that comes in two lines.

    Raises:
        RequestError: 400 where it may come once only, 431 where it becomes too long.
    """
    if name in ONCE or name.startswith(b"ce-"):
        raise bad(f"the header {name.decode('latin-1')} is there more than once")
    if len(value) > MAX_JOINED:
        shown = name.decode("latin-1")[:80]
        raise RequestError(431, f"the lines of the header {shown} have more than {MAX_JOINED} bytes together")
    return b"%b, %b" % (value, another)


def check_size(headers: dict[bytes, bytes]) -> None:
    """Raises a 431 where the headers are too long."""
    if sum(map(len, chain(*headers.items()))) + 4 * len(headers) > MAX_HEAD:
        raise RequestError(431, f"the headers have more than {MAX_HEAD} bytes")


def check_version(version: str) -> str:
    """Gives the version, `1.0` or `1.1`; raises a 505 for any other."""
    if version not in ("1.0", "1.1"):
        raise RequestError(505, f"the version is HTTP/{version}, this server speaks HTTP/1.1")
    return version


def check_host(host: bytes | None, version: str) -> bytes | None:
    """Gives the host; raises a 400 where it is missing or none."""
    if host is None:
        if version == "1.1":
            raise bad("the header host is missing")
    elif _AUTHORITY.fullmatch(host) is None:
        raise bad(f"the header host is not a host and port: {_shown(host)}")
    return host


def check_coding(value: bytes, version: str) -> None:
    """Raises a 501 for a transfer coding besides chunked, a 400 where none tells where the body ends."""
    if version == "1.0":
        raise bad("the header transfer-encoding is there, which HTTP/1.0 does not know")
    if value.lower() == b"chunked":
        return
    if value.lower().rpartition(b",")[2].strip() != b"chunked":
        raise bad(f"the transfer coding does not end with chunked: {_shown(value)}")
    raise RequestError(501, f"the only transfer coding is chunked: {_shown(value)}")


def path_of(method: bytes, target: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Path and query of a target that is no plain path, or `*`; the authority of a URL takes the place of `host`.

    Raises:
        RequestError: 421 for the URL of another scheme, 400 for what is no target of this method.
    """
    if target == b"*" and method == b"OPTIONS":
        return target
    url = _ABSOLUTE.fullmatch(target)
    if url is None or b"#" in target:
        raise bad(f"the request's target is neither a path nor a URL: {_shown(target)}")
    scheme, authority, rest = url.groups()
    if scheme.lower() != b"http":
        raise RequestError(421, f"the scheme is not http: {_shown(scheme)}")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not match[1]:
        raise bad(f"the target's authority is not a host and port: {_shown(authority)}")
    headers[b"host"] = authority
    if not rest and method == b"OPTIONS":
        return b"*"
    return rest if rest[:1] == b"/" else b"/" + rest


def expects_continue(value: bytes, version: str) -> bool:
    """Whether the client waits for a 100 before it sends its body; raises a 417 for any other expectation."""
    if version == "1.0":
        return False
    if value.lower() != b"100-continue":
        raise RequestError(417, f"the expectation is not 100-continue: {_shown(value)}")
    return True


def _shown(value: bytes) -> str:
    return value[:80].decode("latin-1")
