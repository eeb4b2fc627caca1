"""What an evaluation hands to the registry: figures under names that mean something, and where the rows came from."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, astuple
from pathlib import Path

import pandas as pd
import pytest

from lifeboat.evaluate.publish import importance_table, logged_data, logged_metrics
from lifeboat.evaluate.step import evaluate
from lifeboat.preprocess.step import METADATA, Summary
from lifeboat.system.files import file_digest
from tests.evaluate.world import TRUTH, make_bundle, make_usecase, quiet, write_rows

SPLIT = {"salt": "s", "below": 0.2}
SUMMARY = Summary(
    source="s3://clinic/cure.csv", digest="d" * 64, rows=2000, quarantined=0, duplicates=0, train=1600, test=400,
    label={"classes": {"ill": 1000, "well": 1000}},
    composition="50% well", split=SPLIT, labelled=0, replaced=0, withheld=0, refused={},
)  # fmt: skip


def test_a_run_has_every_metric_with_its_limits_and_those_of_the_other_models(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.parquet")
    bundle, champion = make_bundle(tmp_path / "new"), make_bundle(tmp_path / "old", {**TRUTH, "dose": 1.0})
    found = evaluate(make_usecase(), bundle, test, champion=champion, say=quiet)
    logged = logged_metrics(found)
    for name, figure in found.metrics.items():
        assert (logged[name], logged[f"{name}.low"], logged[f"{name}.high"]) == tuple(asdict(figure).values())
    assert logged["baseline.roc_auc"] == found.baseline["roc_auc"].value < logged["roc_auc"]
    assert found.champion
    assert logged["champion.log_loss"] == found.champion["log_loss"].value > logged["log_loss"]
    others = {name for name in logged if name.startswith(("baseline.", "champion."))}
    worth = {f"importance.{name}": one.value for name, one in found.explanation.permutation.columns.items()}
    assert worth.items() <= logged.items()
    assert len(worth) == 4
    assert len(logged) == 3 * len(found.metrics) + len(others) + len(worth)
    assert len(others) == 2 * len(found.baseline)


def test_the_table_of_importance_has_every_column_with_its_limits(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.parquet")
    found = evaluate(make_usecase(), make_bundle(tmp_path / "new"), test, say=quiet)
    table = pd.read_csv(io.StringIO(importance_table(found)), index_col="column")
    assert list(table.columns) == [
        "importance", "importance_low", "importance_high", "contribution", "contribution_low", "contribution_high",
    ]  # fmt: skip
    assert list(table.index) == list(found.explanation.permutation.columns)
    assert table.index[0] == "skill"
    assert table.loc["skill"].to_numpy() == pytest.approx(
        [
            *astuple(found.explanation.permutation.columns["skill"]),
            *astuple(found.explanation.contributions.columns["skill"]),
        ],
        rel=1e-4,
    )


def test_without_a_champion_no_metric_speaks_of_one(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.parquet")
    found = evaluate(make_usecase(), make_bundle(tmp_path / "new"), test, say=quiet)
    assert not [name for name in logged_metrics(found) if name.startswith("champion.")]


def test_the_data_of_a_run_are_the_training_rows_and_those_held_out(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.parquet", metadata={METADATA: json.dumps(asdict(SUMMARY)).encode()})
    bundle = make_bundle(tmp_path / "new", split=SPLIT, lineage={"data": {"digest": SUMMARY.digest}})
    training, held_out = logged_data(bundle, test, evaluate(make_usecase(), bundle, test, say=quiet))
    assert (training.name, training.digest, training.context) == ("cure training", "d" * 64, "training")
    assert (held_out.name, held_out.digest, held_out.context) == ("cure held out", file_digest(test), "testing")
    assert training.source == held_out.source == "s3://clinic/cure.csv"
    assert (training.facts["num_rows"], held_out.facts["num_rows"]) == (1600, 400)
    assert [column.name for column in held_out.columns] == ["age", "dose", "sex", "skill", "cured"]


@pytest.mark.parametrize("metadata", [None, {b"pandas": b"{}"}])
def test_of_rows_that_preprocess_did_not_write_only_the_file_is_known(
    tmp_path: Path, metadata: dict[bytes, bytes] | None
) -> None:
    test = write_rows(tmp_path / "test.parquet", metadata=metadata)
    bundle = make_bundle(tmp_path / "new")
    [held_out] = logged_data(bundle, test, evaluate(make_usecase(), bundle, test, say=quiet))
    assert (held_out.source, held_out.digest) == (str(test), file_digest(test))
