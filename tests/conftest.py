"""What holds for every test: no library reports to its makers, whatever is imported first; the longest come first.

And what tests of several folders ask for: a registry, and S3 as a stand-in and as a real server where there is one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from components.core.settings import LIBRARIES, Settings
from pipelines import daemons
from serving import launch

if TYPE_CHECKING:
    from tests.stores.endpoint import Endpoint

for _name, _value in LIBRARIES.items():
    os.environ.setdefault(_name, _value)

# Each worker of `make test` has a core. OpenMP's threads, which spin while they wait for their like, would take the
# other's. The bundles are the same to the byte.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# In the background of a script SIGINT is ignored; what a test starts, to interrupt it later, would ignore it, too.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Files that train models for minutes, the longest first. Begun last, one of them would keep one process busy while the
# other had nothing.
LONGEST = (
    "tests/pipelines/test_titanic.py",
    "tests/loop/test_circle.py",
    "tests/pipelines/test_run.py",
    "tests/pipelines/test_as_of.py",
    "tests/notebooks/test_notebooks.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONGEST)))


def pytest_sessionfinish() -> None:
    """Collects the daemons that tests started and ended, of which Python would otherwise warn as still running."""
    for process in (*launch.started, *daemons.started):
        process.poll()


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a model, to be copied: making one takes seconds."""
    from components.core.registry import Registry

    home = tmp_path_factory.mktemp("registry")
    assert Registry(Settings(home=str(home))).aliased("none", "champion") is None
    return home / "mlflow.db"


@pytest.fixture(scope="session")
def moto() -> Iterator[Endpoint]:
    """Moto's S3 over HTTP, a stand-in that every machine has."""
    from tests.stores import endpoint

    with endpoint.moto() as found:
        yield found


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The S3 server of our clusters, where it is installed."""
    from tests.stores import weed

    if weed.binary() is None:
        pytest.skip(weed.MISSING)
    with weed.running(tmp_path_factory.mktemp("weed")) as server:
        yield server.endpoint()


@pytest.fixture(params=["moto", "seaweedfs"])
def s3(request: pytest.FixtureRequest) -> Endpoint:
    """One S3 endpoint after the other."""
    found: Endpoint = request.getfixturevalue(request.param)
    return found
