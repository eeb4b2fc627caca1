"""A cluster of real parts for all tests of this folder.

Run with TEST_CLUSTER=1, as tests/cluster; the first run builds three programs from their Go modules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import apiserver, go
from tests.cluster.conftest import ASKED
from tests.infra.prometheus.cluster import Cluster, running, until
from tests.infra.prometheus.world import Monitored, monitored


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, naming what is missing."""
    why = "" if os.environ.get(ASKED) else f"asked for with {ASKED}=1"
    # Go in any case: the modules' own files are needed as well as the programs.
    lacking = [*apiserver.missing(), *go.lacking(["go", "prometheus-alertmanager", "amtool"])]
    if lacking:
        why = why or f"not installed: {', '.join(lacking)} (Debian: etcd-server, prometheus-alertmanager)"
    for item in items:
        if why and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="session")
def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Programs of ours, all of them found and scraped."""
    folder = tmp_path_factory.mktemp("monitored")
    with monitored(cluster, folder) as made:
        until(lambda: len(made.vector("up == 1")) >= 4, folder / "prometheus.log")
        yield made
