"""A store with one bundle, and one detector, for the tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.detector.world import Detector, add_bundle, detector


@dataclass(frozen=True)
class Shop:
    """A store with the tiny model's bundle, of which a window holds 10 rows."""

    store: Path
    digest: str


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    store = tmp_path_factory.mktemp("store")
    return Shop(store, add_bundle(store, window=10, minimum=5))


@pytest.fixture
def running(shop: Shop, tmp_path: Path) -> Iterator[Detector]:
    with detector(shop.store, tmp_path / "drift.db", "--export-seconds", "0.2") as process:
        yield process
