"""The trigger's settings: from flags and the environment, checked before anything starts."""

from __future__ import annotations

import argparse
import sys
from dataclasses import FrozenInstanceError, fields

import pytest

from lifeboat.config.errors import GateError, SettingsError
from lifeboat.trigger.settings import TriggerSettings, add_flags, read_settings, variable


def read(*flags: str, **variables: str) -> TriggerSettings:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return read_settings(vars(parser.parse_args(flags)), {variable(name): text for name, text in variables.items()})


def test_nothing_set_gives_the_defaults() -> None:
    assert read() == TriggerSettings()
    assert read(port="", token_file="") == TriggerSettings()
    assert (read().host, read().port, read().backend) == ("127.0.0.1", 9020, "local")
    with pytest.raises(FrozenInstanceError):
        read().port = 1  # type: ignore[misc]


def test_a_flag_beats_the_environment() -> None:
    assert read("--port", "9100", port="9200", daily_limit="2") == TriggerSettings(port=9100, daily_limit=2)
    assert read("--cooldown-seconds", "0", cooldown_seconds="5").cooldown_seconds == 0


def test_each_setting_has_help_a_flag_and_a_variable() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    shown = " ".join(parser.format_help().split())
    for spec in fields(TriggerSettings):
        assert spec.metadata["help"]
        assert f"--{spec.name.replace('_', '-')} " in shown
        assert f"{variable(spec.name)})".replace("-", "- ") in shown.replace("-", "- ")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("prot", "1", "LIFEBOAT_TRIGGER_PROT is no setting; the settings are LIFEBOAT_TRIGGER_ARGUMENTS, "),
        ("port", "http", "LIFEBOAT_TRIGGER_PORT is 'http', not a whole number"),
        ("port", "70000", "LIFEBOAT_TRIGGER_PORT is 70000, a port is 0 to 65535"),
        ("daily_limit", "1.5", "LIFEBOAT_TRIGGER_DAILY_LIMIT is '1.5', not a whole number"),
        ("daily_limit", "0", "LIFEBOAT_TRIGGER_DAILY_LIMIT is 0, the least is 1"),
        ("cooldown_seconds", "soon", "LIFEBOAT_TRIGGER_COOLDOWN_SECONDS is 'soon', not a number"),
        ("cooldown_seconds", "-1", "LIFEBOAT_TRIGGER_COOLDOWN_SECONDS is -1.0, the least is 0"),
        ("cooldown_seconds", "nan", "LIFEBOAT_TRIGGER_COOLDOWN_SECONDS is nan, the least is 0"),
        ("timeout_seconds", "inf", "LIFEBOAT_TRIGGER_TIMEOUT_SECONDS is inf, the least is 1"),
        ("every_seconds", "60", "LIFEBOAT_TRIGGER_EVERY_SECONDS is 60: the cool-down of 3600 s would refuse its runs"),
        ("backend", "argo", "LIFEBOAT_TRIGGER_BACKEND is 'argo', not local or kubeflow"),
        ("host", "192.0.2.1", "LIFEBOAT_TRIGGER_TOKEN_FILE is needed on 192.0.2.1, which others can reach"),
        ("host", "trigger.example", "LIFEBOAT_TRIGGER_TOKEN_FILE is needed on trigger.example"),
        ("command", "'half", 'LIFEBOAT_TRIGGER_COMMAND is "\'half": No closing quotation'),
        ("arguments", "--fast", "LIFEBOAT_TRIGGER_ARGUMENTS: unrecognized arguments: --fast"),
        ("arguments", "--seed x", "LIFEBOAT_TRIGGER_ARGUMENTS: argument --seed: seed is 'x', not a whole number"),
        ("arguments", "--as-of 2025-11-20", "LIFEBOAT_TRIGGER_ARGUMENTS: --as-of would keep every run from what came"),
        ("arguments", "--as-of now", "LIFEBOAT_TRIGGER_ARGUMENTS: argument --as-of: 'now' is no moment such as "),
        ("arguments", "--reason mine", "LIFEBOAT_TRIGGER_ARGUMENTS: --reason is the trigger's own to give"),
    ],
)
def test_what_is_not_valid_is_named(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: text})
    assert str(caught.value).startswith(sentence)


def test_a_mistyped_bound_does_not_wait_for_the_first_alert() -> None:
    with pytest.raises(GateError, match="'roc_auc>0.9' is no bound"):
        read(arguments="--require roc_auc>0.9")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_needs_no_token_file(host: str) -> None:
    assert read(host=host).is_local


def test_the_runs_arguments_and_command() -> None:
    chosen = read(arguments="--require 'roc_auc>=0.9' --seed 3", usecase="titanic", target="local")
    assert chosen.words == ["--require", "roc_auc>=0.9", "--seed", "3"]
    arguments = chosen.run_arguments("drift")
    assert arguments["extra_gates"] == "roc_auc>=0.9"
    assert (arguments["seed"], arguments["usecase"], arguments["target"], arguments["reason"]) == (
        3, "titanic", "local", "drift",
    )  # fmt: skip
    assert chosen.lifeboat == [sys.executable, "-m", "lifeboat.cli.main"]
    assert read(command="/opt/my\\ tools/lifeboat -v").lifeboat == ["/opt/my tools/lifeboat", "-v"]
