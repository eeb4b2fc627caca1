"""Recurring runs, against the stand-in for the Kubeflow Pipelines API."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

from lifeboat.cli.main import main
from lifeboat.config.errors import PipelineError, SettingsError
from lifeboat.pipeline.recurring import kubeflow_cron, repeat
from tests.pipeline.test_submit import ARGUMENTS, RECURRING, RUNS, StandIn, api  # noqa: F401  # the fixture


def test_a_recurring_run_carries_the_schedule_and_runs_alone(api: StandIn) -> None:  # noqa: F811
    made = repeat(api.settings(), "registry/image@sha256:1", ARGUMENTS, "0 4 * * 1", "weekly")
    assert made == (f"{api.url}/#/recurringrun/details/s-1", 0, 0)
    [run] = api.recurring
    assert run["trigger"] == {"cron_schedule": {"cron": "0 0 4 * * 1"}}
    assert (run["max_concurrency"], run["no_catchup"], run["mode"]) == ("1", True, "ENABLE")
    assert (run["display_name"], run["experiment_id"]) == ("weekly", "e-1")
    assert run["runtime_config"]["parameters"] == ARGUMENTS
    executors = run["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]
    assert {part["container"]["image"] for part in executors.values()} == {"registry/image@sha256:1"}


def test_one_of_the_same_name_is_replaced_and_no_other(api: StandIn) -> None:  # noqa: F811
    repeat(api.settings(), "image", ARGUMENTS, "0 4 * * 1", "weekly")
    repeat(api.settings(), "image", ARGUMENTS, "0 4 * * *", "daily")
    made = repeat(api.settings(kfp_namespace="team-a"), "image", ARGUMENTS, "30 5 * * 1", "weekly")
    assert (made.url.rpartition("/")[2], made.replaced, made.left) == ("s-3", 1, 0)
    assert [run["trigger"]["cron_schedule"]["cron"] for run in api.recurring] == ["0 0 4 * * *", "0 30 5 * * 1"]


def test_one_that_cannot_be_removed_is_named_and_put_right_later(api: StandIn) -> None:  # noqa: F811
    repeat(api.settings(), "image", ARGUMENTS, "0 4 * * 1", "weekly")
    api.refused = ("DELETE", RECURRING)
    sentence = "made the recurring run, but did not remove the one before it: 503 Service Unavailable: not today"
    with pytest.raises(PipelineError, match=sentence):
        repeat(api.settings(), "image", ARGUMENTS, "0 5 * * 1", "weekly")
    api.refused = ("", "")
    assert repeat(api.settings(), "image", ARGUMENTS, "0 6 * * 1", "weekly").replaced == 2
    assert [run["trigger"]["cron_schedule"]["cron"] for run in api.recurring] == ["0 0 6 * * 1"]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CANCELING"])
def test_one_whose_run_goes_on_is_switched_off_and_removed_later(api: StandIn, state: str) -> None:  # noqa: F811
    """The cluster deletes a schedule's workflows and pods with it; Kubeflow shows such a run as running for ever."""
    repeat(api.settings(), "image", ARGUMENTS, "0 4 * * 1", "weekly")
    run = {"run_id": "r-1", "display_name": "weekly-1", "recurring_run_id": "s-1", "state": state}
    api.runs.append(run)
    made = repeat(api.settings(), "image", ARGUMENTS, "0 5 * * 1", "weekly")
    assert (made.replaced, made.left) == (1, 1)
    assert [(item["recurring_run_id"], item["mode"]) for item in api.recurring] == [
        ("s-1", "DISABLE"),
        ("s-2", "ENABLE"),
    ]
    run["state"] = "SUCCEEDED"
    made = repeat(api.settings(), "image", ARGUMENTS, "0 6 * * 1", "weekly")
    assert (made.replaced, made.left) == (2, 0)
    assert [(item["trigger"]["cron_schedule"]["cron"], item["mode"]) for item in api.recurring] == [
        ("0 0 6 * * 1", "ENABLE")
    ]


def test_another_schedules_run_keeps_none(api: StandIn) -> None:  # noqa: F811
    repeat(api.settings(), "image", ARGUMENTS, "0 4 * * 1", "weekly")
    api.runs.append({"run_id": "r-1", "display_name": "x", "recurring_run_id": "s-9", "state": "RUNNING"})
    assert repeat(api.settings(), "image", ARGUMENTS, "0 5 * * 1", "weekly").left == 0
    assert [item["recurring_run_id"] for item in api.recurring] == ["s-2"]


@pytest.mark.parametrize("text", ["*/5 0-6 1,15 */2 1-5", "0 0 * * 0", " 59  23 31 12 6 ", "10-50/10 * * * *"])
def test_a_cron_expression_gets_its_seconds(text: str) -> None:
    assert kubeflow_cron(text) == f"0 {' '.join(text.split())}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the cron expression '' has 0 fields, not the five minute, hour, day of the month, "),
        ("0 0 4 * * 1", "the cron expression '0 0 4 * * 1' has 6 fields, not the five "),
        ("@weekly", "the cron expression '@weekly' has 1 fields, not the five "),
        ("60 * * * *", "the cron expression's minute is '60'; it can be *, numbers from 0 to 59, "),
        ("0 24 * * *", "the cron expression's hour is '24'; it can be *, numbers from 0 to 23, "),
        ("0 4 0 * *", "the cron expression's day of the month is '0'; "),
        ("0 4 * JAN *", "the cron expression's month is 'JAN'; "),
        ("0 4 * * 7", "the cron expression's day of the week is '7'; "),
        ("5-1 * * * *", "the cron expression's minute is '5-1'; "),
        ("*/0 * * * *", "the cron expression's minute is '*/0'; "),
        ("1,,2 * * * *", "the cron expression's minute is '1,,2'; "),
    ],
)
def test_what_is_no_cron_expression_is_refused_by_field(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(sentence)}"):
        kubeflow_cron(text)


def test_the_command_makes_one(api: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    flags = ["submit", "--host", api.url, "--home", str(tmp_path)]
    with patch.dict(os.environ):
        assert main([*flags, "--cron", "0 4 * * 1"]) == 0
        assert capsys.readouterr() == (f"{api.url}/#/recurringrun/details/s-1\n", "")
        assert main([*flags, "--cron", "0 5 * * 1", "--reason", "each Monday"]) == 0
        assert capsys.readouterr().err == "in the place of 1 of the same name\n"
        api.runs.append({"run_id": "r-1", "display_name": "x", "recurring_run_id": "s-2", "state": "RUNNING"})
        assert main([*flags, "--cron", "0 6 * * 1", "--reason", "again"]) == 0
        assert capsys.readouterr().err == (
            "in the place of 1 of the same name\n1 of them switched off and left there, for a run of it goes on\n"
        )
        assert main([*flags, "--name", "weekly"]) == 1
        assert capsys.readouterr().err == "lifeboat: --name is of a recurring run: give --cron with it\n"
        for flag in ("--name", "--reason"):
            assert main([*flags, "--cron", "0 4 * * 1", flag, "at [[ScheduledTime]]"]) == 1
            assert capsys.readouterr().err.startswith(f"lifeboat: {flag} holds [[ScheduledTime, which Kubeflow")
    assert [run["display_name"] for run in api.recurring] == ["lifeboat titanic", "lifeboat titanic"]
    assert [
        body["runtime_config"]["parameters"]["reason"] for _, _, _, body in api.requests if body and "trigger" in body
    ] == [
        "schedule: 0 4 * * 1",
        "each Monday",
        "again",
    ]
    assert not [path for method, path, *_ in api.requests if (method, path) == ("POST", RUNS)]
