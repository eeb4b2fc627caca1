"""The whole way as a user goes it: `lifeboat run` from the table to the live endpoint, in a home of its own.

The tests of a class tell one story in order and share its home: each run takes as long as a run takes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest

from components.core.bundle import open_bundle
from components.core.registry import CHALLENGER, CHAMPION, Registry
from components.core.settings import Settings
from tests.deploy.conftest import free_port
from tests.serving.world import call
from tests.usecases import breast_cancer

ROOT = Path(__file__).resolve().parents[2]
TITANIC = ROOT / "components" / "usecases" / "titanic" / "data"


class Laptop:
    """A home, a port, and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {name: free_port() for name in ("port", "metrics_port", "detector_port")}
        self.settings = Settings(home=str(home), **ports)
        self.environment = {
            **os.environ,
            "LIFEBOAT_HOME": str(home),
            **{f"LIFEBOAT_{name.upper()}": str(port) for name, port in ports.items()},
            "COLUMNS": "200",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipelines.cli.main", *arguments]

    def lifeboat(self, *arguments: str, code: int = 0) -> str:
        """Runs a verb, asserts its exit code and gives all it printed."""
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def last_run(self) -> Path:
        return max((self.home / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)

    def output(self, name: str) -> Path:
        """An output of a step of the last run."""
        [found] = self.last_run.glob(f"*/{name}")
        return found

    @property
    def steps(self) -> set[str]:
        """Steps of the last run that left anything."""
        return {path.name for path in self.last_run.glob("lifeboat-*/*") if path.is_dir()}


@pytest.fixture(scope="class")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    made = Laptop(tmp_path_factory.mktemp("home"))
    yield made
    made.lifeboat("stop")


class TestTitanic:
    """From Kaggle's passengers to a champion that stays."""

    def test_a_bound_that_cannot_be_met_deploys_nothing(self, laptop: Laptop) -> None:
        said = laptop.lifeboat("run", "--require", "roc_auc>=0.999", "--require-deploy", code=3)
        assert "Not deployed, because" in said
        assert re.search(r"roc_auc at least 0\.999: 0\.\d+ .*asked: at least 0\.999", said)
        assert "There is no champion to serve." in said
        assert laptop.steps == {"preprocess", "train", "evaluate", "keep"}
        assert not list(laptop.last_run.glob("*/deploy/deployment"))
        registry = Registry(laptop.settings)
        assert registry.aliased("titanic", CHAMPION) is None
        assert registry.aliased("titanic", CHALLENGER) is not None

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

    def test_mlflow_loads_the_champion_by_its_alias(self, laptop: Laptop) -> None:
        mlflow.set_tracking_uri(laptop.settings.tracking)
        model = mlflow.onnx.load_model("models:/titanic@champion")
        assert [item.name for item in model.graph.input][:3] == ["Pclass", "Name", "Sex"]

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


def executor_output(path: Path) -> dict[str, Any]:
    """Artifacts by name, as Kubeflow reads them."""
    document = json.loads(path.read_text())
    return {name: entry["artifacts"][0] for name, entry in document["artifacts"].items()}


class TestAnotherUseCase:
    """Nothing but the use case's folder knows about ships."""

    def test_a_table_of_numbers_goes_the_whole_way(self, laptop: Laptop, tmp_path: Path) -> None:
        data = breast_cancer.write_data(tmp_path / "masses.parquet")
        said = laptop.lifeboat(
            "run", "--usecase", "tests.usecases.breast_cancer", "--data", str(data), "--require-deploy"
        )
        assert "Deployed breast-cancer version 1" in said
        body = {"jsonData": dict.fromkeys(breast_cancer.NAMES, 1.0)}
        answer = call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body)
        assert answer.status == 200
        assert answer.json["meta"]["tags"]["model_name"] == "breast-cancer"


class TestTrouble:
    """One clear sentence, exit code 1, and nothing half-done."""

    def test_bad_input_ends_the_run_with_the_steps_own_sentence(self, laptop: Laptop, tmp_path: Path) -> None:
        table = tmp_path / "bad.csv"
        lines = (TITANIC / "train.csv").read_text().splitlines()[:40]
        table.write_text("\n".join(line.replace(",male,", ",mael,") for line in lines) + "\n")
        said = laptop.lifeboat("run", "--data", str(table), code=1)
        sentence = r"step preprocess failed: .*bad\.csv, row 1: column Sex: \"mael\" is none of female, male"
        assert re.search(sentence, said)
        assert "Traceback" not in said
        assert not list(laptop.last_run.glob("*/train/bundle"))

    def test_a_mistyped_bound_costs_no_training(self, laptop: Laptop) -> None:
        before = len(list((laptop.home / "runs").iterdir()))
        assert "is no bound" in laptop.lifeboat("run", "--require", "roc_auc>0.9", code=1)
        assert len(list((laptop.home / "runs").iterdir())) == before

    def test_a_port_in_use_is_named_before_anything_is_trained(self, laptop: Laptop) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", laptop.settings.port))
            taken.listen()
            said = laptop.lifeboat("run", code=1)
        assert re.search(rf"127\.0\.0\.1:{laptop.settings.port} .*in use; choose another port with --port", said)
        assert "Traceback" not in said

    def test_an_interrupt_leaves_nothing_half_done(self, laptop: Laptop) -> None:
        process = subprocess.Popen(
            laptop.command("run"), cwd=ROOT, env=laptop.environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "trial 2/9" in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        said += process.stdout.read()
        assert process.wait(30) == 130, said
        assert "interrupted; what served before still serves" in said
        assert "Traceback" not in said
        assert not list(laptop.last_run.glob("*/train/bundle"))
        wait_until_gone(process.pid)


def wait_until_gone(group: int, seconds: float = 10.0) -> None:
    """No process of the group is left."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of group {group} are still there")
