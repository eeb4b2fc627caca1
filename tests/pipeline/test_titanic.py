"""The Titanic as its user goes it, one story in one home: from Kaggle's passengers to a champion that stays, what the
README says works after `make run`, and the notebook that trains.
"""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lifeboat.model.bundle import open_bundle
from lifeboat.model.scoring import Scorer
from lifeboat.registry.registry import CHALLENGER, CHAMPION, Registry
from lifeboat.services.ports import server_url
from tests.docs.documents import README, commands
from tests.notebooks.kernel import execute
from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import call

TITANIC = ROOT / "components" / "lifeboat" / "usecases" / "titanic" / "data"
# Tested where their world is: another training, a second champion, Kubeflow's API, Alertmanager.
ELSEWHERE = {"promote", "retrain", "rollback", "run", "submit", "trigger"}
HERE = [command for command in commands(README) if command[0] not in ELSEWHERE]


def into(folder: Path, command: list[str]) -> list[str]:
    """The command with its output in a folder."""
    return [str(folder / word) if word.endswith((".yaml", ".parquet")) else word for word in command]


class TestTitanic:
    """From Kaggle's passengers to a champion that stays, and on."""

    def test_a_model_that_passes_is_deployed_and_answers(self, laptop: Laptop) -> None:
        said = laptop.lifeboat("run", "--require-deploy")
        assert "Deployed titanic version 1, the new champion." in said
        assert laptop.steps == {"preprocess", "train", "evaluate", "deploy"}
        for step in ("preprocess", "train", "evaluate", "deploy"):
            assert re.search(rf"\d\. {step}\n(   .*\n)+   done in \d+\.\d s", said), step
        assert re.search(r"trial 9/9: .*log loss 0\.\d+", said)
        assert re.search(r"ROC AUC\W+0\.8\d+\W+0\.\d+ to 0\.\d+", said)

    def test_the_printed_curl_command_gives_the_printed_answer(self, laptop: Laptop) -> None:
        said = laptop.lifeboat("run")
        command = re.search(r"try +(curl .*) \\\n +(-d .*)", said)
        printed = re.search(r"answers +died ([\d.]+), survived ([\d.]+)", said)
        assert command
        assert printed
        words = shlex.split(f"{command[1]} {command[2]}")
        body = json.loads(words[words.index("-d") + 1])
        answer = call(words[2], body)
        assert answer.survived[0] == pytest.approx(float(printed[2]), abs=5e-4)

    def test_the_same_model_again_keeps_the_champion(self, laptop: Laptop) -> None:
        verdict = json.loads(laptop.output("evaluate/verdict").read_text())
        assert verdict["bundle"] == verdict["champion"]
        assert [item["why"] for item in verdict["criteria"] if not item["passed"]] == [
            "it is the champion: the same bundle digest"
        ]
        assert laptop.steps == {"preprocess", "train", "evaluate", "keep"}

    def test_the_endpoint_answers_what_the_bundle_says(self, laptop: Laptop) -> None:
        bundle = open_bundle(laptop.output("train/bundle"))
        rows = [entry["row"] for entry in bundle.golden]
        names = list(rows[0])
        body = {"data": {"names": names, "ndarray": [[row[name] for name in names] for row in rows]}}
        answer = call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body)
        expected = [entry["probabilities"] for entry in bundle.golden]
        np.testing.assert_allclose(answer.json["data"]["ndarray"], expected, atol=1e-5)
        assert answer.json["meta"]["tags"]["bundle_digest"] == bundle.digest

    def test_mlflow_loads_the_champion_by_its_alias_and_it_takes_a_raw_table(
        self, laptop: Laptop, tmp_path: Path
    ) -> None:
        mlflow.set_tracking_uri(laptop.settings.tracking)
        model = mlflow.pyfunc.load_model("models:/titanic@champion")
        answers = model.predict(pd.read_csv(TITANIC / "test.csv"))
        registry = Registry(laptop.settings)
        champion = registry.aliased("titanic", CHAMPION)
        assert champion
        bundle = registry.bundle(champion)
        rows = pq.read_table(laptop.output("preprocess/test_rows"))
        scorer = Scorer(bundle.model, bundle.schema)
        assert answers.shape == (418, 2)
        # How many rows a run has differs, and so may the last digit.
        laptop.lifeboat("score", str(TITANIC / "test.csv"), str(tmp_path / "scored.parquet"))
        scored = pq.read_table(tmp_path / "scored.parquet")
        for name in bundle.schema.label.classes:
            np.testing.assert_allclose(answers[name], scored.column(f"probability_{name}").to_numpy(), atol=1e-6)
        np.testing.assert_allclose(model.predict(rows.to_pandas()), scorer.answers(rows), atol=1e-6)

    def test_the_champions_run_is_one_that_passed_with_its_data_and_trials(self, laptop: Laptop) -> None:
        client = mlflow.MlflowClient(laptop.settings.tracking)
        champion = client.get_model_version_by_alias("titanic", "champion")
        run = client.get_run(champion.run_id)
        assert run.data.tags["gate"] == champion.tags["gate"] == "passed"
        assert run.data.metrics["roc_auc.low"] < run.data.metrics["roc_auc"] < run.data.metrics["roc_auc.high"]
        assert run.data.metrics["baseline.roc_auc"] < run.data.metrics["roc_auc"]
        names = [item.dataset.name for item in run.inputs.dataset_inputs]
        assert sorted(names) == ["titanic held out", "titanic training"]
        below = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{champion.run_id}'")
        assert len(below) == 9
        figures = {"cv.log_loss", "cv.log_loss_spread", "cv.roc_auc"}
        assert all(trial.data.metrics.keys() == figures for trial in below)
        assert min(trial.data.metrics["cv.log_loss"] for trial in below) == run.data.metrics["cv.log_loss"]

    def test_status_predict_and_score_ask_the_champion(self, laptop: Laptop, tmp_path: Path) -> None:
        assert "titanic" in laptop.lifeboat("status")
        row = ["Pclass=1", "Name=Doe, Mrs. Jane", "Sex=female", "SibSp=0", "Parch=0", "Age=30", "Fare=80"]
        answer = json.loads(laptop.lifeboat("predict", *row))
        assert answer["survived"] > 0.8
        assert answer["model_version"] == "1"
        assert "column Age: 500 is outside 0 to 120" in laptop.lifeboat("predict", *row[:5], "Age=500", code=1)
        target = tmp_path / "scored.parquet"
        assert "scored 418 rows" in laptop.lifeboat("score", str(TITANIC / "test.csv"), str(target))
        scored = pq.read_table(target)
        assert scored.num_rows == 418
        assert scored.column("PassengerId").to_pylist()[:2] == [892, 893]

    def test_the_example_of_the_python_interface_does_what_it_says(self, laptop: Laptop) -> None:
        url = json.dumps(server_url(laptop.settings, "titanic"))
        run = f"import doctest, lifeboat.api as api; print(doctest.testmod(api, extraglobs={{'url': {url}}}))"
        done = subprocess.run(
            [sys.executable, "-c", run], cwd=ROOT, env=laptop.environment, capture_output=True, text=True, timeout=120
        )
        assert done.stdout.endswith("TestResults(failed=0, attempted=7)\n"), done.stdout + done.stderr

    def test_no_page_log_or_example_names_a_passenger(self, laptop: Laptop) -> None:
        names = pd.read_csv(TITANIC / "train.csv")["Name"]
        looked = 0
        # Rows are in Parquet files, which a run and a bundle's reference are.
        for path in laptop.home.rglob("*"):
            rows = path.name in ("train_rows", "test_rows", "quarantine") or path.suffix == ".parquet"
            if path.is_file() and not rows:
                text = html.unescape(path.read_text(encoding="utf-8", errors="replace"))
                assert not [name for name in names if name in text], path
                looked += 1
        assert looked > 30
        golden = open_bundle(laptop.output("train/bundle")).golden
        assert {entry["row"]["Name"] for entry in golden} == {"Fogg, Mr. Phileas"}

    def test_typed_artifacts_reach_the_ui(self, laptop: Laptop) -> None:
        artifacts = executor_output(laptop.output("evaluate/executor_output.json"))
        assert artifacts["metrics"]["metadata"]["roc_auc"] > 0.8
        assert len(artifacts["curves"]["metadata"]["confidenceMetrics"]) > 10
        classes = artifacts["curves"]["metadata"]["confusionMatrix"]["annotationSpecs"]
        assert [entry["displayName"] for entry in classes] == ["died", "survived"]
        for page in ("model-card.html", "data-profile.html"):
            assert "<html" in (laptop.last_run / page).read_text()

    def test_no_ticket_is_on_both_sides(self, laptop: Laptop) -> None:
        sides = [set(pq.read_table(laptop.output(f"preprocess/{side}_rows")).column("Ticket").to_pylist())
                 for side in ("train", "test")]  # fmt: skip
        assert sides[0]
        assert sides[1]
        assert not sides[0] & sides[1]

    @pytest.mark.parametrize("command", HERE, ids=lambda command: command[0])
    def test_a_command_of_the_readme_does_what_it_says(
        self, command: list[str], laptop: Laptop, tmp_path: Path
    ) -> None:
        said = laptop.lifeboat(*into(tmp_path, command))
        if command[0] == "predict":
            answer = json.loads(said)
            assert answer["died"] + answer["survived"] == pytest.approx(1)
        elif command[0] == "features":
            assert said.startswith("Labelled rows of titanic: 0\n")
        elif command[0] == "status":
            assert "titanic" in said
        elif command[0] == "check":
            assert "Nothing would stop a run" in said
        else:
            [written] = tmp_path.iterdir()
            assert written.stat().st_size > 1000

    def test_train_judges_a_challenger_and_leaves_the_champion(self, laptop: Laptop, tmp_path: Path) -> None:
        registry = Registry(laptop.settings)
        before = registry.aliased("titanic", CHAMPION)
        shown = execute("2-train.ipynb", laptop, tmp_path)
        after, challenger = (registry.aliased("titanic", alias) for alias in (CHAMPION, CHALLENGER))
        assert before == after != challenger
        assert shown.plots == 2
        # Said by the run as it went, and by its result.
        assert len(re.findall(r"log_loss beats the champion +│ no ", shown.text)) == 2
        assert "disagree on 0 of" not in shown.text
        assert "best: random forest" in shown.text
        assert len(shown.pages) == 1
        assert challenger
        assert challenger.digest in shown.pages[0]
        assert laptop.steps == {"preprocess", "train", "evaluate", "keep"}
        assert "Warning" not in shown.warnings


def test_some_are_run() -> None:
    assert {command[0] for command in HERE} == {"check", "compile", "features", "predict", "score", "status"}


def executor_output(path: Path) -> dict[str, Any]:
    """Artifacts by name, as Kubeflow reads them."""
    document = json.loads(path.read_text())
    return {name: entry["artifacts"][0] for name, entry in document["artifacts"].items()}
