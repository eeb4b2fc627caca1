"""The explainer's metrics."""

from __future__ import annotations

from collections.abc import Callable

from lifeboat.http.app import ALL_REASONS
from lifeboat.http.series import Series
from lifeboat.server.explained import EXPLAIN

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STATUSES = (200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503, 504)
HELP = {
    "lifeboat_explainer_request_seconds": "Time from a whole request to its answer, waiting included",
    "lifeboat_explainer_rows_total": "Rows explained",
    "lifeboat_explainer_model_rows_total": "Rows that the models were asked for that",
    "lifeboat_explainer_rejected_total": "Requests refused, by the reason",
    "lifeboat_explainer_waiting_rows": "Rows that wait or are worked on",
}


class ExplainerMetrics(Series):
    """The metrics of one explainer.

    Args:
        waiting: how many rows wait.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        super().__init__(HELP, frozenset({'status="200"', 'status="500"'}))
        self._waiting = waiting
        self._seconds = {
            status: self._histogram("lifeboat_explainer_request_seconds", f'status="{status}"', SECONDS)
            for status in STATUSES
        }
        self._rows = self._counter("lifeboat_explainer_rows_total")
        self._asked = self._counter("lifeboat_explainer_model_rows_total")
        self._rejected = {
            reason: self._counter("lifeboat_explainer_rejected_total", f'reason="{reason}"') for reason in ALL_REASONS
        }
        self._waits = self._counter("lifeboat_explainer_waiting_rows")

    def begin(self) -> None:
        """A request is whole."""

    def end(self, protocol: str, status: int, seconds: float) -> None:
        """A request is answered."""
        if protocol == EXPLAIN:
            self._observe(self._seconds.get(status) or self._seconds[500], seconds)

    def rejected(self, reason: str) -> None:
        """A request was refused."""
        self._cells[self._rejected[reason]] += 1.0

    def explained(self, rows: int, asked: float) -> None:
        """Rows were explained, each by asking a model for so many."""
        self._cells[self._rows] += rows
        self._cells[self._asked] += rows * asked

    def render(self) -> bytes:
        self._cells[self._waits] = float(self._waiting())
        return super().render()
