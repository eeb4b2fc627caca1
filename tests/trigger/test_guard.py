"""When a run starts and when not: once per alert, one at a time, not too soon, not too often."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from tests.trigger.world import GROUP, World, alert, wait_for

LATER = "2026-01-31T13:00:00Z"


def test_twenty_identical_webhooks_at_once_start_one_run(world: World) -> None:
    world.hold()
    with world.trigger() as trigger, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: trigger.post(), range(20)))
        assert sorted(answers) == [(200, "duplicate")] * 19 + [(200, "started")]
        assert trigger.metric("running") == 1
        assert trigger.metric("requests_total", result="duplicate") == 19
        world.release()
        run = trigger.run_is("succeeded")
        assert trigger.post() == (200, "duplicate")
        assert trigger.metric("running") == 0
        assert trigger.metric("runs_total", result="succeeded") == 1
        assert trigger.metric("last_start_timestamp_seconds") == run["started"]
        assert trigger.metric("last_success_timestamp_seconds") == run["ended"]
    assert world.calls == [
        "run --usecase tests.cli.tiny --reason=drift: Age, Fare (LifeboatDrift tiny 1) --require-deploy"
    ]


def test_another_alert_waits_for_the_run_that_goes(world: World) -> None:
    world.hold()
    with world.trigger(arguments="--seed 7") as trigger:
        trigger.post(alert())
        assert trigger.post(alert(LATER)) == (200, "busy")
        assert trigger.post(group="another group") == (200, "busy")
        # One of the two has its run, the other has not: the group is asked for again.
        assert trigger.post(alert(), alert(LATER)) == (200, "busy")
        world.release()
        assert trigger.run_is("succeeded")["result"] == "deployed"
        assert trigger.post(alert(), alert(LATER)) == (200, "started")
        wait_for(lambda: len(world.calls) == 2)
        assert trigger.post(alert(LATER)) == (200, "duplicate")
        shown = trigger.shown["requests"]
        assert [request["result"] for request in shown] == [
            "started", "busy", "busy", "busy", "started", "duplicate",
        ]  # fmt: skip
        assert shown[1]["alerts"] == [{"group_key": GROUP, "starts_at": "2026-01-31T13:00:00+00:00"}]
        assert shown[1]["why"] == f"run {trigger.runs[0]['id']} goes"
    assert world.calls[0].endswith("--require-deploy --seed 7")


def test_an_alert_within_the_cool_down_gets_its_run_afterwards(world: World) -> None:
    with world.trigger(cooldown_seconds=3600) as trigger:
        trigger.post(alert())
        trigger.run_is("succeeded")
        assert trigger.post(alert(LATER)) == (200, "cooldown")
        assert trigger.retrain(reason="I want it") == (200, "cooldown")
        assert trigger.shown["requests"][-1]["why"].startswith("the last run started less than 3600 s ago; wait 3")
        world.age(3500)
        assert trigger.post(alert(LATER)) == (200, "cooldown")
        world.age(100)
        assert trigger.post(alert(LATER)) == (200, "started")
        assert trigger.metric("requests_total", result="started") == 2
        assert trigger.metric("requests_total", result="cooldown") == 3


def test_a_person_may_skip_the_cool_down_but_not_the_daily_limit(world: World) -> None:
    with world.trigger(cooldown_seconds=3600, daily_limit=2) as trigger:
        for _ in range(2):
            assert trigger.retrain(reason="now", now=True) == (200, "started")
            trigger.run_is("succeeded")
        assert trigger.retrain(reason="now", now=True) == (200, "limit")
        assert trigger.metric("requests_total", result="limit") == 1
        world.age(86_400)  # the day is over for the first of them
        assert trigger.retrain(reason="now", now=True) == (200, "started")
        trigger.run_is("succeeded")
        assert trigger.retrain(reason="now", now=True) == (200, "limit")
    assert len(world.calls) == 3


def test_a_run_that_fails_leaves_the_alert_open(world: World) -> None:
    world.exits(1)
    with world.trigger() as trigger:
        assert trigger.post() == (200, "started")
        run = trigger.run_is("failed")
        assert run["why"] == "exit code 1: lifeboat: told to end so"
        assert trigger.metric("runs_total", result="failed") == 1
        assert trigger.metric("last_success_timestamp_seconds") == 0
        world.exits(3)
        assert trigger.post() == (200, "started")
        assert trigger.run_is("succeeded")["result"] == "kept"
        assert trigger.post() == (200, "duplicate")
    log = world.home / "trigger" / "runs" / run["id"] / "run.log"
    assert run["place"] == str(log)
    assert log.read_text() == "lifeboat: told to end so\n"


def test_a_run_that_cannot_start_is_asked_for_again(world: World) -> None:
    world.command.unlink()
    with world.trigger(cooldown_seconds=3600) as trigger:
        status, answer, headers = trigger.ask("POST", "/retrain", b'{"reason": "r"}')
        assert (status, answer["result"], headers["retry-after"]) == (503, "failed", "30")
        assert answer["why"] == f"the command {world.command} is not there"
        assert trigger.ask("GET", "/ready")[0] == 503
        # It is there, and cannot be run: nothing on the first line says with what.
        world.command.write_text("#!/nonexistent/interpreter\n")
        world.command.chmod(0o755)
        assert trigger.post() == (503, "failed")
        assert "cannot be started: No such file or directory" in trigger.shown["requests"][-1]["why"]
        assert trigger.runs == []
        world.install()
        assert trigger.post() == (200, "started")
        trigger.run_is("succeeded")
        assert trigger.post() == (200, "duplicate")
        assert trigger.metric("requests_total", result="failed") == 2
    assert len(world.calls) == 1


def test_a_run_that_takes_too_long_is_ended_with_its_steps(world: World) -> None:
    world.hold()
    with world.trigger(timeout_seconds=1) as trigger:
        trigger.post()
        run = trigger.run_is("failed")
    assert run["why"] == "ended after 1 s, which is too long"
    assert run["ended"] - run["started"] < 20


def test_a_run_whose_processes_are_killed_is_interrupted(world: World) -> None:
    world.hold()
    with world.trigger() as trigger:
        trigger.post()
        wait_for(lambda: len(world.calls) == 1)
        os.kill(int(trigger.runs[0]["handle"]), signal.SIGKILL)
        time.sleep(0.5)
        # The process between the two is gone, and the run itself is not.
        assert trigger.runs[0]["state"] == "running"
        assert trigger.post(alert(LATER)) == (200, "busy")
        os.kill(world.pid, signal.SIGKILL)
        assert trigger.run_is("interrupted")["why"] == "its process ended without leaving a result"
        assert trigger.metric("runs_total", result="failed") == 1
        world.release()
        assert trigger.post() == (200, "started")


def test_the_schedule_starts_a_run_when_none_has_for_so_long(world: World) -> None:
    with world.trigger(every_seconds=1) as trigger:
        wait_for(lambda: len(world.calls) >= 2)
        first, second, *_ = trigger.runs
    assert {first["source"], second["source"]} == {"schedule"}
    assert second["started"] - first["started"] >= 1
    assert "--reason=schedule: no run for 1 s" in world.calls[0]
