"""Modules that a test wrote are its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Afterwards no module of the folder is known, and the places to look for modules are as before."""
    places = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = places
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]
