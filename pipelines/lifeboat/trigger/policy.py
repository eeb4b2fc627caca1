"""The one place that decides whether a run starts: once per alert, one at a time, not too soon, not too often."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lifeboat.system import log
from lifeboat.trigger.backend import Backend, CannotStart, Going, Unknown
from lifeboat.trigger.metrics import TriggerMetrics
from lifeboat.trigger.settings import TriggerSettings
from lifeboat.trigger.state import INTERRUPTED, RECORDED, RUNNING, RetrainRequest, Run, TriggerState


@dataclass(frozen=True)
class PolicyAnswer:
    """What became of a request: a result as the metrics name them, why, and the run it is about."""

    result: str
    why: str = ""
    run: str | None = None


class Policy:
    """Takes wishes, one after another.

    Args:
        state: of this policy alone.
        backends: by the names the settings know.
        settings: cool-down, daily limit and the backend for new runs.
        metrics: counts.
        name: of the use case, for the names of runs.
    """

    def __init__(
        self,
        state: TriggerState,
        backends: Mapping[str, Backend],
        settings: TriggerSettings,
        metrics: TriggerMetrics,
        name: str,
    ) -> None:
        self._state, self._backends, self._settings, self._metrics = state, backends, settings, metrics
        self._name = name
        # Held while a run starts: whoever is told 'duplicate' or 'busy' can rely on that run.
        self._lock = threading.Lock()
        self._looked = 0.0

    def ask(self, asked: RetrainRequest) -> PolicyAnswer:
        """Starts a run or says why not; 'failed' means that it should be asked again soon."""
        with self._lock:
            try:
                answer = self._decide(asked, time.time())
            except sqlite3.Error as error:
                answer = PolicyAnswer("failed", f"the state cannot be read or written: {error}")
        self._metrics.requests.labels(answer.result).inc()
        log.info(
            f"retraining asked for: {answer.result}",
            source=asked.source,
            reason=asked.reason,
            why=answer.why,
            run=answer.run,
        )
        return answer

    def refusal(self) -> str:
        """Why no run could start now, as far as one sees without trying; '' if nothing is known against it."""
        return self._backends[self._settings.backend].refusal()

    def watch(self) -> None:
        """Looks at the run that goes, if one does and it was not looked at just now."""
        run = self._state.open_run()
        if run is None or time.monotonic() - self._looked < self._backends[run.backend].interval:
            return
        with self._lock:
            run = self._state.open_run()
            if run is not None:
                with suppress(Unknown):
                    self._settle(run)

    def _decide(self, asked: RetrainRequest, now: float) -> PolicyAnswer:
        doubt = self._doubt()
        with self._state.transaction():
            answer = PolicyAnswer("failed", doubt) if doubt else self._refusal(asked, now)
            run = None if answer else self._new_run(asked, now)
            if run:
                self._state.record(run, asked.keys)
            noted = answer or PolicyAnswer("started", run=run.id if run else None)
            self._state.note(now, asked, noted.result, noted.why, noted.run)
        return self._start(run) if run else noted

    def _new_run(self, asked: RetrainRequest, now: float) -> Run:
        moment = datetime.fromtimestamp(now, UTC)
        # The random part keeps it apart from the runs of a state that was lost.
        identifier = f"{self._name}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        return Run(identifier, asked.source, asked.reason, self._settings.backend, now)

    def _refusal(self, asked: RetrainRequest, now: float) -> PolicyAnswer | None:
        served = [self._state.serving(key) for key in asked.keys]
        if served and served[0] and all(served):
            return PolicyAnswer("duplicate", f"run {served[0].id} is the answer to it", served[0].id)
        if going := self._state.open_run():
            return PolicyAnswer("busy", f"run {going.id} goes", going.id)
        last, pause = self._state.last_start(), self._settings.cooldown_seconds
        if not asked.now and last is not None and abs(now - last) < pause:
            return PolicyAnswer(
                "cooldown", f"the last run started less than {pause:g} s ago; wait {last + pause - now:.0f} s"
            )
        if len(self._state.starts_of_the_day(now)) >= self._settings.daily_limit:
            return PolicyAnswer(
                "limit", f"{self._settings.daily_limit} runs started within 24 hours, which is the limit"
            )
        return None

    def _start(self, run: Run) -> PolicyAnswer:
        try:
            going = self._backends[run.backend].start(run)
        except (CannotStart, Unknown) as error:
            self._state.take_back(run, str(error), gone=isinstance(error, CannotStart))
            return PolicyAnswer("failed", str(error))
        self._state.change(_running(run, going, time.time()))
        return PolicyAnswer("started", f"see {going.place}", run.id)

    def _doubt(self) -> str:
        """Looks at a run of which this process is not sure that it goes; says why it could not, '' for all is clear."""
        run = self._state.open_run()
        if run is None or (run.state == RUNNING and self._looked):
            return ""
        try:
            self._settle(run)
        except Unknown as error:
            return str(error) if run.state == RECORDED else ""
        return ""

    def _settle(self, run: Run) -> None:
        self._looked = time.monotonic()
        found = self._backends[run.backend].look(run)
        if isinstance(found, Going):
            if run.state == RECORDED:
                self._state.change(_running(run, found, run.recorded))
            return
        started = run.started or (None if found.state == INTERRUPTED else run.recorded)
        ended = replace(run, state=found.state, result=found.result, why=found.why, started=started, ended=time.time())
        self._state.change(ended)
        if started is not None:
            self._metrics.count_end(found.state)
        log.info(f"run {found.state}", run=run.id, result=found.result, why=found.why)


def _running(run: Run, going: Going, started: float) -> Run:
    return replace(run, state=RUNNING, handle=going.handle, place=going.place, started=started)
