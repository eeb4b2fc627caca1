"""Reading verdicts and bounds: what is not one is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from lifeboat.config.errors import GateError
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.gates import (
    AtLeast,
    AtMost,
    BeatsBaseline,
    BeatsChampion,
    Criterion,
    Evidence,
    Interval,
    NoSliceWorse,
    Paired,
    Verdict,
    parse_bounds,
    refuse_unknown_metrics,
)
from lifeboat.usecase.label import BinaryLabel

GOOD = Criterion("roc_auc at least 0.8", 0.9, 0.8, passed=True, why="as asked")
BAD = Criterion("log_loss at most 0.4", 0.5, 0.4, passed=False, why="0.5 is more")


def test_a_verdict_survives_its_json() -> None:
    verdict = Verdict("b" * 64, None, passed=False, criteria=(GOOD, BAD))
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert verdict.reasons == ["log_loss at most 0.4: 0.5 is more"]


@pytest.mark.parametrize("criteria", [(BAD,), (GOOD, BAD), ()])
def test_a_pass_that_its_criteria_do_not_bear_out_is_refused(criteria: tuple[Criterion, ...]) -> None:
    text = Verdict("b", None, passed=True, criteria=criteria).to_json()
    with pytest.raises(GateError, match="contradicts its own criteria"):
        Verdict.from_json(text)


def test_a_failure_that_its_criteria_do_not_bear_out_is_refused() -> None:
    with pytest.raises(GateError, match="contradicts its own criteria"):
        Verdict.from_json(Verdict("b", None, passed=False, criteria=(GOOD,)).to_json())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", '{"criteria": 1}', '{"criteria": [{}]}', json.dumps({"criteria": [], "passed": True})],
)
def test_anything_else_is_no_verdict(text: str) -> None:
    with pytest.raises(GateError, match="not a gate verdict"):
        Verdict.from_json(text)


def test_bounds_are_read_in_order() -> None:
    assert parse_bounds(" roc_auc >= 0.9, log_loss<=4e-1,") == (AtLeast("roc_auc", 0.9), AtMost("log_loss", 0.4))
    assert parse_bounds("") == ()


@pytest.mark.parametrize(
    "text", ["roc_auc", "roc_auc>0.9", "roc_auc>=high", ">=1", "roc_auc>=0.9;log_loss<=1", "a>=-+1"]
)
def test_anything_else_is_no_bound(text: str) -> None:
    with pytest.raises(GateError, match="is no bound; write for example"):
        parse_bounds(text)


def paired(gain: Interval, rows: int = 181, won: int = 20, lost: int = 10, p: float = 0.1) -> Evidence:
    found = Paired(rows, won, lost, p, {"log_loss": gain, "accuracy": gain})
    return Evidence({}, found, found)


def test_too_little_evidence_says_how_many_rows_would_decide() -> None:
    # The lower limit is 1.96 standard errors below 0.02; 2.8 of them must fit: 181 rows times (2.8 / 1.96 * 2) ** 2.
    why = BeatsChampion("log_loss").check(paired(Interval(0.02, -0.02, 0.06))).why
    assert why == (
        "not enough evidence: gain +0.0200 [-0.0200, +0.0600], its lower limit must exceed 0; "
        "about 1,500 held-out rows are needed to decide"
    )


def test_a_sure_loss_asks_for_no_more_rows() -> None:
    why = BeatsBaseline("log_loss").check(paired(Interval(-0.05, -0.08, -0.02))).why
    assert why == "gain -0.0500 [-0.0800, -0.0200], its lower limit must exceed 0"


def test_more_rows_are_not_promised_to_confirm_a_loss() -> None:
    why = BeatsBaseline("log_loss").check(paired(Interval(-0.01, -0.04, 0.02))).why
    assert why.endswith("; there is no gain that more rows could confirm")


def test_rows_for_mcnemar_are_those_of_the_published_formula() -> None:
    # Connor (1987): a gain of 2 points at 10 % discordance, two-sided 5 %, power 80 %.
    evidence = paired(Interval(0.02, 0.001, 0.04), rows=1000, won=60, lost=40, p=0.06)
    assert BeatsChampion("accuracy").check(evidence).why.endswith("; about 2,000 held-out rows are needed to decide")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (lambda: AtMost("log_loss", float("nan")), "the bound of a gate on log_loss is nan, not a finite number"),
        (lambda: BeatsChampion("f1", margin="0"), "the margin of a gate on f1 is '0', not a finite number"),
    ],
)
def test_a_gate_that_cannot_be_held_is_refused_where_it_is_declared(gate: object, message: str) -> None:
    with pytest.raises(GateError, match=message):
        gate()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (AtLeast("f2", 0.5), "no metric 'f2'; there are: roc_auc, average_precision"),
        (AtLeast("mae", 0.5), "no metric 'mae'"),
        (BeatsBaseline("latency_p50_us"), "no metric 'latency_p50_us'"),
        (*parse_bounds("f2>=1"), "no metric 'f2'"),
    ],
)
def test_a_metric_that_the_task_has_not_is_refused_before_anything_is_trained(gate: object, message: str) -> None:
    task = task_of(BinaryLabel("y", ("no", "yes")))
    with pytest.raises(GateError, match=message):
        refuse_unknown_metrics([gate], task)
    refuse_unknown_metrics([AtLeast("roc_auc", 0.5), AtMost("latency_p99_us", 100), NoSliceWorse()], task)


def test_a_bound_may_be_of_one_class() -> None:
    assert parse_bounds("f1/St. Gentoo >= 0.9, log_loss<=1") == (AtLeast("f1/St. Gentoo", 0.9), AtMost("log_loss", 1))
