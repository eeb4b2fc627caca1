"""One rule for the class of a row, everywhere; and how its threshold is chosen."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from lifeboat.config.errors import BundleError, UseCaseError
from lifeboat.model.calibration_error import calibration_error
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.scored import METRICS, BinaryScored
from lifeboat.usecase.threshold import BestF1, LowestCost, PrecisionAtLeast, RecallAtLeast, Threshold
from tests.tasks.fitted import TASK

ROOT = Path(__file__).resolve().parents[2]
RULES = (BestF1(), LowestCost(1, 5), RecallAtLeast(0.9), PrecisionAtLeast(0.8))


def scored(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that know something of them; rounded, so that some are tied."""
    random = np.random.default_rng(seed)
    y = (random.random(rows) < 0.3).astype(np.int8)
    p = np.clip(0.3 * y + random.random(rows) * 0.7, 0.001, 0.999)
    return y, np.round(p, 2).astype(np.float32)


def test_exactly_the_threshold_is_the_first_class() -> None:
    assert ThresholdDecision().positive([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.4999]).tolist() == [
        0,
        1,
        0,
    ]


def test_a_probability_is_not_above_its_own_text() -> None:
    # As float64, 0.3 of a float32 is 0.30000001.
    for answer in (np.float32(0.3), 0.3, float(np.float32(0.3))):
        assert ThresholdDecision(0.3).positive([answer]).tolist() == [False]
        assert not ThresholdDecision(0.3).is_positive(float(np.float32(answer)))


@given(st.lists(st.floats(0, 1, width=32), min_size=1), st.floats(0, 1))
def test_one_by_one_or_all_together_rows_have_the_same_class(scores: list[float], threshold: float) -> None:
    decision = ThresholdDecision(threshold)
    assert [decision.is_positive(score) for score in scores] == decision.positive(scores).tolist()


@given(st.lists(st.floats(0, 1, width=32), min_size=1))
def test_the_likelier_class_is_the_arg_max_with_a_tie_for_the_first(scores: list[float]) -> None:
    p = np.asarray(scores, np.float32)
    both = np.column_stack([np.float32(1) - p, p])
    # Where 1 - p rounds to one half and p is above it, p decides.
    clear = both[:, 0] + both[:, 1] == 1
    assert ThresholdDecision().positive(p)[clear].tolist() == (both.argmax(axis=1) == 1)[clear].tolist()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_what_is_no_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        ThresholdDecision(threshold)
    with pytest.raises(UseCaseError, match="it must be within 0 to 1"):
        Threshold(threshold)


def test_a_manifest_without_decision_has_the_likelier_class_and_one_that_is_none_is_refused() -> None:
    assert TASK.decision.of_manifest({}) == ThresholdDecision()
    assert TASK.decision.of_manifest({"decision": ThresholdDecision(0.3, "cheap").to_manifest()}) == ThresholdDecision(
        0.3, "cheap"
    )
    for wrong in ({"threshold": 2}, {"threshold": "0.5"}, {"limit": 1}, 1):
        with pytest.raises(BundleError, match="is not a threshold and a rule"):
            TASK.decision.of_manifest({"decision": wrong})


def brute(y: np.ndarray, p: np.ndarray) -> list[ThresholdDecision]:
    """Every decision that differs on these rows."""
    return [ThresholdDecision(float(cut)) for cut in (*np.unique(p), float(p.min()) / 2)]


@pytest.mark.parametrize("seed", range(5))
def test_the_best_f1_is_that_of_every_threshold_tried(seed: int) -> None:
    y, p = scored(seed=seed)
    found = f1_score(y, BestF1().choose(y, p).positive(p))
    assert found == pytest.approx(max(f1_score(y, each.positive(p), zero_division=0) for each in brute(y, p)))


@pytest.mark.parametrize("seed", range(5))
def test_the_lowest_cost_is_that_of_every_threshold_tried(seed: int) -> None:
    y, p = scored(seed=seed)

    def cost(decision: ThresholdDecision) -> float:
        called = decision.positive(p)
        return float((called & (y == 0)).sum() + 5 * (~called & (y == 1)).sum())

    assert cost(LowestCost(1, 5).choose(y, p)) == min(map(cost, brute(y, p)))


@pytest.mark.parametrize("seed", range(5))
def test_a_least_recall_or_precision_is_kept_and_the_other_is_the_highest(seed: int) -> None:
    y, p = scored(seed=seed)
    tried = [
        (recall_score(y, each.positive(p)), precision_score(y, each.positive(p), zero_division=0))
        for each in brute(y, p)
    ]
    called = RecallAtLeast(0.9).choose(y, p).positive(p)
    assert recall_score(y, called) >= 0.9
    assert precision_score(y, called) == pytest.approx(max(precision for recall, precision in tried if recall >= 0.9))
    called = PrecisionAtLeast(0.6).choose(y, p).positive(p)
    assert precision_score(y, called) >= 0.6
    assert recall_score(y, called) == pytest.approx(max(recall for recall, precision in tried if precision >= 0.6))


def test_a_precision_that_no_threshold_reaches_is_said_and_the_nearest_taken() -> None:
    y, p = np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.1], np.float32)
    found = PrecisionAtLeast(0.99).choose(y, p)
    assert found.positive(p).tolist() == [True, True, False, False]
    assert found.rule == "the highest precision there is on the cross-validation, 0.500; 0.99 was asked"


@pytest.mark.parametrize("rule", RULES)
def test_a_threshold_lies_beside_no_row(rule: object) -> None:
    """Between two scores: the same rows answer the same on a machine whose last digit differs."""
    y, p = scored()
    threshold = rule.choose(y, p).threshold  # type: ignore[attr-defined]
    assert np.abs(p - threshold).min() > 1e-3 or threshold == p.max()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("constant", [0.0, 0.4, 1.0])
def test_a_model_that_says_one_thing_has_a_decision_all_the_same(rule: object, constant: float) -> None:
    y = np.array([0, 1, 1], np.int8)
    assert 0 <= rule.choose(y, np.full(3, constant, np.float32)).threshold <= 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [lambda: LowestCost(0, 1), lambda: RecallAtLeast(0), lambda: PrecisionAtLeast(1.5)])
def test_a_rule_that_means_nothing_is_refused_where_it_is_declared(wrong: object) -> None:
    with pytest.raises(UseCaseError, match="it must be above 0"):
        wrong()  # type: ignore[operator]


def test_the_gate_and_the_live_figures_have_one_calibration_error() -> None:
    y, p = scored(500)
    p = p.astype(np.float64)
    gate = BinaryScored(y, np.column_stack([1 - p, p])).figures()[[metric.name for metric in METRICS].index("ece")]
    assert calibration_error(p, y) == pytest.approx(gate, abs=1e-12)


def test_no_other_module_compares_a_probability_with_one_half() -> None:
    """A second rule would be one that can differ."""
    found = []
    for path in sorted(path for part in ("components", "pipelines", "serving") for path in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            halves = [one for one in ast.walk(node) if isinstance(one, ast.Constant) and one.value == 0.5]
            if isinstance(node, ast.Compare) and halves:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    # The world's halves of a table; Yates' correction of a count.
    allowed = ("pipelines/lifeboat/demo/simulation.py", "serving/lifeboat/detector/drift_test/statistics.py")
    assert [place for place in found if not place.startswith(allowed)] == []
