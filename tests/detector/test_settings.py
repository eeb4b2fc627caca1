"""Bad settings end the program with a sentence that names them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lifeboat.detector.settings import PREFIX, read_settings
from tests.detector.conftest import Shop
from tests.detector.world import command, detector
from tests.server.world import ROOT


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        arguments, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_a_flag_wins_over_the_environment() -> None:
    environment = {PREFIX + "STORE": "a", PREFIX + "PORT": "1", PREFIX + "LOG_REQUESTS": "true", PREFIX + "USECASE": ""}
    settings = read_settings(["--port", "2"], environment)
    assert (settings.store, settings.port, settings.log_requests, settings.usecase) == ("a", 2, True, "")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("PORT", "x", "LIFEBOAT_DRIFT_PORT is 'x', not a whole number"),
        ("PORT", "70000", "port is 70000, a port is 0 to 65535"),
        ("WINDOW", "3", "LIFEBOAT_DRIFT_WINDOW is no setting"),
        ("LIVE_ROWS", "0", "live_rows is 0, it must be above 0"),
        ("EXPORT_SECONDS", "nan", "export_seconds is nan, it must be above 0"),
        ("LOG_REQUESTS", "maybe", "LIFEBOAT_DRIFT_LOG_REQUESTS is 'maybe', not true or false"),
        ("STORE", "", "no store: give --store or LIFEBOAT_DRIFT_STORE"),
        ("STORE", "ftp://x", "only a path, file:// and s3:// are known"),
        ("REPLY_URL", "ftp://x", "reply_url is 'ftp://x': not an http or https URL"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    python, *_ = command("s", tmp_path / "d")
    given = {PREFIX + "STORE": "s", PREFIX + "DATABASE": str(tmp_path / "d"), PREFIX + "PORT": "0"}
    code, errors = run(python, "-m", "lifeboat.detector", env={**given, PREFIX + name: text})
    assert code == 1
    assert sentence in json.loads(errors.splitlines()[-1])["message"]


def test_the_secret_key_stands_in_no_representation() -> None:
    assert "hunter2" not in repr(read_settings(["--store", "s", "--s3-secret-key", "hunter2"], {}))


def test_the_help_names_every_setting(tmp_path: Path) -> None:
    done = subprocess.run([*command("s", tmp_path)[:3], "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in vars(read_settings(["--store", "s"], {})):
        assert f"--{name.replace('_', '-')} " in done.stdout


@pytest.mark.slow
def test_two_detectors_do_not_share_a_database(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db"):
        code, errors = run(*command(shop.store, tmp_path / "drift.db"))
    assert code == 1
    assert "is in use by another detector" in errors


def test_a_path_that_can_be_no_database_is_refused(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "drift.db"
    path.mkdir()
    code, errors = run(*command(shop.store, path))
    assert code == 1
    assert "drift.db cannot be used" in errors
