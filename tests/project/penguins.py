"""A raw table that nobody made for us."""

from __future__ import annotations

from pathlib import Path

import palmerpenguins


def write_penguins(folder: Path) -> Path:
    """Two of the three species of the Palmer penguins, as a raw CSV file in a folder."""
    rows = palmerpenguins.load_penguins()
    path = folder / "penguins.csv"
    rows[rows.species != "Gentoo"].to_csv(path, index=False)
    return path
