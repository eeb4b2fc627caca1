from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.detector.world import add_bundle
from tests.explainer.world import RunningExplainer, explainer
from tests.server.receiver import Receiver, listening
from tests.server.world import Running, server


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def digest(store: Path) -> str:
    return add_bundle(store)


@pytest.fixture(scope="session")
def bundle(store: Path, digest: str) -> Path:
    return store / "bundles" / "tiny" / digest


@pytest.fixture(scope="module")
def running(store: Path, digest: str) -> Iterator[RunningExplainer]:
    with explainer(store) as started:
        yield started


@pytest.fixture(scope="module")
def served(running: RunningExplainer, bundle: Path) -> Iterator[Running]:
    with server(bundle, "--explainer-url", running.url) as started:
        yield started


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as made:
        yield made
