"""Several classes: the figures of each, the confusion or the worst pairs, and calibration of the likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from lifeboat.evaluate.plots import CLASS_COLORS, INK, draw_confusion, new_axes, plain, short
from lifeboat.evaluate.reports import report
from lifeboat.evaluate.reports.calibration import CalibrationBin, calibration, calibration_limits, draw_calibration
from lifeboat.tasks.classes.scored import FEW_CLASSES, ClassesScored
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.decision import Decision
from lifeboat.usecase.column import listed
from lifeboat.usecase.gates import Interval

# So many classes and pairs of classes stand in a plot of the worst.
_WORST = 20


@dataclass(frozen=True)
class ClassFigures:
    """One class: its rows, how many rows were called so, and how many of both."""

    name: str
    rows: int
    called: int
    found: int

    @property
    def recall(self) -> float:
        """0 without rows."""
        return self.found / self.rows if self.rows else 0.0

    @property
    def precision(self) -> float:
        """0 where no row is called so."""
        return self.found / self.called if self.called else 0.0


@dataclass(frozen=True)
class WorstPair:
    """Rows of one class that are called by another's name."""

    true: str
    called: str
    rows: int


@dataclass(frozen=True)
class ClassesDetails:
    """What the plots show.

    Args:
        classes: each by itself.
        confusion: rows by true class and by the class that they are called, [k][k]; None of more than 20 classes.
        worst: pairs that are taken for one another most often, the most frequent first.
        calibration: of the probability of the likeliest class.
    """

    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]] | None
    worst: tuple[WorstPair, ...]
    calibration: tuple[CalibrationBin, ...]


class Report(report.Report[ClassesTask, ClassesScored, ClassesDetails]):
    """Of several classes."""

    titles: ClassVar[Mapping[str, str]] = {
        "confusion": "Confusion matrix",
        "worst": "Taken for one another most often",
        "classes": "Recall and precision of each class",
        "calibration": "Calibration of the likeliest class",
    }
    tested: ClassVar[str] = (
        "Won and lost: rows that only this model, or only the champion, labels rightly. "
        "p of worse: one-sided randomization test (Fisher) of the mean loss, adjusted over the slices by Holm."
    )

    def details(self, model: ClassesScored, decision: Decision) -> ClassesDetails:  # noqa: ARG002  # in `called` already
        names, counts = self.task.label.classes, model.confusion().astype(int)
        classes = tuple(
            ClassFigures(name, int(counts[place].sum()), int(counts[:, place].sum()), int(counts[place, place]))
            for place, name in enumerate(names)
        )
        order = model.order
        return ClassesDetails(
            classes=classes,
            confusion=counts.tolist() if len(names) <= FEW_CLASSES else None,
            worst=_worst(counts, names),
            calibration=calibration(model.right[order], model.top[order], model.bins()),
        )

    def plots(self, details: ClassesDetails, metrics: Mapping[str, Interval]) -> dict[str, Figure]:
        names = self.task.label.classes
        found: dict[str, Figure] = {}
        if details.confusion is not None:
            found["confusion"] = draw_confusion(details.confusion, names)
        elif details.worst:
            found["worst"] = draw_worst(details)
        found["classes"] = draw_classes(details)
        found["calibration"] = draw_calibration(details.calibration, metrics["ece"].value, "Share called rightly")
        return found

    def purpose(self) -> str:
        names = self.task.label.classes
        shown = listed([f"“{name}”" for name in names], _WORST)
        return f"the probability of each of {len(names):,} classes ({shown})"

    def trivial(self) -> str:
        return "the share of each class"

    def decided(self, decision: Decision) -> str:
        return f"A row is called by {decision.rule}; accuracy, recall, precision and F1 are of that decision."

    def calibrated(self, known: Any) -> str:
        return f"temperature {known['temperature']:.3f}" if isinstance(known, dict) else super().calibrated(known)

    def answer_axis(self) -> str:
        return "Mean probability"

    def contribution_axis(self) -> str:
        return "Mean absolute contribution (probability moved)"

    def limits(self, decision: Decision, rows: int) -> list[str]:  # noqa: ARG002  # what it is, is said elsewhere
        return calibration_limits(rows)

    def log_kubeflow(self, curves: Any, details: ClassesDetails) -> None:
        if details.confusion is not None:
            curves.log_confusion_matrix(list(self.task.label.classes), details.confusion)


def _worst(counts: Any, names: tuple[str, ...]) -> tuple[WorstPair, ...]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_WORST]
    pairs = (np.unravel_index(place, wrong.shape) for place in order)
    return tuple(WorstPair(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j])


def draw_classes(details: ClassesDetails) -> Figure:
    """Recall and precision of each class; of many classes those of the lowest recall."""
    known = [one for one in details.classes if one.rows]
    chosen = known if len(known) <= _WORST else sorted(known, key=lambda one: one.recall)[:_WORST]
    figure, axes = new_axes("Share", "", size=(4.2, 0.9 + 0.3 * max(len(chosen), 3)))
    for place, one in enumerate(chosen):
        axes.plot([one.recall, one.precision], [place, place], color=CLASS_COLORS[0], alpha=0.3, linewidth=2)
    places = range(len(chosen))
    axes.plot([one.recall for one in chosen], places, "o", color=CLASS_COLORS[0], label="recall")
    axes.plot([one.precision for one in chosen], places, "s", color=CLASS_COLORS[1], label="precision")
    axes.set_yticks(places, [f"{plain(short(one.name))}  (n = {one.rows:,})" for one in chosen])
    axes.set_ylim(len(chosen) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, labelcolor=INK)
    return figure


def draw_worst(details: ClassesDetails) -> Figure:
    """The pairs of classes that are taken for one another most often."""
    figure, axes = new_axes("Held-out rows", "", size=(4.2, 0.9 + 0.3 * max(len(details.worst), 3)))
    places = range(len(details.worst))
    axes.barh(places, [pair.rows for pair in details.worst], color=CLASS_COLORS[1], height=0.6)
    axes.set_yticks(places, [f"{plain(short(pair.true))} as {plain(short(pair.called))}" for pair in details.worst])
    axes.set_ylim(len(details.worst) - 0.4, -0.6)
    return figure
