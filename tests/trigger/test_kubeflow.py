"""Runs on Kubeflow, against the stand-in for its API: started once, found again, followed to their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lifeboat.config.settings import Settings
from lifeboat.trigger.kubeflow import Kubeflow
from lifeboat.trigger.metrics import TriggerMetrics
from lifeboat.trigger.policy import Policy
from lifeboat.trigger.settings import TriggerSettings
from lifeboat.trigger.state import RetrainRequest, Run, TriggerState
from tests.pipeline.test_submit import RUNS, StandIn, api  # noqa: F401  # the fixture
from tests.trigger.world import wait_for

WISH = RetrainRequest("alert", "drift: Age", (("group", "start"),))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[TriggerState]:
    with closing(TriggerState(tmp_path / "state.db")) as made:
        yield made


def guard(state: TriggerState, api: StandIn, **settings: Any) -> Policy:  # noqa: F811
    """As a trigger that has just started has it."""
    chosen = {"backend": "kubeflow", "cooldown_seconds": 0, "poll_seconds": 0.1, "image": "image@sha256:1", **settings}
    made = TriggerSettings(**{"usecase": "titanic", **chosen})
    return Policy(state, {"kubeflow": Kubeflow(api.settings(), made)}, made, TriggerMetrics(state), "titanic")


def last(state: TriggerState) -> dict[str, Any]:
    return state.runs()[-1]


def settle(made: Policy, state: TriggerState, wanted: str) -> dict[str, Any]:
    """Lets the guard look until the run is in that state."""

    def holds() -> bool:
        made.watch()
        return bool(last(state)["state"] == wanted)

    wait_for(holds)
    return last(state)


def test_a_run_has_the_reason_and_is_followed_to_its_end(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    made = guard(state, api, arguments="--require roc_auc>=0.8")
    assert made.refusal() == ""
    answer = made.ask(WISH)
    assert (answer.result, answer.why) == ("started", f"see {api.url}/#/runs/details/r-1")
    parameters = api.run["runtime_config"]["parameters"]
    assert (parameters["reason"], parameters["usecase"], parameters["extra_gates"], parameters["target"]) == (
        "drift: Age", "titanic", "roc_auc>=0.8", "kubernetes",
    )  # fmt: skip
    assert api.run["display_name"] == last(state)["id"] == answer.run
    assert (last(state)["handle"], last(state)["place"]) == ("r-1", f"{api.url}/#/runs/details/r-1")
    assert made.ask(RetrainRequest("person", "r")).result == "busy"
    steps = [{"display_name": "evaluate", "state": "SUCCEEDED"}, {"display_name": "deploy", "state": "SUCCEEDED"}]
    api.runs[0].update(state="SUCCEEDED", run_details={"task_details": steps})
    assert settle(made, state, "succeeded")["result"] == "deployed"
    assert made.ask(WISH).result == "duplicate"
    assert len(api.runs) == 1


@pytest.mark.parametrize("end", ["FAILED", "CANCELED"])
def test_a_run_that_fails_leaves_the_alert_open(api: StandIn, state: TriggerState, end: str) -> None:  # noqa: F811
    made = guard(state, api)
    made.ask(WISH)
    api.runs[0]["state"] = end
    assert settle(made, state, "failed")["why"] == f"{end.lower()}, see {api.url}/#/runs/details/r-1"
    assert made.ask(WISH).result == "started"


def test_an_api_that_is_down_is_asked_again(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    made = guard(state, api)
    api.failure = (502, b"")
    answer = made.ask(WISH)
    assert answer.result == "failed"
    assert answer.why.startswith(f"{api.url} did not take the run: 502 Bad Gateway; and {api.url} did not list")
    # Nobody can say whether the run came through: until somebody can, no other starts.
    assert made.ask(WISH).result == made.ask(RetrainRequest("person", "r", now=True)).result == "failed"
    api.failure = None
    assert made.ask(WISH).result == "started"
    assert [run["state"] for run in state.runs()] == ["interrupted", "running"]
    assert len(api.runs) == 1


def test_a_run_that_is_refused_is_no_run(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    api.refused = ("POST", RUNS)
    answer = guard(state, api).ask(WISH)
    assert (answer.result, answer.why) == (
        "failed",
        f"{api.url} did not take the run: 503 Service Unavailable: not today",
    )
    assert state.runs() == []
    assert state.requests()[0]["result"] == "failed"


def test_a_run_whose_answer_was_lost_is_found_by_its_name(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    api.loses_answers = True
    assert guard(state, api).ask(WISH).result == "started"
    assert (last(state)["handle"], len(api.runs)) == ("r-1", 1)


def test_a_trigger_killed_while_it_submitted_finds_the_run(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    with state.transaction():
        state.record(Run("titanic-lost", "alert", "r", "kubeflow", 1000.0), WISH.keys)
    api.runs.append({"run_id": "r-9", "display_name": "titanic-lost", "state": "RUNNING"})
    made = guard(state, api, timeout_seconds=1e10)
    assert made.ask(WISH).result == "duplicate"
    assert (last(state)["handle"], last(state)["started"]) == ("r-9", 1000.0)
    api.failure = (500, b"")
    made.watch()
    assert last(state)["state"] == "running"
    assert made.ask(RetrainRequest("person", "r")).result == "busy"


def test_a_run_that_takes_too_long_is_ended(api: StandIn, state: TriggerState) -> None:  # noqa: F811
    with state.transaction():
        state.record(Run("old", "alert", "r", "kubeflow", 1000.0, "running", handle="r-1", started=1000.0), WISH.keys)
    api.runs.append({"run_id": "r-1", "display_name": "old", "state": "RUNNING"})
    guard(state, api).watch()
    assert [path for method, path, *_ in api.requests if method == "POST"] == [f"{RUNS}/r-1:terminate"]
    assert last(state)["state"] == "running"


def test_without_a_host_the_trigger_is_not_ready() -> None:
    backend = Kubeflow(Settings(), TriggerSettings(backend="kubeflow"))
    assert backend.refusal().startswith("no host: give --host URL or LIFEBOAT_KFP_HOST")
