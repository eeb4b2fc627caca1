"""For the tests of a use case: what can be known of it before a run, a function each.

    from lifeboat import testing
    from species import USECASE

    def test_the_table_fits_the_schema():
        testing.check_table(USECASE)

Each raises an AssertionError whose text says all that is wrong, and what to do about it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.checks.data import Report, check_data
from lifeboat.config.settings import read_settings
from lifeboat.evaluate.comparison import compare
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess import step as preprocess_step
from lifeboat.server.model.onnx_model import load_model
from lifeboat.system.progress import quiet
from lifeboat.train import step as train_step
from lifeboat.train.candidate_cache import examine_anew
from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import first_parameters
from lifeboat.usecase.gates import LATENCIES, Evidence, Interval, Verdict, judge
from lifeboat.usecase.usecase import Split, UseCase


def check_table(usecase: UseCase, data: str = "") -> None:
    """Holds a table against the schema, and sees whether its rows can be divided and learned from.

    Args:
        usecase: whose schema.
        data: path or URL of the table; the use case's own unless given.

    Raises:
        AssertionError: what would stop a run.
    """
    report = _read(usecase, data)
    assert not report.problems, "\n".join(report.problems)  # noqa: S101  # what pytest shows


def check_candidates(usecase: UseCase) -> None:
    """Trains every candidate on a few rows, exports it, and compares the graph's answers with scikit-learn's.

    Raises:
        AssertionError: a candidate cannot be used, with the reason; or the table cannot be.
    """
    rows = _good_rows(usecase)
    y = rows.column(usecase.schema.label.name).to_numpy()
    found = examine_anew(usecase, data_frame(rows, usecase.schema), y)
    assert not found, "\n".join(f"candidate {name!r}: {why}" for name, why in found.items())  # noqa: S101


def check_gates(usecase: UseCase) -> None:
    """Holds the gates against a model that is always right, and one that knows the base rate and no more.

    Raises:
        AssertionError: the first one is refused, so that no model can ever pass; or the second one is not.
    """
    task = usecase.task
    every = np.sort(_good_rows(usecase).column(usecase.schema.label.name).to_numpy())
    # As many rows as will be held out, with the same share of each class.
    test = usecase.split.test
    share = Split().test if isinstance(test, str) else test
    y = every[:: max(1, round(1 / float(share)))]
    right = _verdict(usecase, y, task.perfect(y))
    assert right.passed, "a model that is always right is refused: " + "; ".join(right.reasons)  # noqa: S101
    blind = _verdict(usecase, y, np.tile(task.trivial(every), (len(y), 1)))
    assert not blind.passed, "a model that knows nothing of a row passes: add a gate such as BeatsBaseline"  # noqa: S101


def check_run(usecase: UseCase, folder: Path) -> Evaluation:
    """Goes from the table to answers with the first candidate and the first value of each of its parameters.

    Args:
        usecase: to run.
        folder: takes the files of the steps.

    Returns:
        All figures; whether the gates pass is not asked of so small a search.

    Raises:
        LifeboatError: a step fails, or the served model does not answer as it did in training.
    """
    first = usecase.candidates[0]
    one = replace(first, grid={name: (value,) for name, value in first_parameters(first).items()}, search=None)
    small, files = (
        replace(usecase, candidates=(one,)),
        preprocess_step.Outputs(
            *(folder / name for name in ("train.parquet", "test.parquet", "quarantine.csv", "profile.html"))
        ),
    )
    settings = read_settings()
    preprocess_step.preprocess(small, str(small.data), files, s3=settings.s3, say=quiet)
    train_step.train(small, files.train, folder / "bundle", say=quiet)
    # As the model server does before it says that it is ready.
    load_model(folder / "bundle")
    return evaluate(small, open_bundle(folder / "bundle"), files.test, say=quiet)


def _read(usecase: UseCase, data: str = "") -> Report:
    return check_data(usecase, data or str(usecase.data), read_settings().s3)


def _good_rows(usecase: UseCase) -> pa.Table:
    report = _read(usecase)
    assert report.rows is not None, "\n".join(report.problems)  # noqa: S101
    return report.rows


def _verdict(usecase: UseCase, y: NDArray[Any], answers: NDArray[np.float64]) -> Verdict:
    task, decision = usecase.task, usecase.task.decision()
    trivial = np.tile(task.trivial(y), (len(y), 1))
    pair = compare(task, y, task.score(y, answers, decision), task.score(y, trivial, decision), seed=0, say=quiet)
    latencies = dict.fromkeys(LATENCIES, Interval(1.0, 1.0, 1.0))
    return judge(usecase.gates, Evidence(pair.first | latencies, pair.paired), bundle="", champion=None)
