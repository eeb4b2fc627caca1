"""A home whose servers others reach: nobody asks without a token, and the home's own parts go on as ever."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifeboat.config.home_access import home_token
from lifeboat.deploy.local import LocalTarget
from lifeboat.deploy.probe import ask
from lifeboat.model.bundle import open_bundle
from lifeboat.registry.versions import Version
from tests.detector.world import add_bundle
from tests.pipeline.laptop import ROOT
from tests.ports import others_address
from tests.server.world import ROW, ROW_VALUES, call, ndarray
from tests.services.kept import MODEL, Kept, eventually

EVERYWHERE = "0.0.0.0"  # noqa: S104
VALUES = [f"{name}={value}" for name, value in ROW.items()]
# The use case of what is deployed here.
SHIP = f"""
from dataclasses import replace
from tests.cli.tiny import USECASE as TINY
USECASE = replace(TINY, name={MODEL!r})
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Listens on every address, and has an explainer and a home page."""
    made = Kept(tmp_path_factory.mktemp("opened") / "home", explainer=True, ui=True)
    made.settings = replace(made.settings, host=EVERYWHERE, ui_host=EVERYWHERE)
    made.environment |= {"LIFEBOAT_HOST": EVERYWHERE, "LIFEBOAT_UI_HOST": EVERYWHERE}
    made.deploy()
    made.lifeboat("serve", "--detach")
    yield made
    made.lifeboat("stop")


def _token(kept: Kept, *arguments: str) -> str:
    command = kept.command("token", "create", *arguments)
    done = subprocess.run(
        command, cwd=ROOT, env=kept.environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_nobody_asks_without_a_token_wherever_from(opened: Kept) -> None:
    ports = opened.settings
    for host in ("127.0.0.1", others_address()):
        assert call(f"http://{host}:{ports.port}/predict", ndarray(ROW_VALUES)).status == 401
        assert call(f"http://{host}:{ports.port}/send-feedback", {"truth": ndarray([1])}).status == 401
        assert call(f"http://{host}:{ports.detector_port}/drift").status == 401
        assert call(f"http://{host}:{ports.detector_port}/events", []).status == 401
        assert call(f"http://{host}:{ports.explainer_port}/explain", {}).status == 401
        assert call(f"http://{host}:{ports.ui_port}/").status == 401
        assert call(f"http://{host}:{ports.metrics_port}/metrics").status == 401


def test_a_token_of_the_home_asks_each_of_its_servers(opened: Kept) -> None:
    header = {"authorization": f"Bearer {_token(opened, 'desk', '--may', 'predict')}"}
    ports = opened.settings

    def answered() -> bool:
        return call(f"http://127.0.0.1:{ports.port}/predict", ndarray(ROW_VALUES), **header).status == 200

    eventually(answered)
    explained = call(f"http://127.0.0.1:{ports.port}/explain", ndarray(ROW_VALUES), **header)
    assert explained.json["meta"]["tags"]["explanation"]["columns"]
    assert call(f"http://127.0.0.1:{ports.detector_port}/drift", **header).status == 403
    reader = {"authorization": f"Bearer {_token(opened, 'watch', '--may', 'read')}"}
    eventually(lambda: call(f"http://127.0.0.1:{ports.detector_port}/drift", **reader).status == 200)
    page = call(f"http://127.0.0.1:{ports.ui_port}/", **reader)
    assert (page.status, "serves" in page.body.decode()) == (200, True)


def test_the_homes_own_parts_go_on(opened: Kept, tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(SHIP)
    own = home_token(opened.settings)
    before = _counted(opened, own)
    ask(opened.url, [ROW] * 3, token=own)
    eventually(lambda: _counted(opened, own) >= before + 3)
    said = opened.lifeboat("predict", "--usecase", str(tmp_path / "ship.py"), *VALUES)
    assert json.loads(said.splitlines()[-1])["model_name"] == MODEL
    assert ", ready, process" in opened.lifeboat("status")
    page = call(f"http://127.0.0.1:{opened.settings.ui_port}/", authorization=f"Bearer {own}").body.decode()
    assert "drift detector does not answer" not in page
    assert "drift detector answers" not in page
    assert own not in opened.lifeboat("status")
    assert (opened.home / "access" / "token").stat().st_mode & 0o077 == 0


def test_a_second_version_is_judged_and_takes_over(opened: Kept) -> None:
    store = Path(opened.settings.bundle_store)
    digest = add_bundle(store, MODEL, window=150)
    bundle, said = open_bundle(store / "bundles" / MODEL / digest), list[str]()
    LocalTarget(opened.settings).roll_out(
        bundle, Version(MODEL, "2", digest, ""), lambda: None, lambda word: said.append(str(word))
    )
    assert any("golden requests as its bundle says" in word for word in said)
    assert any("differs from the running version" in word for word in said)
    assert opened.serving().digest == digest


def _counted(kept: Kept, token: str) -> int:
    """Predictions whose events the detector has taken, by the model server's own token."""
    drift = call(f"{kept.detector_url}/drift", authorization=f"Bearer {token}").json
    return sum(model["rows"] for model in drift["models"])


def test_who_wants_everybody_to_ask_says_so(tmp_path: Path) -> None:
    made = Kept(tmp_path / "home")
    made.settings = replace(made.settings, host=EVERYWHERE, open=True, detector_python="none")
    made.environment |= {"LIFEBOAT_HOST": EVERYWHERE, "LIFEBOAT_OPEN": "true", "LIFEBOAT_DETECTOR_PYTHON": "none"}
    made.deploy()
    try:
        assert call(f"{made.url}/predict", ndarray(ROW_VALUES)).status == 200
        assert not (made.home / "access").exists()
    finally:
        made.lifeboat("stop")
