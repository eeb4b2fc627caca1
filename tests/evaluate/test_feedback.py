"""The circle through the plain steps: the world changes, truth comes back, the retrained model passes its gate."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from lifeboat.data.labelled.labelled_rows import write_labelled
from lifeboat.data.labelled.trust import read_conflicts
from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.registry.storage import S3, open_storage
from lifeboat.train.step import train
from lifeboat.usecase.usecase import Drift, load_usecase
from tests.evaluate.world import quiet

SWAPPED = {"male": "female", "female": "male"}


def swapped_passengers(usecase, count):
    """A client mixes up the sexes. The passengers are new, but travel on the tickets of those they are copies of."""
    table = check_table(read_table(usecase.data), usecase.schema, labelled=True, name="t").table.to_pylist()
    random = np.random.default_rng(1)
    for number in range(count):
        row = {name: None if cell == "" or cell != cell else cell for name, cell in random.choice(table).items()}
        hidden = {"__puid": f"p{number}", "__row": 0, "__version": "1", "__score": 0.5, "__source": "anonymous"}
        times = {"__predicted_at": 1e9 + number, "__labelled_at": 2e9 + number}
        yield row | {"PassengerId": 10_000 + number, "Sex": SWAPPED[row["Sex"]]} | hidden | times


def shipped(folder, usecase, store, champion=None):
    folder.mkdir()
    out = Outputs(*(folder / name for name in ("train.parquet", "test.parquet", "broken.csv", "page.html")))
    summary = preprocess(usecase, str(usecase.data), out, labelled=store, say=quiet)
    train(usecase, out.train, folder / "bundle", say=quiet)
    bundle = open_bundle(folder / "bundle")
    return summary, bundle, evaluate(usecase, bundle, out.test, champion=champion, say=quiet), out


@pytest.mark.slow
def test_after_a_change_the_retrained_model_passes_the_gate_the_old_one_loses(tmp_path):
    usecase = load_usecase("titanic")
    forest = tuple(item for item in usecase.candidates if item.name != "random forest")  # quicker
    usecase = replace(usecase, candidates=forest, drift=Drift(reference=500))
    store = open_storage(str(tmp_path / "store"), S3())
    alone, champion, found, held_out = shipped(tmp_path / "first", usecase, store)
    assert found.verdict.passed
    assert found.data.feedback == alone.labelled == 0

    write_labelled(store, "titanic", usecase.schema, list(swapped_passengers(usecase, 800)))
    summary, challenger, found, both = shipped(tmp_path / "second", usecase, store, champion)
    assert (summary.labelled, summary.replaced, summary.withheld) == (800, 0, 0)
    assert summary.train + summary.test == 891 + 800
    assert found.verdict.passed, found.verdict.reasons
    # No row of either was trained on by the champion, so all of them count.
    assert found.evidence.champion.rows == found.rows == summary.test
    assert found.data.feedback == summary.test - alone.test == pytest.approx(160, abs=40)
    assert found.champion["log_loss"].value > found.metrics["log_loss"].value + 0.04
    tickets = [set(pq.read_table(path)["Ticket"].to_pylist()) for path in (both.train, both.test, held_out.test)]
    assert not tickets[0] & (tickets[1] | tickets[2])

    reference, before = (pq.read_table(bundle.reference) for bundle in (challenger, champion))
    newest = set(read_names(both.train)[-500:])
    assert set(reference["Name"].to_pylist()) == newest
    assert before.num_rows == 500
    assert challenger.manifest["lineage"]["data"]["labelled"] == 800


def read_names(path):
    """Names by the time of their prediction; those of the table, without a time, first."""
    table = pq.read_table(path)
    return [row["Name"] for row in sorted(table.to_pylist(), key=lambda row: np.nan_to_num(row["__time"]))]


def test_truths_against_the_table_change_neither_model_nor_verdict(tmp_path):
    """The attack that once replaced the champion: all 891 passengers, told the other way round under their own ids."""
    usecase = load_usecase("titanic")
    usecase = replace(usecase, candidates=usecase.candidates[:1])
    store = open_storage(str(tmp_path / "store"), S3())
    _, champion, _, _ = shipped(tmp_path / "first", usecase, store)
    table = check_table(read_table(usecase.data), usecase.schema, labelled=True, name="t").table.to_pylist()
    hidden = {"__row": 0, "__version": "1", "__score": 0.5, "__source": "anonymous", "__predicted_at": 1e9}
    rows = [
        {name: None if cell == "" or cell != cell else cell for name, cell in row.items()}
        | hidden
        | {"Survived": 1 - row["Survived"], "__puid": f"p{number}", "__labelled_at": 2e9 + number}
        for number, row in enumerate(table)
    ]
    write_labelled(store, "titanic", usecase.schema, rows)
    summary, challenger, found, _ = shipped(tmp_path / "second", usecase, store, champion)
    assert (summary.labelled, summary.conflicts, found.data.feedback) == (891, 891, 0)
    assert challenger.model == champion.model
    assert not found.verdict.passed
    assert read_conflicts(store, "titanic") == 891
