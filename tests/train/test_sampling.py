"""A search whose parameters are drawn: repeatable, pruned, within its budget, and better than chance."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from lifeboat.config.errors import UseCaseError
from lifeboat.train.folds import Rows
from lifeboat.train.preflight import first_parameters
from lifeboat.train.sampling import sample_trials
from lifeboat.train.search import Search, search
from lifeboat.usecase.gates import BeatsBaseline
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Between, Candidate, Sampled, Split, UseCase
from tests.evaluate.world import quiet


class Off(RegressorMixin, BaseEstimator):
    """Errs by how far its parameters are from 3 and "right"."""

    def __init__(self, at: float = 0.0, which: str = "wrong") -> None:
        self.at = at
        self.which = which

    def fit(self, X: Any, y: Any) -> Off:
        self.error_ = abs(self.at - 3) + (self.which != "right")
        return self

    def predict(self, X: Any) -> Any:
        return X[:, 0] + self.error_


SPACE = {"at": Between(0.0, 10.0), "which": ("wrong", "right")}


def found(*candidates: Candidate, seed: int = 0, said: list[str] | None = None) -> Search:
    """The search, of a table whose label is its column."""
    usecase = UseCase(
        name="drawn", title="D", data="none.csv", features=Floats32, baseline=(), split=Split(folds=4),
        schema=Schema((Column("x", "float"),), NumberLabel("y")), candidates=candidates, gates=(BeatsBaseline("mae"),),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=200).astype(np.float32)
    rows = Rows(pd.DataFrame({"x": x}), x.astype(np.float64), [str(row) for row in range(200)])
    say = quiet if said is None else said.append
    return search(usecase, rows, seed=seed, say=say, examine=lambda *_, **__: {})


def drawn(result: Search) -> list[tuple[float, str]]:
    return sorted((trial.parameters["at"], trial.parameters["which"]) for trial in result.trials)


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    candidate = Candidate("off", Off(), search=Sampled(SPACE, trials=20))
    first = found(candidate)
    assert drawn(first) == drawn(found(candidate))
    assert drawn(first) != drawn(found(candidate, seed=1))
    assert first.best.parameters["which"] == "right"
    assert first.best.parameters["at"] == pytest.approx(3, abs=1)
    assert first.best.figures["mae"] < 1


def test_bad_trials_are_given_up_and_told() -> None:
    said: list[str] = []
    result = found(Candidate("off", Off(), search=Sampled(SPACE, trials=25)), said=said)
    told = [line for line in said if "given up, worse than most before it" in line]
    assert told
    assert len(result.trials) == 25 - len(told)
    assert len(result.given_up) == len(told)
    assert all(1 <= trial.folds < 4 for trial in result.given_up)
    assert all(trial.folds == 4 for trial in result.trials)
    assert all(trial.loss > result.best.loss for trial in result.given_up)
    assert [line.split(":")[0] for line in said if line.startswith("trial")] == [f"trial {n}/25" for n in range(1, 26)]


def test_a_grid_and_a_search_stand_beside_each_other() -> None:
    said: list[str] = []
    grid = Candidate("ridge", Ridge(), {"alpha": (1.0, 100.0)})
    result = found(grid, Candidate("off", Off(), search=Sampled(SPACE, trials=3)), said=said)
    assert {trial.candidate for trial in result.trials} == {"ridge", "off"}
    assert said[0].startswith("trial 1/5: ridge (alpha=1)")
    assert said[2].startswith("trial 3/5: off (at=")


def test_after_the_seconds_no_further_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("lifeboat.train.sampling.time.monotonic", lambda: float(next(clock)))
    said: list[str] = []

    def attempt(number: int, parameters: dict[str, Any], report: Any) -> int:
        assert not report(1, float(number))
        return number

    made = sample_trials(Sampled(SPACE, trials=50, seconds=10), attempt, 0, said.append)
    assert made == [1, 2, 3]
    assert said == ["10 s are over: 3 of at most 50 trials"]


def test_whole_numbers_and_scales_are_drawn_as_declared() -> None:
    space = {"a": Between(1, 5), "b": Between(1e-4, 1.0, log=True)}
    seen: list[dict[str, Any]] = []

    def attempt(number: int, parameters: dict[str, Any], report: Any) -> int:
        seen.append(parameters)
        report(1, 1.0)
        return number

    sample_trials(Sampled(space, trials=30), attempt, 0, quiet)
    assert {type(one["a"]) for one in seen} == {int}
    assert all(1 <= one["a"] <= 5 and 1e-4 <= one["b"] <= 1 for one in seen)
    assert sum(one["b"] < 0.01 for one in seen) > 5
    assert first_parameters(Candidate("c", Ridge(), search=Sampled(space))) == {"a": 1, "b": 1e-4}


def test_without_optuna_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UseCaseError, match=r"pip install 'lifeboat\[search\]' brings it"):
        sample_trials(Sampled(SPACE), lambda *_: None, 0, quiet)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Between(2, 1), "low must be below high"),
        (lambda: Between(0, 1, log=True), "above 0 on a logarithmic scale"),
        (lambda: Sampled({}), "has a space"),
        (lambda: Sampled({"a": ()}), "has a space"),
        (lambda: Sampled(SPACE, trials=0), "tries nothing"),
        (lambda: Candidate("c", Ridge(), {"alpha": (1,)}, Sampled(SPACE)), "has a grid and a search; give one"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(make: Any, problem: str) -> None:
    with pytest.raises(UseCaseError, match=problem):
        make()
