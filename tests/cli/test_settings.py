"""Settings: read once, checked, documented, and without secrets in a repr."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from unittest.mock import patch

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import LIBRARIES, Settings, read_settings, variable

SECRETS = {
    "LIFEBOAT_S3_SECRET_KEY": "hush-1",
    "LIFEBOAT_KFP_TOKEN": "hush-2",
    "LIFEBOAT_TRACKING_URI": "postgresql://ann:hush-3@database/mlflow",
}


def test_nothing_set_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"HOME": "/nowhere", "LIFE": "1"}) == Settings()


@pytest.mark.parametrize("spec", fields(Settings), ids=lambda spec: spec.name)
def test_each_setting_is_read_from_its_variable(spec: object) -> None:
    name, default = spec.name, spec.default  # type: ignore[attr-defined]
    wanted = {bool: not default, int: 8123, float: 0.125, str: "chosen" if name != "log_level" else "debug"}[
        type(default)
    ]
    assert read_settings({variable(name): str(wanted)}) == replace(Settings(), **{name: wanted})


def test_an_empty_variable_counts_as_unset() -> None:
    assert read_settings({variable(spec.name): "" for spec in fields(Settings)}) == Settings()


@pytest.mark.parametrize(
    "name", ["LIFEBOAT_HOEM", "LIFEBOAT_", "LIFEBOAT_home", "LIFEBOAT_SERVERPORT", "LIFEBOAT_TRIGGER"]
)
def test_an_unknown_variable_fails_and_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is no setting; the settings are LIFEBOAT_CODE_COMMIT, "):
        read_settings({name: "x", "LIFEBOAT_PORT": "9001"})


@pytest.mark.parametrize("service", ["SERVER", "DRIFT", "TRIGGER"])
def test_a_services_own_variables_are_left_alone(service: str) -> None:
    assert read_settings({f"LIFEBOAT_{service}_PORT": "no number", f"LIFEBOAT_{service}_ANY": "x"}) == Settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0", "LIFEBOAT_PORT is 0, a port is 1 to 65535"),
        ("65536", "LIFEBOAT_PORT is 65536, a port is 1 to 65535"),
        ("-1", "LIFEBOAT_PORT is -1, a port is 1 to 65535"),
        ("http", "LIFEBOAT_PORT is 'http', not a whole number"),
        ("80.5", "LIFEBOAT_PORT is '80.5', not a whole number"),
    ],
)
def test_a_port_out_of_range_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"LIFEBOAT_PORT": text})
    assert str(caught.value) == sentence
    assert read_settings({"LIFEBOAT_PORT": "65535", "LIFEBOAT_METRICS_PORT": "1"}).port == 65535


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("LIFEBOAT_ROLLOUT_WINDOW", "0", "LIFEBOAT_ROLLOUT_WINDOW is 0, it must be 1 or more"),
        ("LIFEBOAT_ROLLOUT_ERROR_RATIO", "few", "LIFEBOAT_ROLLOUT_ERROR_RATIO is 'few', not a number"),
        ("LIFEBOAT_ROLLOUT_ERROR_RATIO", "-0.1", "LIFEBOAT_ROLLOUT_ERROR_RATIO is -0.1, it must be 0 or more"),
        ("LIFEBOAT_ROLLOUT_ERROR_RATIO", "nan", "LIFEBOAT_ROLLOUT_ERROR_RATIO is nan, it must be 0 or more"),
    ],
)
def test_a_number_of_a_rollout_out_of_range_is_refused(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: text})
    assert str(caught.value) == sentence
    assert read_settings({"LIFEBOAT_ROLLOUT_WINDOW": "90000"}).rollout_window == 90000


def test_secrets_are_in_no_repr() -> None:
    settings = read_settings(SECRETS)
    assert settings.kfp_token == "hush-2"
    assert "hush" not in f"{settings} {settings!r} {settings.s3} {settings.s3!r}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://ann:hush@database:5432/mlflow", "postgresql://ann:***@database:5432/mlflow"),
        ("https://:hush@tracking", "https://:***@tracking"),
        ("https://ann:h:u:s:h@tracking/x", "https://ann:***@tracking/x"),
        ("http://tracking:5000/a:b@c", "http://tracking:5000/a:b@c"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
    ],
)
def test_a_password_in_the_tracking_uri_is_not_shown(uri: str, shown: str) -> None:
    settings = Settings(tracking_uri=uri)
    assert (settings.tracking, settings.shown_tracking) == (uri, shown)


def test_the_environment_gives_another_process_the_same_settings() -> None:
    settings = Settings(home="/srv/x", port=9100, kfp_token="t", s3_secret_key="s", store="s3://b/p")
    assert read_settings(settings.environment()) == settings
    assert read_settings(Settings().environment()) == Settings()


def test_the_environment_beats_what_the_other_process_inherits() -> None:
    inherited = {"LIFEBOAT_PORT": "9100", "LIFEBOAT_STORE": "s3://theirs", "LIFEBOAT_SERVER_PORT": "1"}
    assert read_settings({**inherited, **Settings().environment()}) == Settings()


def test_a_project_in_whose_folder_the_other_process_starts_changes_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.lifeboat]\nhost = "0.0.0.0"\nport = 9100\nrollout_window = 7\n')
    assert read_settings({}, tmp_path).host == "0.0.0.0"  # noqa: S104
    assert read_settings(Settings(port=9200).environment(), tmp_path) == Settings(port=9200)
    with pytest.raises(SettingsError, match="LIFEBOAT_PROJECT is no setting"):
        read_settings({"LIFEBOAT_PROJECT": "other"}, tmp_path)


def test_paths_are_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(store="bundles", code_commit="abc").resolved()
    monkeypatch.chdir("/")
    assert settings.home_path == tmp_path / ".lifeboat"
    assert settings.tracking == f"sqlite:///{tmp_path}/.lifeboat/mlflow.db"
    assert settings.bundle_store == str(tmp_path / "bundles")
    assert Settings(store="s3://b/p").resolved().bundle_store == "s3://b/p"
    assert settings.serving_state("titanic") == tmp_path / ".lifeboat" / "serving" / "titanic"


def test_the_commit_is_that_of_the_code_or_unknown() -> None:
    assert Settings(code_commit="abc").resolved().code_commit == "abc"
    assert Settings().resolved().code_commit


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_the_libraries_are_told_unless_the_user_did() -> None:
    with patch.dict(os.environ, {"MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}, clear=True):
        read_settings()
        assert dict(os.environ) == {**LIBRARIES, "MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}


def test_reading_given_settings_changes_no_environment() -> None:
    with patch.dict(os.environ, clear=True):
        read_settings({"LIFEBOAT_PORT": "9001"})
        assert not os.environ
