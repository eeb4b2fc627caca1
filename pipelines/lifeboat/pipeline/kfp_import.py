"""kfp as a local run needs it: without its client of the API server, and without Kubernetes' client."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_kfp() -> None:
    """Imports kfp, its extension for Kubernetes, its compiler and its local runner, unless they are loaded.

    The clients have 900 modules and take most of the time. Besides, kfp looks through all modules that are loaded
    (`inspect.stack`) each time that a task's resources are set. Afterwards `kfp.client` is imported by who asks for it,
    `kfp.Client` is missing; `kfp.kubernetes` imports `kubernetes` in the one function that needs it.
    """
    if "kfp" not in sys.modules:
        with _left_out("kfp.client", "Client"):
            del importlib.import_module("kfp").Client
    with _left_out("kubernetes", "client"):
        importlib.import_module("kfp.kubernetes")
    for name in ("kfp.compiler", "kfp.local"):
        importlib.import_module(name)


@contextmanager
def _left_out(name: str, attribute: str) -> Iterator[None]:
    """Within the block, a module that is not loaded is an empty one, of which `attribute` can be imported."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    setattr(sys.modules[name], attribute, None)
    try:
        yield
    finally:
        del sys.modules[name]
