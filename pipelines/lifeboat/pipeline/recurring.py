"""Recurring runs of the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import kfp_server_api as api

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings
from lifeboat.pipeline import submit

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 6))
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", re.ASCII)
PAGE = 100
GOING = ("PENDING", "RUNNING", "CANCELING", "PAUSED")


class Repeated(NamedTuple):
    """A recurring run that was made: its URL, how many it replaced, and how many of those are still there."""

    url: str
    replaced: int
    left: int


def repeat(settings: Settings, image: str, arguments: dict[str, Any], cron: str, name: str) -> Repeated:
    """Makes a recurring run, in the place of those of the same name.

    Those start no further run. One whose run goes on is left there until the next call, switched off: the cluster would
    delete the run with it, in the middle of a step.

    Args:
        settings: host, token and namespace.
        image: reference of the components' image.
        arguments: of the pipeline.
        cron: minute, hour, day of the month, month and day of the week, in UTC.
        name: of the recurring run.

    Raises:
        SettingsError: the cron expression, host or token is not valid.
        PipelineError: the API cannot be reached or refuses.
    """
    schedule = kubeflow_cron(cron)
    with submit.connected(settings, "did not take the recurring run") as client:
        service = api.RecurringRunServiceApi(client)
        place = {**submit.place(settings), **submit.limits()}
        wanted = {"filter": submit.named(name), "page_size": PAGE, **place}
        old = service.recurring_run_service_list_recurring_runs(**wanted).recurring_runs or []
        run = _recurring(submit.experiment(client, settings), image, arguments, schedule, name)
        made = service.recurring_run_service_create_recurring_run(run, **submit.limits()).recurring_run_id
        url = f"{submit.host_of(settings)}/#/recurringrun/details/{submit.identified(made)}"
    # The new one first: a failure in between leaves one too many, which the next call puts right, and not none.
    with submit.connected(settings, "made the recurring run, but did not remove the one before it") as client:
        left = sum(not _removed(client, settings, before.recurring_run_id) for before in old)
    return Repeated(url, len(old), left)


def _removed(client: api.ApiClient, settings: Settings, recurring: str) -> bool:
    """Switches a recurring run off, and removes it unless a run of it goes on."""
    service = api.RecurringRunServiceApi(client)
    service.recurring_run_service_disable_recurring_run(recurring, **submit.limits())
    of_it = {"operation": "EQUALS", "key": "recurring_run_id", "stringValue": recurring}
    going = {"operation": "IN", "key": "state", "stringValues": {"values": GOING}}
    wanted = {"filter": json.dumps({"predicates": [of_it, going]}), "page_size": 1, **submit.place(settings)}
    if api.RunServiceApi(client).run_service_list_runs(**wanted, **submit.limits()).runs:
        return False
    service.recurring_run_service_delete_recurring_run(recurring, **submit.limits())
    return True


def _recurring(
    experiment: str | None, image: str, arguments: dict[str, Any], schedule: str, name: str
) -> api.V2beta1RecurringRun:
    """One run at a time, and none afterwards for the times at which the cluster was away."""
    return api.V2beta1RecurringRun(
        experiment_id=experiment,
        display_name=name,
        pipeline_spec=submit.compiled(image),
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=schedule)),
        max_concurrency="1",
        no_catchup=True,
        mode=api.RecurringRunMode.ENABLE,
    )


def kubeflow_cron(text: str) -> str:
    """The expression as Kubeflow reads it: with a field for the seconds in front.

    Kubeflow takes five fields as well, but as seconds to months: '0 4 * * 1' would be each hour of January.

    Raises:
        SettingsError: naming the field that is not valid.
    """
    parts = text.split()
    if len(parts) != len(FIELDS):
        names = ", ".join(name for name, *_ in FIELDS)
        raise SettingsError(f"the cron expression {text!r} has {len(parts)} fields, not the five {names}")
    for part, (name, low, high) in zip(parts, FIELDS, strict=True):
        if not all(_is_valid(item, low, high) for item in part.split(",")):
            allowed = f"*, numbers from {low} to {high}, ranges, steps and lists of them"
            raise SettingsError(f"the cron expression's {name} is {part!r}; it can be {allowed}")
    return " ".join(["0", *parts])


def _is_valid(item: str, low: int, high: int) -> bool:
    found = _PART.fullmatch(item)
    if found is None:
        return False
    numbers = [int(number) for number in found.groups()[:2] if number is not None]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)
