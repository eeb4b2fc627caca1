"""Several classes: figures as scikit-learn has them, temperature scaling, and what the task says of rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    roc_auc_score,
)

from lifeboat.config.errors import BundleError
from lifeboat.tasks.classes.calibration import Temperature
from lifeboat.tasks.classes.decision import LikeliestClass
from lifeboat.tasks.classes.learning import fit_temperature
from lifeboat.tasks.classes.scored import FEW_CLASSES
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.learning import learning_of
from lifeboat.usecase.label import ClassLabel

LABEL = ClassLabel("kind", ("ant", "bee", "cat", "dog"))
TASK = ClassesTask(LABEL)


def sample(count=500, seed=0, classes=4, sharpness=1.5):
    """Labels, and probabilities of which the labels are drawn."""
    random = np.random.default_rng(seed)
    powers = np.exp(sharpness * random.normal(size=(count, classes)))
    p = powers / powers.sum(axis=1, keepdims=True)
    y = (random.random((count, 1)) > np.cumsum(p, axis=1)).sum(axis=1).clip(max=classes - 1)
    return y, p.astype(np.float32)


def figures(y, p, weights=None, task=TASK):
    values = task.score(y, p, LikeliestClass()).figures(weights)
    return dict(zip((metric.name for metric in task.metrics), values, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn_with_weights(seed):
    y, p = sample(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(y)).astype(float)
    found, called, options = figures(y, p, weights), p.argmax(axis=1), {"sample_weight": weights}
    exact = p.astype(np.float64) / p.astype(np.float64).sum(axis=1, keepdims=True)
    one_hot = np.eye(4)[y]
    assert found["log_loss"] == pytest.approx(log_loss(y, exact, **options), rel=1e-5)
    assert found["brier"] == pytest.approx(np.average(((p - one_hot) ** 2).sum(axis=1), weights=weights), rel=1e-5)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, called, **options))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, called, **options))
    assert found["f1_macro"] == pytest.approx(f1_score(y, called, average="macro", **options))
    areas = [roc_auc_score(y == code, p[:, code], **options) for code in range(4)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas))
    each = f1_score(y, called, average=None, **options)
    assert [found[f"f1/{name}"] for name in LABEL.classes] == pytest.approx(each)


def test_a_class_that_does_not_occur_has_no_part_in_a_mean():
    y, p = sample()
    keep = y != 2
    found = figures(y[keep], p[keep])
    present = [roc_auc_score(y[keep] == code, p[keep][:, code]) for code in (0, 1, 3)]
    assert found["roc_auc"] == pytest.approx(np.mean(present))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y[keep], p[keep].argmax(axis=1)))


def test_probabilities_that_come_true_have_a_small_calibration_error_and_others_a_large_one():
    y, p = sample(20_000)
    assert figures(y, p)["ece"] < 0.02
    bold = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert figures(y, bold)["ece"] > 0.1


def test_of_many_classes_the_figures_are_of_all_together():
    label = ClassLabel("kind", tuple(f"k{number}" for number in range(200)))
    task = ClassesTask(label)
    y, p = sample(3_000, classes=200)
    found = figures(y, p, task=task)
    assert len(label.classes) > FEW_CLASSES
    assert set(found) == {"log_loss", "brier", "ece", "accuracy", "balanced_accuracy", "f1_macro"}
    assert found["accuracy"] == pytest.approx(accuracy_score(y, p.argmax(axis=1)))
    assert task.watched(p).keys() == {"__score", "__score class"}
    assert np.array_equal(task.called(task.watched(p)), p.argmax(axis=1))


def test_the_confusion_counts_true_classes_by_row():
    y, p = sample()
    assert np.array_equal(TASK.score(y, p, LikeliestClass()).confusion(), confusion_matrix(y, p.argmax(axis=1)))


def test_a_tie_goes_to_the_first_class():
    assert LikeliestClass().call(np.full((1, 4), 0.25, np.float32)).tolist() == [0]


def test_the_temperature_that_made_probabilities_too_bold_is_found():
    y, p = sample(20_000)
    bold = p.astype(np.float64) ** 2 / (p.astype(np.float64) ** 2).sum(axis=1, keepdims=True)
    found = fit_temperature(y, bold)
    assert found.temperature == pytest.approx(2, abs=0.1)
    assert np.abs(found.apply(bold) - p).mean() < 0.01


def test_calibration_is_chosen_where_it_pays_and_not_elsewhere():
    y, p = sample(4_000)
    fold = np.arange(len(y)) % 5
    learning = learning_of(TASK)
    assert learning.calibrate(y, p.astype(np.float64), fold) == learning.uncalibrated(y)
    bold = p.astype(np.float64) ** 3
    calibration = learning.calibrate(y, bold / bold.sum(axis=1, keepdims=True), fold)
    assert isinstance(calibration, Temperature)
    assert calibration.temperature == pytest.approx(3, abs=0.3)


def test_what_rows_lack_is_said():
    assert TASK.lacks(np.array([0, 1, 2, 3]), learn=True) == ""
    assert TASK.lacks(np.array([0, 1, 1]), learn=True) == "no row is of cat, dog, and every class is needed"
    assert TASK.lacks(np.array([0, 1, 1])) == ""
    assert TASK.lacks(np.array([1, 1])) == "only 'bee' occurs, two classes are needed"
    assert TASK.lacks(np.array([], dtype=int)) == "there is none"


def test_what_rows_hold_is_said():
    y = np.array([0, 1, 1, 3])
    assert TASK.facts(y) == {"classes": {"ant": 1, "bee": 2, "cat": 0, "dog": 1}}
    assert TASK.composition(y) == "50% bee"
    assert TASK.trivial(y) == [0.25, 0.5, 0, 0.25]
    assert TASK.marked(y)[0].tolist() == [False, True, True, False]


def test_a_decision_of_another_kind_is_refused():
    assert TASK.decision.of_manifest({"decision": LikeliestClass().to_manifest()}) == LikeliestClass()
    with pytest.raises(BundleError, match="is not a rule"):
        TASK.decision.of_manifest({"decision": {"threshold": 0.3}})


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (("a", "b"), "not 3 to 1,000 names"),
        (tuple(map(str, range(1_001))), "not 3 to 1,000 names"),
        (("1", "2", "1.0"), "'1' and '1.0' are the same"),
        (("a", "b", ""), "not a printable text"),
    ],
)
def test_classes_that_are_none_are_refused(classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassLabel("kind", classes)


def test_a_truth_may_be_spelled_in_the_labels_own_ways():
    label = ClassLabel("size", ("1", "2", "large"))
    assert [label.parse(value) for value in (1, "1.0", True, 2.0, " large ")] == [0, 0, 0, 1, 2]
    for wrong in (0, "small", None, "", float("nan")):
        with pytest.raises(ValueError, match="none of 1, 2, large|null"):
            label.parse(wrong)
    assert [label.stored.parse(value) for value in (0, 1.0, "2")] == [0, 1, 2]
