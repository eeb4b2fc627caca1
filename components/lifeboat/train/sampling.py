"""Parameters that are drawn: Optuna's sampler and pruner, asked for one trial after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from lifeboat.config.errors import UseCaseError
from lifeboat.usecase.usecase import Between, Sampled

# Told the number of folds so far and the mean loss over them; says whether to give up.
Report = Callable[[int, float], bool]
T = TypeVar("T")


def sample_trials(
    search: Sampled,
    attempt: Callable[[int, dict[str, Any], Report], T | None],
    seed: int,
    say: Callable[[str], None],
) -> list[T | None]:
    """What came of each trial, None of one that was given up.

    Args:
        search: space and budget.
        attempt: makes a trial of its number and parameters.
        seed: of the sampler.
        say: told where the seconds end it.

    Raises:
        UseCaseError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UseCaseError("a search needs Optuna; pip install 'lifeboat[search]' brings it") from error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    began, made = time.monotonic(), list[T | None]()
    for number in range(1, search.trials + 1):
        if search.seconds is not None and made and time.monotonic() - began >= search.seconds:
            say(f"{search.seconds:g} s are over: {len(made)} of at most {search.trials} trials")
            break
        trial = study.ask()
        losses: list[float] = []

        def report(folds: int, loss: float, trial: Any = trial, losses: list[float] = losses) -> bool:
            losses.append(loss)
            trial.report(loss, folds)
            return bool(trial.should_prune())

        found = attempt(number, {name: _drawn(trial, name, one) for name, one in sorted(search.space.items())}, report)
        if found is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, losses[-1])
        made.append(found)
    return made


def _drawn(trial: Any, name: str, one: Any) -> Any:
    if not isinstance(one, Between):
        # By its place: Optuna keeps but plain values.
        return one[trial.suggest_categorical(name, list(range(len(one))))]
    if one.is_whole:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)
