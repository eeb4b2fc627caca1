"""Settings that stand in a project's pyproject.toml."""

import subprocess

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import git_commit, read_settings


def project(folder, table, name="pyproject.toml"):
    (folder / name).write_text(table)
    return folder


def test_a_projects_table_holds_settings_and_its_folder_the_home(tmp_path):
    project(tmp_path, '[tool.lifeboat]\nusecase = "mine"\nport = 9123\nstore = "bundles"\n')
    deep = tmp_path / "src" / "mine"
    deep.mkdir(parents=True)
    settings = read_settings({}, deep)
    assert (settings.usecase, settings.port) == ("mine", 9123)
    assert settings.home == str(tmp_path / ".lifeboat")
    assert settings.store == str(tmp_path / "bundles")


def test_a_variable_goes_before_it(tmp_path):
    project(tmp_path, '[tool.lifeboat]\nusecase = "mine"\nhome = "state"\n')
    settings = read_settings({"LIFEBOAT_USECASE": "other"}, tmp_path)
    assert (settings.usecase, settings.home) == ("other", str(tmp_path / "state"))


def test_a_pyproject_without_the_table_is_none(tmp_path):
    project(tmp_path, '[tool.lifeboat]\nusecase = "outer"\n')
    inner = tmp_path / "inner"
    inner.mkdir()
    project(inner, '[project]\nname = "inner"\n')
    assert read_settings({}, inner).usecase == "outer"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('usecas = "mine"', r"\[tool.lifeboat\] usecas is no setting; the settings are "),
        ('kfp_token = "secret"', r"\[tool.lifeboat\] kfp_token may hold a password"),
        ('usecase = ["a"]', r"\[tool.lifeboat\] usecase is neither text nor number"),
        ("port = 99999", "LIFEBOAT_PORT is 99999, a port is 1 to 65535"),
        ("port = ", "pyproject.toml cannot be read: "),
    ],
)
def test_what_is_wrong_in_it_is_named(tmp_path, line, sentence):
    project(tmp_path, f"[tool.lifeboat]\n{line}\n")
    with pytest.raises(SettingsError, match=sentence):
        read_settings({}, tmp_path)


def test_a_package_installed_within_somebodys_repository_is_none_of_its_commits(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / ".gitignore").write_text(".venv/\n")
    installed = tmp_path / ".venv" / "lifeboat"
    installed.mkdir(parents=True)
    (installed / "code.py").write_text("")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    assert git_commit(installed) == "unknown"
    assert len(git_commit(tmp_path)) == 40
