"""The false-alarm rate is the stated one, measured over streams in which nothing drifts."""

from __future__ import annotations

import numpy as np
import pytest

from lifeboat.detector.drift_test.calibration import min_p_threshold
from lifeboat.detector.drift_test.features import answer_features, answer_values, column_features
from lifeboat.detector.windows.alarm import alarm, alarm_rate
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import WATCHED, Task
from lifeboat.usecase.schema import ClassLabel, Column, NumberLabel, Schema
from tests.drift_test.columns import COLUMNS, PARCELS, parcels
from tests.drift_test.world import (
    PASSENGERS,
    Generator,
    features_of,
    needs_alibi,
    p_values,
    raw,
    resampled,
    synthetic,
    table_of,
    titanic,
)

needs_alibi()

STATED = 0.05
REFERENCE = 1000
STREAMS, WINDOWS = 200, 30


def drifted(
    population: Generator, size: int, seed: int, streams: int, windows: int, schema: Schema = PASSENGERS
) -> np.ndarray:
    """[streams, windows] verdicts; each stream has its own reference, all rows are of one population."""
    verdicts = []
    for stream in range(streams):
        random = np.random.default_rng([seed, stream])
        features = features_of(population(random, REFERENCE), schema)
        smallest = p_values(features, population(random, windows * size), windows).min(axis=1)
        verdicts.append(smallest < min_p_threshold(features, size, STATED))
    return np.array(verdicts)


def alarms(verdicts: np.ndarray) -> float:
    """Share of windows with an alarm of 2 of 3, from the third window of each stream on."""
    raised = [alarm(row[: end + 1].tolist(), 2, 3) for row in verdicts for end in range(2, len(row))]
    return float(np.mean(raised))


@pytest.mark.slow
@pytest.mark.parametrize("size", [200, 100])
def test_windows_of_one_population_are_called_drifted_as_rarely_as_stated(size):
    verdicts = drifted(synthetic, size, seed=20, streams=STREAMS, windows=WINDOWS)
    assert abs(verdicts.mean() - STATED) <= STATED / 4
    # Windows at the same place of different streams share nothing, as the formula has it. Some 30 alarms are expected.
    independent = alarms(verdicts.T)
    stated = alarm_rate(float(verdicts.mean()), 2, 3)
    assert stated / 2 <= independent <= stated * 2
    # The windows of one stream share its reference, and an unlucky one errs again and again.
    assert alarms(verdicts) <= 3 * alarm_rate(STATED, 2, 3)


def test_the_rate_holds_for_titanic_rows():
    verdicts = drifted(resampled(titanic()), 200, seed=21, streams=STREAMS // 2, windows=WINDOWS)
    assert abs(verdicts.mean() - STATED) <= STATED / 4


def test_the_rate_holds_for_codes_and_texts():
    verdicts = drifted(parcels, 200, seed=24, streams=STREAMS // 4, windows=WINDOWS, schema=PARCELS)
    assert abs(verdicts.mean() - STATED) <= STATED / 4


def answered(task: Task, random: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """A number and a moment, and what is watched of the answers of a model of the kind."""
    x = random.normal(size=n)
    at = 1.7e15 + random.integers(0, 52, n) * 7 * 86_400e6 + random.gamma(5, 2.5, n).clip(0, 23).round() * 3_600e6
    at += random.choice(7, n, p=(0.2, 0.18, 0.18, 0.18, 0.16, 0.06, 0.04)) * 86_400e6
    if task.label.kind != "number":
        odds = np.exp(np.column_stack([x, -x, random.normal(size=n)]))
        answers = odds / odds.sum(axis=1, keepdims=True)
    else:
        value = 3 * x + random.normal(size=n)
        answers = np.column_stack([value, value - 2, value + 2])
    watched = task.watched(task.kept(answers.astype(np.float32)))
    return {"x": x, "at": at, **{name: np.array(values) for name, values in answer_values(task, watched).items()}}


@pytest.mark.slow
@pytest.mark.parametrize("label", [ClassLabel("y", ("a", "b", "c")), NumberLabel("y")], ids=lambda label: label.kind)
def test_the_rate_holds_for_several_classes_for_a_number_and_for_moments(label):
    task, columns = task_of(label), (Column("x", "float"), Column("at", "datetime", zone="Europe/Berlin"))
    verdicts = []
    for stream in range(STREAMS):
        random = np.random.default_rng([26, stream])
        reference = answered(task, random, REFERENCE)
        watched = {name: values for name, values in reference.items() if name.startswith(WATCHED)}
        features = [one for column in columns for one in column_features(column, reference[column.name].tolist())]
        features += answer_features(task, watched)
        smallest = p_values(features, answered(task, random, WINDOWS * 200), WINDOWS).min(axis=1)
        verdicts.append(smallest < min_p_threshold(features, 200, STATED))
    assert abs(np.mean(verdicts) - STATED) <= STATED / 4


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_of_the_reference_that_come_again_raise_no_more_alarms_than_stated(name):
    """Somebody tries the endpoint with the rows that the model was trained on."""
    column, draw, _ = COLUMNS[name]
    verdicts = []
    for stream in range(10):
        random = np.random.default_rng([25, stream])
        known = draw(random, REFERENCE)
        features = column_features(column, known.tolist())
        again = {column.name: random.choice(known, 10 * 200)}
        verdicts.append(p_values(features, again, 10).min(axis=1) < min_p_threshold(features, 200, STATED))
    assert np.mean(verdicts) <= STATED * 1.25


def test_bonferroni_would_raise_clearly_fewer_false_alarms_than_stated():
    """Why there is a calibration at all."""
    rates = []
    for stream in range(60):
        random = np.random.default_rng([22, stream])
        features = features_of(synthetic(random, REFERENCE))
        smallest = p_values(features, synthetic(random, WINDOWS * 200), WINDOWS).min(axis=1)
        rates.append((smallest < STATED / len(features)).mean())
    assert np.mean(rates) < STATED * 0.9


def test_the_judge_itself_by_alibi_detect_keeps_the_rate():
    """A smaller number, through everything that a window goes through."""
    from lifeboat.detector.drift_test.drift_test import DriftTest

    verdicts = []
    for stream in range(40):
        random = np.random.default_rng([23, stream])
        judge = DriftTest(PASSENGERS, table_of(synthetic(random, REFERENCE)), STATED)
        verdicts += [judge.run(*raw(synthetic(random, 200)))["drift"] for _ in range(10)]
    # 400 windows: 20 are expected, and 5 to 40 happen but once in a thousand times.
    assert 5 <= sum(verdicts) <= 40


def test_a_threshold_is_the_same_each_time_and_smaller_for_rarer_alarms():
    features = features_of(synthetic(np.random.default_rng(0), REFERENCE))
    assert min_p_threshold(features, 200, 0.05) == min_p_threshold(features, 200, 0.05)
    assert 0 < min_p_threshold(features, 200, 0.01) < min_p_threshold(features, 200, 0.05) < 0.05


def test_a_window_may_be_larger_than_the_reference():
    features = features_of(synthetic(np.random.default_rng(0), 300))
    assert 0 < min_p_threshold(features, 500, 0.05) < 0.05


def test_features_that_never_vary_raise_no_alarm():
    rows = {name: np.repeat(values[:1], 300) for name, values in synthetic(np.random.default_rng(1), 5).items()}
    features = features_of(rows)
    threshold = min_p_threshold(features, 100, 0.05)
    assert not (p_values(features, {name: values[:100] for name, values in rows.items()}, 1).min() < threshold)
