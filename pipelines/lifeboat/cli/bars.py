"""Contributions as bars in a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

# Characters of the longest bar.
WIDTH = 24
MORE, LESS = "\u2588", "\u2592"


def bars(entries: list[dict[str, Any]], row: dict[str, Any]) -> Table:
    """The reasons of one number of an answer, the strongest first.

    Args:
        entries: one for each column or group, as `lifeboat.api.Model.explain` gives them.
        row: the values that were asked about.
    """
    first = entries[0]
    title = f"{first['output']}: {first['answer']:.4g}, beside {first['base']:.4g} on average"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("column")
    table.add_column("value", max_width=32, no_wrap=True)
    table.add_column("adds", justify="right")
    table.add_column("")
    longest = max(abs(entry["contribution"]) for entry in entries) or 1.0
    for entry in sorted(entries, key=lambda entry: -abs(entry["contribution"])):
        added = entry["contribution"]
        error = f" \u00b1 {entry['error']:.2g}" if entry["error"] else ""
        # By its shape as well as by its colour: not everybody sees that, and no file has it.
        bar = (MORE if added > 0 else LESS) * round(WIDTH * abs(added) / longest)
        values = ", ".join(_shown(row[name]) for name in entry["column"].split(" + ") if name in row)
        table.add_row(entry["column"], values, f"{added:+.4f}{error}", Text(bar, style="green" if added > 0 else "red"))
    return table


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
