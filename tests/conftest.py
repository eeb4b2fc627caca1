"""What holds for every test: no library reports to its makers, whatever is imported first; the longest come first.

And what tests of several folders ask for: a registry, and S3 as a stand-in and as a real server where there is one.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifeboat.config.settings import LIBRARIES, Settings
from lifeboat.system.background import reap_processes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from lifeboat.registry.storage import Storage
    from tests.stores.endpoint import Endpoint

with suppress(ImportError):  # the environment of Seldon's wrapper has no Hypothesis
    from hypothesis import settings as hypothesis_settings

    # The same examples in every run, none kept on disk; a busy machine is no failure.
    hypothesis_settings.register_profile("lifeboat", derandomize=True, database=None, deadline=None)
    hypothesis_settings.load_profile("lifeboat")

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

# The files that take longest, and so come first, with pytest-xdist's --no-loadscope-reorder. Begun last, one of them
# would keep one process busy while the other had nothing.
LONGEST = (
    "tests/pipeline/test_titanic.py",
    "tests/services/test_keeper.py",
    "tests/pipeline/test_folders.py",
    "tests/pipeline/test_at_once.py",
    "tests/pipeline/test_live_notebook.py",
    "tests/pages/test_pages.py",
    "tests/demo/test_driver.py",
    "tests/pipeline/test_run.py",
    "tests/pipeline/test_as_of.py",
    "tests/project/test_wheel.py",
    "tests/detector/test_report.py",
    "tests/fuzz/test_fuzz.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONGEST)))


def pytest_sessionfinish() -> None:
    """Collects the daemons that tests started and ended, of which Python would otherwise warn as still running."""
    reap_processes()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser without a window; of a module, for while it is there, its loop is this thread's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which is in the dev group")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("needs a browser: Debian's package `chromium`")
    # Chromium's sandbox refuses to run for root.
    args = ["--no-sandbox"] if os.getuid() == 0 else []
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=args)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a model, to be copied: making one takes seconds."""
    from lifeboat.registry.registry import Registry

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


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """One kind of object storage after the other, each empty."""
    from lifeboat.registry.storage import S3, open_storage

    if request.param == "directory":
        yield open_storage(str(tmp_path / "store"), S3())
        return
    endpoint = request.getfixturevalue(request.param)
    with endpoint.bucket() as bucket:
        yield endpoint.storage(bucket, "prefix")
