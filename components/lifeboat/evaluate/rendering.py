"""Figures as files: PNG for Markdown and the registry, SVG for a page, in which it is light or dark as the page is."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from lifeboat.evaluate.plots import FEW_ROWS_COLOR, GRID, INK, LINE_COLORS, MUTED, PAPER

DPI = 160
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
# What the colours of plots are called in report.css of `lifeboat.system.pages`.
_NAMES = ("blue", "orange", "green", "purple", "red", "teal")
_VARIABLES = {
    INK: "ink", MUTED: "soft", GRID: "edge", PAPER: "card", FEW_ROWS_COLOR: "faint",
    **dict(zip(LINE_COLORS, _NAMES, strict=True)),
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A figure, drawn once.

    Args:
        title: for people.
        png: a file.
        svg: an element for a page with that style.
    """

    title: str
    png: bytes
    svg: Markup


def render(name: str, title: str, figure: Figure) -> Plot:
    """Draws a figure.

    Args:
        name: of the plot, without spaces; no other on the page has it.
        title: for people, and for those who cannot see it.
        figure: to draw.
    """
    # Where everything stands is found out once, which takes as long as drawing it: a file each would do it twice.
    with _boxes():
        figure.draw_without_rendering()
    figure.set_layout_engine(None)
    drawn = png(figure)
    with _settled(name):
        return Plot(title, drawn, _inline(name, title, _draw(figure, "svg")))


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    return _draw(figure, "png")


def _draw(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with _boxes():
        figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


@contextmanager
def _boxes() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes; the card's text has it right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@contextmanager
def _settled(name: str) -> Iterator[None]:
    """Text stays text, and the same figure gives the same bytes."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        yield


def _inline(name: str, title: str, drawn: bytes) -> Markup:
    """What matplotlib wrote, as a part of a page: in the page's colours and fonts, its ids its own."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)  # noqa: S314  # of our own making
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _settle(element, name)
    root.attrib = {"viewBox": root.attrib["viewBox"], "class": "plot", "role": "img", "aria-label": title}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # the tree escaped all text


def _settle(element: ElementTree.Element, name: str) -> None:
    """One element's attributes: variables for colours, the page's font, two digits, and ids that are of this plot."""
    known = element.attrib
    if "style" in known:
        style = re.sub(r"font-family: [^;]*;? ?", "", known["style"])
        known["style"] = re.sub(r"#[0-9a-f]{6}\b", _variable, style)
    for key in known.keys() & {"d", "points", "transform", "x", "y"}:
        known[key] = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", " ".join(known[key].split()))
    if "id" in known:
        known["id"] = f"{name}-{known['id']}"
    if "clip-path" in known:
        known["clip-path"] = known["clip-path"].replace("url(#", f"url(#{name}-")
    if _LINK in known:
        # A page reads the name without its namespace alone.
        link = known.pop(_LINK)
        known["href"] = f"#{name}-{link[1:]}" if link.startswith("#") else link


def _variable(color: re.Match[str]) -> str:
    known = _VARIABLES.get(color[0])
    return f"var(--{known})" if known else color[0]
