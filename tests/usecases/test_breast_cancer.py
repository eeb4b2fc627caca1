import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import open_bundle
from lifeboat.model.scoring import Scorer
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.train.step import train
from lifeboat.usecase.usecase import load_usecase
from tests.usecases.breast_cancer import NAMES, write_data


def quiet(_):
    """Says nothing."""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_without_group_id_or_text_goes_from_file_to_verdict(tmp_path, suffix):
    usecase = load_usecase("tests.usecases.breast_cancer")
    outputs = Outputs(
        tmp_path / "train.parquet",
        tmp_path / "test.parquet",
        tmp_path / "quarantine.csv",
        tmp_path / "profile.html",
    )
    summary = preprocess(usecase, str(write_data(tmp_path / f"rows.{suffix}")), outputs, say=quiet)
    assert (summary.rows, summary.quarantined, summary.train + summary.test) == (569, 0, 569)
    assert summary.test == pytest.approx(0.25 * 569, abs=2)

    trained = train(usecase, outputs.train, tmp_path / "bundle", say=quiet)
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.digest == trained.digest
    assert bundle.usecase == "breast-cancer"
    assert bundle.schema.names == NAMES
    rate = bundle.manifest["training"]["baseline"]["overall"]
    classes = summary.label["classes"]
    assert rate[1] == pytest.approx(classes["benign"] / sum(classes.values()), abs=0.01)
    assert bundle.manifest["training"]["baseline"]["columns"] == []

    answers = Scorer(bundle.model, bundle.schema).answers(pq.read_table(outputs.test))
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    found = evaluate(usecase, bundle, outputs.test, champion=None, say=quiet)
    assert found.metrics["roc_auc"].value > 0.95
    assert json.loads(found.verdict.to_json())["bundle"] == bundle.digest


def test_importing_a_use_case_writes_and_downloads_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_usecase("tests.usecases.breast_cancer")
    assert not list(tmp_path.iterdir())
