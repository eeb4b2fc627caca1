"""What holds for every test: no library reports to its makers, whatever is imported first; the longest come first."""

from __future__ import annotations

import os

import pytest

from components.core.settings import LIBRARIES
from pipelines import daemons
from serving import launch

for _name, _value in LIBRARIES.items():
    os.environ.setdefault(_name, _value)

# Files that train models for minutes. Begun last, one of them would keep one process busy while the other had nothing.
LONGEST = (
    "tests/pipelines/test_run.py",
    "tests/pipelines/test_as_of.py",
    "tests/loop/test_circle.py",
    "tests/notebooks/",
    "tests/evaluate/test_feedback.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_sessionfinish() -> None:
    """Collects the daemons that tests started and ended, of which Python would otherwise warn as still running."""
    for process in (*launch.started, *daemons.started):
        process.poll()
