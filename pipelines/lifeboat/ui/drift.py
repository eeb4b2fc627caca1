"""What the drift detector says of a model, in the few words of the home page; its own page has the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lifeboat.registry.versions import Version
from lifeboat.usecase.sample_size import LIVE_ROWS

_SHARES = ("accuracy", "coverage")
_NAMED = 3


@dataclass(frozen=True)
class DriftView:
    """A model as the detector sees it.

    Args:
        tone: `good`, `bad`, `watch` or `idle`.
        words: such as "No drift".
        live: name of the first live figure, its value in words, and what is to be said of it; None without truth.
    """

    tone: str
    words: str
    live: tuple[str, str, str] | None


def drift_of(document: dict[str, Any], name: str, version: str, digest: str) -> DriftView | None:
    """Of one version of a model; None where the detector has not seen it.

    Args:
        document: as GET /drift gives it.
        name, version, digest: of the version.
    """
    for model in document["models"]:
        if (model["model"], model["version"], model["digest"]) == (name, version, digest):
            tone, words = _state(model)
            return DriftView(tone, words, _live(model["live"]))
    return None


def drift_anchor(version: Version) -> str:
    """By which the drift detector's page opens at a version."""
    return f"#{urlencode({'model': f'{version.name}/{version.version}/{version.digest}'})}"


def _state(model: dict[str, Any]) -> tuple[str, str]:
    latest, window = model["latest"], model["window"]
    if latest is None:
        return "idle", f"collecting, {window['rows']:,} of {window['of']:,} rows"
    found = sorted((one for one in latest["features"] if one["drift"]), key=lambda one: one["p_value"])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    named = f" of {', '.join(one['name'] for one in found[:_NAMED])}{more}" if found else ""
    if model["alarm"]:
        return "bad", f"drift{named}"
    if latest["drift"]:
        return "watch", f"one window with drift{named}, no alarm yet"
    return "good", "no drift"


def _live(live: dict[str, Any]) -> tuple[str, str, str] | None:
    """A share of few rows is a count: see `LIVE_ROWS`."""
    first, rows = live["figures"][0], live["rows"]
    value = live[first["name"]]
    if value is None or not rows:
        return None
    share = first["name"] in _SHARES
    if rows < LIVE_ROWS:
        few = f"{round(value * rows)} of {rows}" if share else f"{value:.4g} on {rows} rows"
        return first["title"], few, f"says little before {LIVE_ROWS} rows"
    shown = f"{value:.1%}" if share else f"{value:.4g}"
    bound = live["bound"]
    if bound is None:
        return first["title"], shown, f"on {rows:,} rows"
    beyond = value < bound if first["higher_is_better"] else value > bound
    limit = f"{bound:.1%}" if share else f"{bound:.4g}"
    return first["title"], shown, f"on {rows:,} rows; {'beyond' if beyond else 'keeps'} its bound of {limit}"
