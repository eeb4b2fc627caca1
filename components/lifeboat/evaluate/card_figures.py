"""How figures stand on the card: digits, limits, units, and names for people in the place of keys."""

from __future__ import annotations

from collections.abc import Mapping

from lifeboat.usecase.gates import Interval

LATENCY_TITLES = {
    "latency_p50_us": "Latency of a row, median (µs)",
    "latency_p99_us": "Latency of a row, 99th percentile (µs)",
}


def figure_text(name: str, found: Interval) -> tuple[str, str]:
    """A value and its limits: '0.852' and '0.785 to 0.909'."""
    if name.endswith("_us"):
        return f"{found.value:,.0f}", f"{found.low:,.0f} to {found.high:,.0f}"
    return number_text(found.value), f"{number_text(found.low)} to {number_text(found.high)}"


def gain_text(found: Interval) -> tuple[str, str]:
    """The same with signs."""
    return number_text(found.value, "+"), f"{number_text(found.low, '+')} to {number_text(found.high, '+')}"


def number_text(value: float, sign: str = "") -> str:
    """Three digits behind the point, of large numbers fewer."""
    size = abs(value)
    return f"{value:{sign},.{3 if size < 100 else 1 if size < 10_000 else 0}f}"


def within(title: str) -> str:
    """A title within a sentence: 'log loss', but 'ROC AUC'."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def p_text(p: float) -> str:
    """With its sign: '= 0.024'."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def titled(sentence: str, titles: Mapping[str, str]) -> str:
    """A gate's sentence, which begins with a metric's key, with the metric's title there."""
    name = max((key for key in titles if sentence.startswith(f"{key} ")), key=len, default="")
    return f"{titles[name]}{sentence[len(name) :]}" if name else sentence
