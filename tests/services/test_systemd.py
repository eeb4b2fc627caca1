"""The unit that `lifeboat serve --install` writes, as systemd itself reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lifeboat.services.systemd import unit, unit_path
from tests.pipeline.laptop import Laptop

NAMES = ("home", "a folder/with spaces", "Ünïcödé ß", '100 % $HOME "quoted" it\'s', "back\\slash")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


def installed(laptop: Laptop) -> Path:
    """Installs the unit and gives its path, after looking at what was said."""
    laptop.environment["XDG_CONFIG_HOME"] = os.environ["XDG_CONFIG_HOME"]
    said = laptop.lifeboat("serve", "--install")
    path = unit_path(laptop.settings)
    assert said.startswith(f"wrote {path}; ")
    for command in ("daemon-reload", "enable --now", "enable-linger"):
        assert command in said
    return path


def objections(unit: Path) -> list[str]:
    """What systemd says of the unit; of others of the machine it may say something, too."""
    with tempfile.TemporaryDirectory() as runtime:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(unit)],
            capture_output=True, text=True, env={**os.environ, "XDG_RUNTIME_DIR": runtime},
        )  # fmt: skip
    return [line for line in done.stderr.splitlines() if unit.name in line]


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_the_unit_of_a_home_of_any_name(config: Path, tmp_path: Path, name: str) -> None:
    made = installed(Laptop(tmp_path / name))
    assert made.parent == config / "systemd" / "user"
    assert str(made.name).isascii()
    assert objections(made) == []


@needs_systemd
def test_what_systemd_objects_to_is_noticed(config: Path, tmp_path: Path) -> None:
    made = installed(Laptop(tmp_path / "home"))
    made.write_text(made.read_text().replace("KillMode=mixed", "KillMode=tender"))
    [line] = objections(made)
    assert "tender" in line


def test_it_runs_the_foreground_form_with_the_homes_settings_and_no_secret(config: Path, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "50 % of $X")
    laptop.environment |= {"LIFEBOAT_S3_SECRET_KEY": "hush-1", "LIFEBOAT_TRACKING_URI": "http://ann:hush-2@there"}
    made = installed(laptop)
    lines = made.read_text().splitlines()
    assert "hush" not in made.read_text()
    assert f'Environment="LIFEBOAT_HOME={tmp_path}/50 %% of $X"' in lines
    assert f'Environment="LIFEBOAT_PORT={laptop.settings.port}"' in lines
    assert f'ExecStart=/usr/bin/env "{sys.executable}" "-m" "lifeboat.cli.main" "serve"' in lines
    said = laptop.lifeboat("serve", "--install")
    secrets = "LIFEBOAT_S3_SECRET_KEY, LIFEBOAT_TRACKING_URI"
    assert f"not in it, being secret: {secrets}; put them into {laptop.home}/serve.env" in said.replace(
        "LIFEBOAT_TRACKING_URI, LIFEBOAT_S3_SECRET_KEY", secrets
    )
    assert f"EnvironmentFile=-{tmp_path}/50 %% of $X/serve.env" in lines


def test_homes_of_one_name_have_units_of_their_own_and_each_is_removed_alone(config: Path, tmp_path: Path) -> None:
    one, two = Laptop(tmp_path / "1" / "home"), Laptop(tmp_path / "2" / "home")
    units = [installed(one), installed(two)]
    assert units[0].name == "lifeboat-home.service"
    assert units[1] != units[0]
    assert installed(one) == units[0]
    said = one.lifeboat("serve", "--uninstall")
    assert said.startswith(f"removed {units[0]}")
    assert [unit.exists() for unit in units] == [False, True]
    assert f"there is no unit of {one.home}" in one.lifeboat("serve", "--uninstall", code=1)


def test_the_default_home_needs_no_name(config: Path, tmp_path: Path) -> None:
    assert installed(Laptop(tmp_path / ".lifeboat")).name == "lifeboat.service"


def test_where_systemd_is_missing_that_is_said_and_nothing_written(config: Path, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "home")
    laptop.environment["PATH"] = str(tmp_path)
    assert "there is no systemd on this machine" in laptop.lifeboat("serve", "--install", code=1)
    assert not config.exists()


def test_a_home_with_a_lines_end_in_its_name_is_refused(config: Path, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "two\nlines")
    laptop.environment["XDG_CONFIG_HOME"] = str(config)
    assert "has a line's end in it, which a unit cannot hold" in laptop.lifeboat("serve", "--install", code=1)


@needs_systemd
def test_an_interpreter_anywhere_is_a_word_of_the_command(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", '/a folder/50 % of $X "ß"/python')
    path = tmp_path / "lifeboat-odd.service"
    path.write_text(unit(Laptop(tmp_path / "home").settings))
    assert r'ExecStart=/usr/bin/env "/a folder/50 %% of $$X \"ß\"/python" "-m"' in path.read_text()
    assert objections(path) == []
