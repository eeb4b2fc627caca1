"""Reading verdicts and bounds: what is not one is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from components.core.errors import GateError
from components.core.gates import AtLeast, AtMost, Criterion, Verdict, parse_bounds

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
