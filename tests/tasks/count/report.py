"""What of it a person is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from lifeboat.evaluate.plots import new_axes
from lifeboat.evaluate.reports import report
from lifeboat.tasks.decision import Decision
from lifeboat.usecase.gates import Interval
from tests.tasks.count.task import CountScored, CountTask


@dataclass(frozen=True)
class CountDetails:
    """How often each count came, and was expected to."""

    came: list[int]
    expected: float


class Report(report.Report[CountTask, CountScored, CountDetails]):
    """Of a count."""

    titles: ClassVar[Mapping[str, str]] = {"counts": "How often each count came"}
    tested: ClassVar[str] = "Won and lost: rows on which the deviance is less, or more."

    def details(self, model: CountScored, decision: Decision) -> CountDetails:
        assert decision.rule
        return CountDetails(np.bincount(model.y.astype(int)).tolist(), float(model.rate.mean()))

    def plots(self, details: CountDetails, metrics: Mapping[str, Interval]) -> dict[str, Figure]:
        figure, axes = new_axes("Count", "Rows")
        axes.bar(range(len(details.came)), details.came)
        axes.set_title(f"{metrics['poisson_deviance'].value:.3f}")
        return {"counts": figure}

    def purpose(self) -> str:
        return f"the rate of “{self.task.label.name}”"

    def trivial(self) -> str:
        return "the mean rate"

    def limits(self, decision: Decision, rows: int) -> list[str]:
        return [f"{rows} rows: {decision.rule}."]
