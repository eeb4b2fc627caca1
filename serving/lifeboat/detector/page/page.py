"""One HTML document of the files beside this one: it loads nothing and asks only for ./drift."""

from __future__ import annotations

import html
from pathlib import Path
from string import Template

from lifeboat.system.pages.look import ICON, dom_script, look, patch_script

# In the order the browser reads them, as one module: a later one uses what an earlier one defines.
_SCRIPTS = ("text.js", "charts.js", "sections.js", "page.js")

# What the page needs, and nothing else: serve it with this.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render_page(home: str = "") -> bytes:
    """The page as UTF-8 HTML, the same for every model: its facts come from ./drift.

    Args:
        home: URL of the page that leads to all others, without a slash at its end; empty for none.
    """
    folder = Path(__file__).parent
    page, style, *scripts = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *_SCRIPTS)
    )
    address = html.escape(home)
    parts = {
        "icon": ICON,
        "home": address,
        "brand": f'<a href="{address}/">Lifeboat</a>' if home else "Lifeboat",
        "style": f"{look()}{style}",
        "script": "\n".join([dom_script(), patch_script(), *scripts]),
    }
    return Template(page).substitute(parts).encode()
