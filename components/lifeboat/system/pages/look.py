"""The one look of our pages, and what a page of ours may load: nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
# A ring, as the pages' icon: without one, a browser asks the server for a file.
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' "
    "fill='none' stroke='%23e8590c' stroke-width='3'/%3E%3C/svg%3E"
)
# Of a page that is a file: it has its style and its pictures in itself, and no script.
STATIC_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Of a page that is served: nobody frames it, and it sends no form elsewhere.
NO_OTHERS = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def look() -> str:
    """The style sheet: colours for light and dark, headings, tables, tags, tiles, banners."""
    return (_FOLDER / "look.css").read_text(encoding="utf-8")


@cache
def report_style() -> str:
    """What the pages that stay with a run have beside that."""
    return (_FOLDER / "report.css").read_text(encoding="utf-8")


@cache
def dom_script() -> str:
    """`node(tag, attributes, ...children)` and `element(id)` in JavaScript."""
    return (_FOLDER / "dom.js").read_text(encoding="utf-8")


@cache
def patch_script() -> str:
    """`patch(old, fresh)` in JavaScript: makes one element like another and leaves what a reader opened."""
    return (_FOLDER / "patch.js").read_text(encoding="utf-8")


def script_policy(style: str, script: str) -> str:
    """Content-Security-Policy of a page that asks its own server: its inline style and script, and nothing else."""
    return (
        f"default-src 'none'; style-src {inline_hash(style)}; script-src {inline_hash(script)}; connect-src 'self'; "
        f"img-src data:; {NO_OTHERS}"
    )


def inline_hash(text: str) -> str:
    """How a policy names what is inline: 'sha256-…' with its quotes."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
