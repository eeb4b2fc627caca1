"""One bundle and one server for the tests that only ask it something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.receiver import Receiver, listening
from tests.server.world import Running, make_bundle, server


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def running(bundle: Path) -> Iterator[Running]:
    with server(bundle, "--model-version", "3", "--max-body", "200000", "--max-rows", "1000") as process:
        yield process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as made:
        yield made
