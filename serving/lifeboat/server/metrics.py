"""The model server's metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lifeboat.http.app import ALL_REASONS
from lifeboat.http.series import Series, escape
from lifeboat.tasks.task import Task

LATENCY = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PROTOCOLS = ("seldon", "v2", "v1", "mlflow", "grpc-seldon", "grpc-v2", "explain", "other")
FROM_START = {f'protocol="{protocol}",status="{status}"' for protocol in ("seldon", "v2") for status in (200, 500)}
FROM_START |= {""}  # the scores and the lookups have no label
# Of a row and a view: all values, some, none, too old ones, no answer in time or at all, one that breaks its column.
FEATURE_RESULTS = ("found", "partial", "missing", "expired", "late", "failed", "wrong")
STATUSES = (200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 501, 503, 504)
HELP = {
    "lifeboat_model_info": "Which model this is; always 1",
    "lifeboat_request_seconds": "Time from a whole request to its answer",
    "lifeboat_predictions_total": "Rows predicted, by what they are called",
    "lifeboat_feedback_total": "Rows with truth, by the truth",
    "lifeboat_feedback_reward_total": "Sum of the rewards of feedback",
    "lifeboat_rejected_total": "Requests refused, by the reason",
    "lifeboat_events_total": "Events taken by their receiver, and dropped",
    "lifeboat_in_flight": "Requests that are whole and not answered",
    "lifeboat_features_total": "Rows whose stored features were asked for, by view and what came of it",
    "lifeboat_feature_lookup_seconds": "Time from a question to the feature server until its answer",
}


class ServerMetrics(Series):
    """The metrics of one server.

    Args:
        info: labels of the model.
        task: what is predicted.
    """

    def __init__(self, info: dict[str, str], task: Task[Any, Any]) -> None:
        super().__init__({**HELP, "lifeboat_score": task.score_help}, frozenset(FROM_START))
        labels = ",".join(f'{name}="{escape(value)}"' for name, value in info.items())
        self._cells[self._counter("lifeboat_model_info", labels)] = 1.0
        self._latency = {
            (protocol, status): self._histogram(
                "lifeboat_request_seconds", f'protocol="{protocol}",status="{status}"', LATENCY
            )
            for protocol in PROTOCOLS
            for status in STATUSES
        }
        self._score = self._histogram("lifeboat_score", "", task.score_bounds)
        self._classes = [
            self._counter("lifeboat_predictions_total", f'class="{escape(name)}"') for name in task.counters
        ]
        self._truths = [self._counter("lifeboat_feedback_total", f'truth="{escape(name)}"') for name in task.counters]
        self._reward = self._counter("lifeboat_feedback_reward_total")
        self._rejected = {
            reason: self._counter("lifeboat_rejected_total", f'reason="{reason}"') for reason in ALL_REASONS
        }
        self._events = [self._counter("lifeboat_events_total", f'result="{word}"') for word in ("sent", "dropped")]
        self._in_flight = self._counter("lifeboat_in_flight")

    def begin(self) -> None:
        """A request is whole."""
        self._cells[self._in_flight] += 1.0

    def end(self, protocol: str, status: int, seconds: float) -> None:
        """A request is answered."""
        self._cells[self._in_flight] -= 1.0
        self._observe(self._latency.get((protocol, status)) or self._latency[protocol, 500], seconds)

    def predicted(self, scores: Iterable[float], counters: Iterable[int]) -> None:
        """Rows were scored: see `Task.counted`."""
        for score, place in zip(scores, counters, strict=True):
            self._observe(self._score, score)
            self._cells[self._classes[place]] += 1.0

    def rejected(self, reason: str) -> None:
        """A request was refused."""
        self._cells[self._rejected[reason]] += 1.0

    def watch_views(self, views: Iterable[str]) -> None:
        """Stored features of these views are asked for."""
        self._lookup = self._histogram("lifeboat_feature_lookup_seconds", "", LATENCY)
        self._features = {
            (view, result): self._counter("lifeboat_features_total", f'view="{escape(view)}",result="{result}"')
            for view in views
            for result in FEATURE_RESULTS
        }

    def looked_up(self, seconds: float) -> None:
        """The feature server answered."""
        self._observe(self._lookup, seconds)

    def features(self, view: str, results: Iterable[str]) -> None:
        """What came of a view for each row: one of `FEATURE_RESULTS`."""
        for result in results:
            self._cells[self._features[view, result]] += 1.0

    def judged(self, counters: Iterable[int], reward: float) -> None:
        """Feedback came in: see `Task.count_truths`."""
        for place in counters:
            self._cells[self._truths[place]] += 1.0
        self._cells[self._reward] += reward

    def events_sent(self, number: int) -> None:
        """Events were taken by their receiver."""
        self._cells[self._events[0]] += number

    def events_dropped(self, number: int) -> None:
        """Events found no room, or were refused."""
        self._cells[self._events[1]] += number
