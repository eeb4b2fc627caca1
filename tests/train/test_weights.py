"""Rows that count more: as if they were there so often, in training, calibration, baseline and every metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifeboat.config.errors import UseCaseError
from lifeboat.data.weights import row_weights
from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import open_bundle
from lifeboat.model.scoring import Scorer
from lifeboat.preprocess.step import preprocess
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.learning import learning_of
from lifeboat.train.fitting import fit
from lifeboat.train.step import train
from lifeboat.usecase.gates import AtLeast, AtMost
from lifeboat.usecase.schema import BinaryLabel, ClassLabel, Column, NumberLabel, Schema
from lifeboat.usecase.threshold import BestF1, LowestCost
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Split, UseCase
from tests.preprocess.world import outputs, quiet, write

RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(1, 5, 400)
TWO = BinaryLabel("y", ("no", "yes"))
LABELS = [TWO, ClassLabel("y", ("a", "b", "c")), NumberLabel("y")]


def answered(label: Any) -> tuple[np.ndarray, np.ndarray]:
    """Truths and raw answers of a middling model."""
    if isinstance(label, NumberLabel):
        y = RANDOM.normal(0, 1, len(COUNTS))
        return y, (y + RANDOM.normal(0, 0.5, len(COUNTS)))[:, None]
    classes = len(label.classes)
    y = RANDOM.integers(0, classes, len(COUNTS))
    scores = RANDOM.normal(0, 1, (len(COUNTS), classes)) + 2 * np.eye(classes)[y]
    raw = np.exp(scores)
    return y, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.kind)
def test_a_row_of_weight_three_is_three_rows(label: Any) -> None:
    task, learning = task_of(label), learning_of(task_of(label))
    y, raw = answered(label)
    often = np.repeat(np.arange(len(y)), COUNTS)
    weights, fold = COUNTS.astype(np.float64), np.arange(len(y)) % 4
    plain = learning.uncalibrated(y).apply(raw)
    once = learning.figures(y, plain, weights)
    again = learning.figures(y[often], plain[often])
    # The median of several in the middle, and bins of equal counts, take rows as they are.
    same = [name for name in once if name not in ("ece", "median_error")]
    assert [once[name] for name in same] == pytest.approx([again[name] for name in same], abs=1e-9)
    one = learning.calibrate(y, raw, fold, weights)
    other = learning.calibrate(y[often], raw[often], fold[often])
    assert one.apply(raw) == pytest.approx(other.apply(raw), abs=0.02)
    assert task.trivial(y, weights) == pytest.approx(task.trivial(y[often]), abs=0.02)


def test_figures_are_scikit_learns_with_sample_weight() -> None:
    y, raw = answered(TWO)
    found = learning_of(task_of(TWO)).figures(y, raw.astype(np.float32), COUNTS.astype(float))
    assert found["log_loss"] == pytest.approx(log_loss(y, raw, sample_weight=COUNTS), abs=1e-6)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, raw[:, 1], sample_weight=COUNTS), abs=1e-6)
    number = LABELS[2]
    truth, value = answered(number)
    learning = learning_of(task_of(number))
    found = learning.figures(truth, learning.uncalibrated(truth).apply(value), COUNTS.astype(float))
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, value, sample_weight=COUNTS), abs=1e-6)


@pytest.mark.parametrize("rule", [BestF1(), LowestCost(1, 3)])
def test_a_threshold_is_chosen_as_if_rows_were_there_so_often(rule: Any) -> None:
    y, raw = answered(TWO)
    p, often = raw[:, 1].astype(np.float32), np.repeat(np.arange(len(y)), COUNTS)
    assert rule.choose(y, p, COUNTS.astype(float)).threshold == rule.choose(y[often], p[often]).threshold


SCHEMA = Schema((Column("x", "float"),), TWO, keys=(Column("id", "integer"), Column("w", "float", minimum=0)), id="id")


def usecase(estimator: Any, **options: Any) -> UseCase:
    return UseCase(
        name="weighed", title="W", data="none.csv", features=Floats32, baseline=(), split=Split(folds=3), schema=SCHEMA,
        candidates=(Candidate("one", estimator),), gates=(AtLeast("roc_auc", 0.5), AtMost("brier", 0.9)), **options,
    )  # fmt: skip


def table(count: int = 600) -> list[dict[str, Any]]:
    """Heavy rows follow x, light ones its opposite."""
    random = np.random.default_rng(1)
    made = []
    for number in range(count):
        x, heavy = random.normal(), number % 2 == 0
        yes = (x > 0) == heavy if random.random() < 0.9 else random.random() < 0.5
        made.append({"id": number, "x": round(x, 3), "w": 10 if heavy else 0.1, "y": "yes" if yes else "no"})
    return made


def test_a_run_learns_and_judges_by_the_weights(tmp_path: Path) -> None:
    found = {}
    for name, options in {"alike": {}, "weighed": {"weight": "w"}}.items():
        case, folder = usecase(LogisticRegression(), **options), tmp_path / name
        folder.mkdir()
        out = outputs(folder)
        preprocess(case, write(folder / "rows.csv", table()), out, say=quiet)
        train(case, out.train, folder / "bundle", say=quiet)
        bundle = open_bundle(folder / "bundle")
        found[name] = evaluate(case, bundle, out.test, say=quiet).metrics["roc_auc"].value
        assert bundle.manifest["training"].get("weight") == options.get("weight")
    assert found["alike"] < 0.65, "half of the rows say the opposite"
    assert found["weighed"] > 0.9
    bundle = open_bundle(tmp_path / "weighed" / "bundle")
    rows = pq.read_table(tmp_path / "weighed" / "test.parquet")
    weights = row_weights(usecase(LogisticRegression(), weight="w"), rows)
    assert weights.mean() == pytest.approx(1)
    p = Scorer(bundle.model, bundle.schema).answers(rows)[:, 1]
    assert found["weighed"] == pytest.approx(roc_auc_score(rows["y"].to_numpy(), p, sample_weight=weights), abs=1e-6)


def test_classes_count_as_the_use_case_says() -> None:
    case = usecase(LogisticRegression(), class_weights={"yes": 3.0})
    rows = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 1, 0, 0], "id": [1, 2, 3, 4], "w": [1.0, 2.0, 1.0, np.nan]})
    assert row_weights(case, rows) == pytest.approx(np.array([1, 3, 1, 1]) / 1.5)
    both = replace(case, weight="w")
    assert row_weights(both, rows) == pytest.approx(np.array([1, 6, 1, 1]) / 2.25)
    assert row_weights(usecase(LogisticRegression()), rows) is None


def test_the_last_step_of_a_pipeline_takes_the_weights_and_who_takes_none_is_named() -> None:
    X, y = RANDOM.normal(size=(50, 1)), np.arange(50.0)
    weights = np.linspace(0, 2, 50)
    piped = fit(make_pipeline(StandardScaler(), make_pipeline(LinearRegression())), X, y, weights)
    alone = LinearRegression().fit(X, y, sample_weight=weights)
    assert piped.predict(X) == pytest.approx(alone.predict(X))
    with pytest.raises(TypeError, match="LinearDiscriminantAnalysis takes no sample_weight, and the use case weighs"):
        fit(LinearDiscriminantAnalysis(), X, y > 20, weights)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"weight": "x"}, "weight: x is no number with a minimum of 0 or more"),
        ({"weight": "nobody"}, "weight: nobody is no number"),
        ({"class_weights": {"maybe": 2.0}}, "class_weights: 'maybe' is no class of the label"),
        ({"class_weights": {"yes": -1.0}}, "class_weights: yes is -1.0, not 0 or more"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(options: Any, problem: str) -> None:
    with pytest.raises(UseCaseError, match=problem):
        usecase(LogisticRegression(), **options)
