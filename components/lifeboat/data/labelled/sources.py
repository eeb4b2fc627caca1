"""Who says what was true: the names of sources, and which of them are taken at their word."""

from __future__ import annotations

import ipaddress
import re

from lifeboat.config.errors import SettingsError

# Whoever cannot be told from others: there was no token, and no mesh that has verified one.
ANONYMOUS = "anonymous"
# Whom a program of this machine trusts.
ONLY_ANONYMOUS = frozenset({ANONYMOUS})
# Characters of a name; the subject of a token has at most 255.
LONGEST = 255
# Said for "nobody is trusted", also where `anonymous` would be.
NOBODY = "none"
# The side of a conflict that is no source: the row came in the table.
TABLE = "table"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOPBACK = ("localhost", "ip6-localhost")


def is_source(name: str) -> bool:
    """Whether a source can be called so: 1 to 255 characters, no control character, and no word that means another."""
    return name not in (NOBODY, TABLE) and 0 < len(name) <= LONGEST and _CONTROL.search(name) is None


def read_source(value: bytes) -> str:
    """The name that a header gives; one that is none is nobody's."""
    name = value.decode(errors="replace").strip()
    return name if is_source(name) else ANONYMOUS


def trusted_sources(said: str, *, private: bool) -> frozenset[str]:
    """The sources whose truths teach without anybody's look at them.

    Args:
        said: names with commas between them; `none` for nobody; empty for what `private` gives.
        private: whether only programs of this machine can send a truth: then whoever is anonymous is trusted.

    Raises:
        SettingsError: a name is none.
    """
    names = [name.strip() for name in said.split(",")] if said.strip() else [ANONYMOUS if private else NOBODY]
    for name in names:
        if name != NOBODY and not is_source(name):
            raise SettingsError(f"trusted_sources has {name[:60]!r}, a source's name has 1 to {LONGEST} characters")
    return frozenset(names) - {NOBODY}


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is one that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK
