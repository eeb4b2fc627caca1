"""The servers' environments: made whole or not at all, once, and made anew where something is gone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifeboat.config.errors import SetupError
from lifeboat.config.settings import Settings
from lifeboat.system.environments import LOCKS, Environment

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


def model_servers(cache):
    return Environment("serving", "model server", "{}.{}".format(*sys.version_info), cache)


@pytest.mark.slow
def test_one_is_made_once_holds_our_code_and_is_repaired(tmp_path):
    said = []
    own = model_servers(tmp_path)
    assert not own.is_whole()
    own.make(said.append)
    [line] = said
    assert line.startswith("setting up the model server's environment, once: ")
    assert str(own.folder) in line
    program = "import lifeboat.server.service, importlib.util as u; print(u.find_spec('pandas'))"
    done = subprocess.run([own.python, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "None\n"
    own.make(said.append)
    assert len(said) == 1
    shutil.rmtree(next(own.folder.glob("lib/python3*/site-packages/orjson-*.dist-info")))
    assert not own.is_whole()
    own.make(said.append)
    assert said[1].startswith("repairing the model server's environment: ")
    assert own.is_whole()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_a_package_index_it_is_one_sentence_and_nothing_is_left(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    own = model_servers(tmp_path / "cache")
    with pytest.raises(
        SetupError, match="^the model server's environment could not be made .*its own lines are above$"
    ):
        own.make(lambda _: None)
    assert "network" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{own.folder.name}.lock"]


def test_another_lock_or_version_is_another_environment(tmp_path, monkeypatch):
    own = model_servers(tmp_path)
    other = Environment("serving", "model server", "3.13", tmp_path)
    assert own.folder != other.folder
    before = own.folder
    monkeypatch.setattr("lifeboat.system.environments.LOCKS", tmp_path)
    (tmp_path / "serving.txt").write_text("numpy==2.3.0\n")
    assert own.folder != before


@pytest.mark.parametrize(
    ("name", "flag"), [("serving", "--extra=serving"), ("drift", "--group=drift")], ids=["serving", "drift"]
)
def test_the_package_carries_what_the_lock_file_says(name, flag):
    command = [
        UV,
        "export",
        "--quiet",
        "--locked",
        "--offline",
        "--no-emit-project",
        "--no-header",
        "--no-annotate",
        flag,
        "--extra=tracing",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (LOCKS / f"{name}.txt").read_text() == done.stdout, "run: make lock"


def test_a_checkouts_own_environments_go_before_and_a_setting_before_both(tmp_path):
    chosen = Settings(serving_python="/usr/bin/one", detector_python="none", environments=str(tmp_path))
    assert (chosen.server_python, chosen.drift_python) == ("/usr/bin/one", "")
    chosen.make_environments(lambda line: pytest.fail(line))
    assert Settings().drift_python == str(ROOT / ".venvs" / "drift" / "bin" / "python")
    assert Settings(environments=str(tmp_path)).detector_environment.folder.parent == tmp_path
