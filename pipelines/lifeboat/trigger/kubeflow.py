"""Runs on Kubeflow Pipelines, found again by the name the trigger gave them."""

from __future__ import annotations

import time

from lifeboat.config.errors import PipelineError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.pipeline import submit
from lifeboat.trigger.backend import CannotStart, Ended, Going, Unknown
from lifeboat.trigger.settings import TriggerSettings
from lifeboat.trigger.state import FAILED, INTERRUPTED, SUCCEEDED, Run


class Kubeflow:
    """Submits the compiled pipeline.

    Args:
        settings: host, token and namespace of the API.
        chosen: image, arguments and time-out of the runs.
    """

    def __init__(self, settings: Settings, chosen: TriggerSettings) -> None:
        self._settings, self._chosen = settings, chosen
        self.interval = chosen.poll_seconds

    def refusal(self) -> str:
        try:
            submit.host_of(self._settings)
        except SettingsError as error:
            return str(error)
        return ""

    def start(self, run: Run) -> Going:
        arguments = self._chosen.run_arguments(run.reason, self._settings.require)
        try:
            return self._going(submit.create_run(self._settings, self._chosen.image, arguments, run.id))
        except SettingsError as error:
            raise CannotStart(str(error)) from error
        except PipelineError as error:
            # An answer that did not arrive does not mean that no run goes.
            if handle := self._find(run, f"{error}; and "):
                return self._going(handle)
            raise CannotStart(str(error)) from error

    def look(self, run: Run) -> Going | Ended:
        handle = run.handle or self._find(run)
        if not handle:
            return Ended(INTERRUPTED, why="it did not reach Kubeflow")
        try:
            state, steps = submit.read_run(self._settings, handle)
            if state not in submit.FINAL:
                self._end_late(run, handle)
                return self._going(handle)
        except (PipelineError, SettingsError) as error:
            raise Unknown(str(error)) from error
        if state != submit.SUCCEEDED:
            return Ended(FAILED, why=f"{state.lower()}, see {submit.run_url(self._settings, handle)}")
        done = {"deploy": "deployed", "keep": "kept"}
        return Ended(SUCCEEDED, next((result for step, result in done.items() if step in steps), ""))

    def _find(self, run: Run, before: str = "") -> str | None:
        try:
            return submit.find_run(self._settings, run.id)
        except (PipelineError, SettingsError) as error:
            raise Unknown(f"{before}{error}") from error

    def _going(self, handle: str) -> Going:
        return Going(handle, submit.run_url(self._settings, handle))

    def _end_late(self, run: Run, handle: str) -> None:
        if time.time() - (run.started or run.recorded) > self._chosen.timeout_seconds:
            submit.end_run(self._settings, handle)
