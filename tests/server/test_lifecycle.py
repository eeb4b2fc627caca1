"""A server's start and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.model.bundle import MODEL
from lifeboat.server.settings import LONGEST, ServerSettings, read_settings
from tests.server.load import Load
from tests.server.world import ROOT, ROW_VALUES, call, make_bundle, ndarray, server


def run_to_its_end(*flags: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and last logged message of a server that cannot start."""
    command = [
        sys.executable,
        "-m",
        "lifeboat.server",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--metrics-port",
        "0",
    ]
    ended = subprocess.run(
        [*command, *flags], cwd=ROOT, capture_output=True, timeout=30, env={**os.environ, **(env or {})}
    )
    lines = ended.stderr.decode().splitlines()
    assert "Traceback" not in ended.stderr.decode()
    return ended.returncode, json.loads(lines[-1])["message"]


def test_a_broken_bundle_is_never_ready_and_says_why(tmp_path: Path) -> None:
    flipped = make_bundle(tmp_path / "flipped")
    content = bytearray((flipped / MODEL).read_bytes())
    content[100] ^= 1
    (flipped / MODEL).write_bytes(content)
    truncated = make_bundle(tmp_path / "truncated")
    (truncated / MODEL).write_bytes(content[:50])
    pickled = make_bundle(tmp_path / "pickled")
    (pickled / "model.pkl").write_bytes(b"\x80\x04.")
    wrong = make_bundle(tmp_path / "wrong", wrong_by=0.01)
    nonsense = make_bundle(tmp_path / "nonsense", model=b"nonsense")
    reasons = {
        flipped: "was altered", truncated: "was altered", pickled: "model.pkl does not belong in a bundle",
        wrong: "golden request 1", nonsense: "the model cannot be loaded", tmp_path / "none": "is not a bundle",
    }  # fmt: skip
    for bundle, reason in reasons.items():
        code, message = run_to_its_end("--bundle", str(bundle))
        assert code == 1
        assert reason in message


def test_a_port_in_use_is_one_sentence(bundle: Path) -> None:
    with server(bundle) as running:
        code, message = run_to_its_end("--bundle", str(bundle), "--port", str(running.port))
    assert code == 1
    assert message == f"cannot listen on 127.0.0.1 port {running.port}: Address already in use"


def test_settings_come_from_flags_then_the_environment_then_seldon(bundle: Path) -> None:
    environment = {
        "LIFEBOAT_SERVER_MAX_ROWS": "5",
        "LIFEBOAT_SERVER_PORT": "9100",
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "9200",
    }
    environment["PREDICTIVE_UNIT_METRICS_SERVICE_PORT"] = "6100"
    settings = read_settings(["--bundle", "b", "--max-rows", "7"], environment)
    assert settings == ServerSettings(bundle="b", max_rows=7, port=9100, metrics_port=6100)
    with pytest.raises(SettingsError, match="LIFEBOAT_SERVER_MAX_ROW is no setting"):
        read_settings(["--bundle", "b"], {"LIFEBOAT_SERVER_MAX_ROW": "5"})
    with pytest.raises(SettingsError, match="LIFEBOAT_SERVER_PORT is 'many', not a whole number"):
        read_settings(["--bundle", "b", "--port", "many"], {})
    with pytest.raises(SettingsError, match="max_rows is 0, the least is 1"):
        read_settings(["--bundle", "b", "--max-rows", "0"], {})
    with pytest.raises(SettingsError, match="spin_us is -1, the least is 0"):
        read_settings(["--bundle", "b", "--spin-us", "-1"], {})
    for name, longest in LONGEST.items():
        flag = "--" + name.replace("_", "-")
        assert getattr(read_settings(["--bundle", "b", flag, "x" * longest], {}), name) == "x" * longest
        with pytest.raises(SettingsError, match=f"{name} has {longest + 1} characters, the limit is {longest}"):
            read_settings(["--bundle", "b", flag, "x" * (longest + 1)], {})
    with pytest.raises(SettingsError, match="no bundle"):
        read_settings([], {})


def test_sigterm_under_load_loses_no_request(bundle: Path) -> None:
    with server(bundle) as running, Load(running.port) as load:
        time.sleep(0.7)
        load.expect_end()
        assert running.stop() == 0
        assert running.log.read_text().count('"message": "stopped"') == 1
    assert load.answered > 100
    assert load.failures == []


def test_readiness_fails_at_once_while_an_open_connection_is_still_served(bundle: Path) -> None:
    with server(bundle, "--drain-idle-seconds", "1") as running:
        ready, idle, scraper = running.connect(), running.connect(), running.connect()
        for connection in (ready, idle, scraper):
            connection.request("GET", "/health/ping")
            assert connection.getresponse().read() == b"pong"
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        ready.request("GET", "/ready")
        answer = ready.getresponse()
        assert answer.status == 503
        assert answer.headers["connection"] == "close"
        scraper.request("GET", "/metrics")
        # A probe that is told "not ready" is no overload.
        assert 'lifeboat_rejected_total{reason="overload"} 0\n' in scraper.getresponse().read().decode()
        idle.request("POST", "/predict", json.dumps(ndarray(ROW_VALUES)), {"content-type": "application/json"})
        answer = idle.getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        answer.read()
        assert running.process.wait(5) == 0
        for connection in (ready, idle, scraper):
            connection.close()


def test_onnx_runtime_keeps_no_telemetry(bundle: Path, tmp_path: Path) -> None:
    # In a CI it keeps none anyway.
    env = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "CI": ""}
    with server(bundle, env=env) as running:
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
        time.sleep(0.3)
    assert list(tmp_path.iterdir()) == []


def test_a_spinning_server_answers_and_stays_awake(bundle: Path) -> None:
    with server(bundle, "--spin-us", "60000000") as running:
        for _ in range(3):
            assert call(running.url + "/predict", ndarray(ROW_VALUES)).survived == pytest.approx([0.235])
        deadline = time.monotonic() + 30  # on a machine where others hardly leave it a core
        while _busy(running.process.pid, 0.5) < 0.05:
            assert time.monotonic() < deadline
        assert running.stop() == 0


def test_a_server_sleeps_once_its_spinning_is_over(bundle: Path) -> None:
    with server(bundle, "--spin-us", "100000") as running:
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
        time.sleep(1.0)
        assert _busy(running.process.pid, 1.0) < 0.1
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
        assert running.stop() == 0


def _busy(process: int, seconds: float) -> float:
    """Seconds of CPU that a process uses in a time."""

    def used() -> int:
        return sum(int(field) for field in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13])

    before = used()
    time.sleep(seconds)
    return (used() - before) / os.sysconf("SC_CLK_TCK")
