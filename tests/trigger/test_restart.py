"""What a trigger that ends, or is killed at any moment, leaves to the next one."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import threading
import time

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.trigger.state import RECORDED, Run, TriggerState
from tests.trigger.world import GROUP, Trigger, World, alert, wait_for


def test_a_restart_forgets_nothing(world: World) -> None:
    with world.trigger(cooldown_seconds=3600) as first:
        assert first.post() == (200, "started")
        first.run_is("succeeded")
        token = first.token
        assert first.end(signal.SIGINT) == 0
        assert not (world.home / "trigger" / "trigger.json").exists()
    with world.trigger(cooldown_seconds=3600) as second:
        assert second.token == token
        assert second.post() == (200, "duplicate")
        assert second.post(alert("2026-02-01T00:00:00Z")) == (200, "cooldown")
        assert second.metric("last_success_timestamp_seconds") == second.runs[0]["ended"]
    assert len(world.calls) == 1


@pytest.mark.slow
def test_a_local_run_outlives_the_trigger_and_is_found_again(world: World) -> None:
    world.hold()
    with world.trigger() as first:
        first.post()
        wait_for(lambda: len(world.calls) == 1)
        assert first.end(signal.SIGTERM) == 0
        with world.trigger() as second:
            assert second.metric("running") == 1
            assert second.post() == (200, "duplicate")
            assert second.post(group="another group") == (200, "busy")
            assert second.retrain(reason="r", now=True) == (200, "busy")
            second.end(signal.SIGKILL)
        world.exits(3)
        world.release()
        time.sleep(0.3)
        # It ended while no trigger was there to see it.
        with world.trigger() as third:
            assert third.post() == (200, "duplicate")
            assert third.run_is("succeeded")["result"] == "kept"
            assert third.metric("runs_total", result="succeeded") == 1


def test_a_run_that_was_recorded_and_never_started_is_done_over(world: World) -> None:
    """As a trigger leaves it that was killed in between."""
    state = TriggerState(world.home / "trigger" / "trigger.db")
    with state.transaction():
        state.record(
            Run("lost", "alert", "r", "local", time.time(), RECORDED), [(GROUP, "2026-01-31T12:00:00.123456+00:00")]
        )
    state.close()
    with world.trigger(cooldown_seconds=3600) as trigger:
        assert trigger.post() == (200, "started")
        assert trigger.runs[0]["state"] == "interrupted"
        assert trigger.runs[0]["why"] == "it was not started"
        trigger.run_is("succeeded")
    assert len(world.calls) == 1


@pytest.mark.slow
def test_killed_at_any_moment_there_is_one_run_per_alert(world: World) -> None:
    """The alert is sent until it is taken, as Alertmanager does, while the trigger is killed and started again."""
    chance = random.Random(4)  # noqa: S311
    with contextlib.ExitStack() as stack:
        trigger = stack.enter_context(world.trigger())
        for number in range(3):
            world.hold()
            kill_soon(trigger, chance.uniform(0.0, 0.12), alert(f"2026-03-0{number + 1}T00:00:00Z"))
            trigger = stack.enter_context(world.trigger())
            status, result = trigger.post(alert(f"2026-03-0{number + 1}T00:00:00Z"))
            assert (status, result) in ((200, "started"), (200, "duplicate"))
            wait_for(lambda wanted=number + 1: len(world.calls) == wanted)  # type: ignore[misc]
            assert trigger.post(alert("2026-04-01T00:00:00Z")) == (200, "busy")
            world.release()
            trigger.run_is("succeeded")
            assert len(world.calls) == number + 1
        assert [run["state"] for run in trigger.runs if run["state"] != "interrupted"] == ["succeeded"] * 3


def kill_soon(trigger: Trigger, seconds: float, asking: dict[str, object]) -> None:
    def send() -> None:
        with contextlib.suppress(OSError):  # no answer: the trigger is dead
            trigger.post(asking)

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(seconds)
    trigger.end(signal.SIGKILL)
    sending.join()


def test_a_state_that_is_none_is_refused(world: World) -> None:
    other = world.folder / "mine"
    other.write_text("no database at all, but a text of some length\n" * 100)
    for path in (other, world.folder):
        with pytest.raises(SettingsError, match=f"^{path} cannot be used as the trigger's state: "):
            TriggerState(path)
    assert other.read_text().startswith("no database")


def test_a_state_of_another_version_is_refused(world: World) -> None:
    path = world.folder / "state.db"
    TriggerState(path).close()
    TriggerState(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(SettingsError, match="is of version 9, this reads 1$"):
        TriggerState(path)
