"""Text of others inside pages of ours, and on a terminal."""

from __future__ import annotations

import html

# Characters of a text of others on a terminal: room for any sentence of ours, and for a line of a log.
LONGEST = 10_000


def markdown_text(value: object) -> str:
    """Text that Markdown shows as it stands, on one line: no tag, link or table cell begins in it."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return "".join(f"\\{sign}" if sign in r"\`*[]|$~" else sign for sign in text)


def terminal_text(value: object, longest: int = LONGEST) -> str:
    """Text on one line of a terminal: what would move the cursor, colour or turn what follows is escaped.

    Args:
        value: of whoever.
        longest: characters of it that are shown.
    """
    text = str(value)
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[:longest])
    return shown if len(text) <= longest else f"{shown}..."
