"""promtool has nothing to say of what the three servers expose."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.detector.world import add_bundle, detector, people, prediction, truth
from tests.infra.tools import tool
from tests.server.world import ROW_VALUES, call, ndarray, server
from tests.trigger.world import World


def check(url: str) -> None:
    """Series are there, and each family has a help, a type and a name that fit."""
    promtool, page = tool("promtool"), call(url + "/metrics").body
    assert b"# TYPE lifeboat_" in page
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_of_the_model_server(bundle: Path) -> None:
    with server(bundle) as running:
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
        assert call(running.url + "/predict", ndarray([])).status == 400
        assert call(running.url + "/send-feedback", {"truth": {"data": {"ndarray": [1]}}}).status == 200
        check(running.url)


def test_of_the_detector(tmp_path: Path) -> None:
    digest = add_bundle(tmp_path / "store", window=10, minimum=5)
    with detector(tmp_path / "store", tmp_path / "drift.db") as process:
        check(process.url)
        process.post([*prediction(digest, people(20, seed=1), "p"), truth("p", *[1] * 20)])
        process.post(prediction(digest, [{**people(1)[0], "class": 9}]))
        process.until(lambda report: report["models"] and report["models"][0]["latest"])
        process.until(lambda report: report["models"][0]["live"]["rows"] == 20)
        check(process.url)


def test_of_the_trigger(tmp_path: Path) -> None:
    with World(tmp_path).trigger() as trigger:
        assert trigger.retrain(reason="a test")[1] == "started"
        trigger.run_is("succeeded")
        check(trigger.url)
