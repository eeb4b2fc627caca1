"""Who says what was true: the names of sources, and which of them are taken at their word."""

from __future__ import annotations

import unicodedata

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
# Whoever has a name that cannot be one; nobody can say that it is trusted.
UNREADABLE = "unreadable"
# Control and format characters, separators of lines, halves of characters: a name must look like what it is.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_source(name: str) -> bool:
    """Whether a source can be called so: 1 to 255 characters that can be seen, no blank around them, and no word that
    means another."""
    if name in (NOBODY, TABLE) or not 0 < len(name) <= LONGEST or name != name.strip():
        return False
    return _UNSEEN.isdisjoint(map(unicodedata.category, name))


def read_source(value: bytes) -> str:
    """The name that a header gives."""
    name = value.decode(errors="replace").strip()
    return name if is_source(name) else UNREADABLE if name else ANONYMOUS


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
        if name == UNREADABLE or (name != NOBODY and not is_source(name)):
            raise SettingsError(f"trusted_sources has {name[:60]!r}, which no source is called")
    return frozenset(names) - {NOBODY}
