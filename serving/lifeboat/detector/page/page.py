"""One HTML document of the files beside this one: it loads nothing and asks only for ./drift."""

from __future__ import annotations

from pathlib import Path
from string import Template

# In the order the browser reads them, as one module: a later one uses what an earlier one defines.
_SCRIPTS = ("dom.js", "text.js", "charts.js", "sections.js", "page.js")

# What the page needs, and nothing else: serve it with this.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render_page() -> bytes:
    """The page as UTF-8 HTML, the same for every detector: its facts come from ./drift."""
    folder = Path(__file__).parent
    html, style, *scripts = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *_SCRIPTS)
    )
    return Template(html).substitute(style=style, script="\n".join(scripts)).encode()
