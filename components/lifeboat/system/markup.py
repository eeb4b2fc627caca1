"""Text of others inside pages of ours."""

from __future__ import annotations

import html


def markdown_text(value: object) -> str:
    """Text that Markdown shows as it stands, on one line: no tag, link or table cell begins in it."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return "".join(f"\\{sign}" if sign in r"\`*[]|$~" else sign for sign in text)
