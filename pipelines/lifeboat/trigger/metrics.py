"""The trigger's metrics; every series is there from the start, so that a rule over it is never about nothing."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from lifeboat.trigger.state import RUNNING, SUCCEEDED, TriggerState

RESULTS = ("started", "duplicate", "cooldown", "limit", "busy", "failed", "unauthorized", "ignored")
CONTENT_TYPE = CONTENT_TYPE_LATEST


class TriggerMetrics:
    """Counters of this process, and gauges read from the state."""

    def __init__(self, state: TriggerState) -> None:
        self._state, self._registry = state, CollectorRegistry()
        self.requests = Counter(
            "lifeboat_retrain_requests", "requests for a retraining", ["result"], registry=self._registry
        )
        self._runs = Counter("lifeboat_retrain_runs", "runs that ended", ["result"], registry=self._registry)
        self._running = self._gauge("running", "runs that go")
        self._start = self._gauge("last_start_timestamp_seconds", "start of the last run; 0 before the first")
        self._success = self._gauge("last_success_timestamp_seconds", "end of the last run that succeeded")
        for result in RESULTS:
            self.requests.labels(result)
        for result in ("succeeded", "failed"):
            self._runs.labels(result)

    def count_end(self, state: str) -> None:
        """Counts the end of a run that had started; one that was interrupted has failed."""
        self._runs.labels("succeeded" if state == SUCCEEDED else "failed").inc()

    def page(self) -> bytes:
        """The metrics in Prometheus' text format."""
        going = self._state.open_run()
        self._running.set(going is not None and going.state == RUNNING)
        self._start.set(self._state.last_start() or 0)
        self._success.set(self._state.last_success() or 0)
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"lifeboat_retrain_{name}", text, registry=self._registry)
