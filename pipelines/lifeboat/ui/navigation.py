"""The line of links above a page that is a file: it is put in when the page is shown.

A file knows neither where it will lie nor where the home page is, and it may be opened by itself, or in MLflow: so it
has no such links of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

# Colours of its own: the page below may know none of the dark.
STYLE = """<style>
.lifeboat-nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; align-items: baseline; padding: .5rem .9rem;
  margin: 0 0 1rem; border-radius: 0 0 10px 10px; font: 14px/1.5 system-ui, sans-serif; background: #e9edf3;
  color: #475569; }
.lifeboat-nav a { color: #1d4fa8; text-underline-offset: .15em; }
.lifeboat-nav a[aria-current] { color: #1b2430; font-weight: 650; text-decoration: none; }
.lifeboat-nav a:focus-visible { outline: 2px solid #2563c9; outline-offset: 2px; }
@media (prefers-color-scheme: dark) {
  .lifeboat-nav { background: #232d39; color: #b4c0cf; }
  .lifeboat-nav a { color: #8bb8ff; }
  .lifeboat-nav a[aria-current] { color: #e8edf3; }
}
@media print { .lifeboat-nav { display: none; } }
</style>
"""
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_HEAD_END = re.compile(r"</head>", re.IGNORECASE)


def with_navigation(page: str, here: str, subject: str, links: Mapping[str, str]) -> str:
    """The page with the links above it; below it where it has no body of its own, as the oldest ones.

    Args:
        page: HTML.
        here: URL's path of it, among the links or not.
        subject: what the page is about.
        links: URL to title.
    """
    line = _navigation(here, subject, links)
    body = _BODY.search(page)
    if body is None:
        return f"{page}{STYLE}{line}"
    head = _HEAD_END.search(page, 0, body.start())
    start = head.start() if head else body.start()
    return f"{page[:start]}{STYLE}{page[start : body.end()]}\n{line}{page[body.end() :]}"


def _navigation(here: str, subject: str, links: Mapping[str, str]) -> str:
    shown = "".join(
        f'<a href="{escape(url)}"{" aria-current=page" if url == here else ""}>{escape(title)}</a>\n'
        for url, title in links.items()
    )
    return (
        f'<nav class="lifeboat-nav" aria-label="Lifeboat">\n<a href="/">Lifeboat</a>\n<span>{escape(subject)}</span>\n'
        f"{shown}</nav>\n"
    )
