"""What we ship on the stores of a cluster: SeaweedFS, and MLflow on PostgreSQL; `make test-cluster` runs these."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ASKED
from tests.stores import weed
from tests.stores.weed import Weed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, naming what is missing."""
    why = "" if os.environ.get(ASKED) else "run by make test-cluster"
    why = why or ("" if weed.binary() else weed.MISSING)
    if why:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """SeaweedFS of a module's own, which its tests may end and start again."""
    with weed.running(tmp_path_factory.mktemp("weed")) as made:
        yield made
