"""What MLflow shows of an evaluation, and the model that it loads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lifeboat.config.errors import RegistryError
from lifeboat.registry.mlflow_run import LoggedData
from lifeboat.registry.registry import Registry
from lifeboat.usecase.column import Column
from tests.registry.world import METRICS, make_bundle, register, verdict
from tests.server.world import ROW, TINY, expected

CV = {"cv.log_loss": 0.41, "cv.roc_auc": 0.88}
DATA = LoggedData("tiny held out", "e" * 64, "s3://data/tiny.csv", "testing", TINY.columns, {"rows": 181})


def client_of(registry: Registry) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(registry.tracking)


def runs_of(registry: Registry) -> list[Any]:
    """All runs of the experiment, the oldest first."""
    client = client_of(registry)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    return list(client.search_runs([experiment], order_by=["attributes.start_time ASC"]))


def evaluations(registry: Registry) -> list[Any]:
    return [run for run in runs_of(registry) if "mlflow.parentRunId" not in run.data.tags]


def test_each_evaluation_is_a_run_with_a_name_of_its_own_that_sorts_by_time(registry: Registry, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    for passed in (False, True, False):
        register(registry, bundle, passed=passed)
    names = [run.info.run_name for run in evaluations(registry)]
    assert sorted(set(names)) == names
    for name, outcome in zip(names, ("refused", "passed", "refused"), strict=True):
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} {outcome} {bundle.digest[:12]}", name)


def test_a_run_holds_parameters_metrics_reports_and_tags(registry: Registry, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    version = register(registry, bundle, reason="drift in Age")
    client = client_of(registry)
    run = client.get_run(version.run_id)
    assert (run.info.status, run.info.end_time >= run.info.start_time) == ("FINISHED", True)
    assert run.data.metrics == {**METRICS, **CV}
    assert run.data.params == {"candidate": "linear", "calibration": '{"kind": "none"}', "seed": "7", "C": "0.3"}
    tags = {
        "bundle_digest": bundle.digest,
        "data_digest": "d" * 64,
        "code_commit": "c" * 40,
        "lifeboat_version": "unknown",
        "usecase": "tiny",
        "gate": "passed",
    }
    assert tags.items() <= run.data.tags.items()
    assert run.data.tags["reason"] == "drift in Age"
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert client.get_model_version("tiny", "1").tags == version.tags == tags
    assert [item.path for item in client.list_artifacts(version.run_id, "reports")] == ["reports/model-card.md"]


def test_a_report_may_name_the_version_that_came_of_it(registry: Registry, tmp_path: Path) -> None:
    bundle, reports = make_bundle(tmp_path / "bundle"), tmp_path / "reports"
    reports.mkdir()
    (reports / "model-card.md").write_text("of an unknown version")
    for passed in (False, True, True):
        registry.register(
            bundle, verdict(bundle, passed=passed), METRICS, reports,
            naming_version=lambda version: {"model-card.md": f"of version {version.version}"},
        )  # fmt: skip
    client, texts = client_of(registry), []
    for run in evaluations(registry):
        file = client.download_artifacts(run.info.run_id, "reports/model-card.md", str(tmp_path))
        texts.append(Path(file).read_text())
    assert texts == ["of version 1", "of version 2", "of version 2"]


def test_the_trials_of_the_search_are_runs_below_the_evaluation(registry: Registry, tmp_path: Path) -> None:
    version = register(registry, make_bundle(tmp_path / "bundle"))
    trials = [run for run in runs_of(registry) if run.data.tags.get("mlflow.parentRunId") == version.run_id]
    assert {run.info.run_name: (run.data.params, run.data.metrics, run.info.status) for run in trials} == {
        "trial 1: linear (C=0.3)": ({"candidate": "linear", "C": "0.3"}, CV, "FINISHED"),
        "trial 2: forest (depth=3)": (
            {"candidate": "forest", "forest__depth": "3"},
            {"cv.log_loss": 0.44, "cv.roc_auc": 0.86},
            "FINISHED",
        ),
        "trial 3: linear (C=9.0)": (
            {"candidate": "linear", "C": "9.0"},
            {"cv.log_loss": 0.9, "cv.roc_auc": 0.5},
            "KILLED",
        ),
    }
    assert [run.data.tags["folds"] for run in trials if run.info.status == "KILLED"] == ["2"]
    assert len(runs_of(registry)) == 4


def test_a_runs_data_has_name_digest_source_schema_and_use(registry: Registry, tmp_path: Path) -> None:
    table = tmp_path / "tiny.csv"
    here = LoggedData("tiny table", "f" * 64, str(table), "training", (*TINY.columns, Column("fate", "integer")), {})
    version = register(registry, make_bundle(tmp_path / "bundle"), data=[here, DATA])
    found = {item.dataset.name: item for item in client_of(registry).get_run(version.run_id).inputs.dataset_inputs}
    assert {name: [(tag.key, tag.value) for tag in item.tags] for name, item in found.items()} == {
        "tiny table": [("mlflow.data.context", "training")], "tiny held out": [("mlflow.data.context", "testing")],
    }  # fmt: skip
    dataset = found["tiny held out"].dataset
    assert (dataset.digest, json.loads(dataset.profile)) == ("e" * 36, {"rows": 181})
    assert json.loads(dataset.schema)["mlflow_colspec"][1:3] == [
        {"type": "string", "name": "port", "required": False},
        {"type": "double", "name": "age", "required": False},
    ]
    assert mlflow.data.get_source(found["tiny held out"]).uri == "s3://data/tiny.csv"
    assert mlflow.data.get_source(found["tiny table"]).uri == str(table)


def test_a_run_whose_logging_fails_has_failed_and_makes_no_version(registry: Registry, tmp_path: Path) -> None:
    too_long = LoggedData("x" * 501, "e" * 64, "s3://data/tiny.csv", "testing", (), {})
    with pytest.raises(RegistryError):
        register(registry, make_bundle(tmp_path / "bundle"), data=[too_long])
    assert [run.info.status for run in evaluations(registry)] == ["FAILED"]
    assert registry.overview("tiny").versions == ()


@pytest.fixture
def model(registry: Registry, tmp_path: Path) -> Any:
    """The champion as MLflow loads it."""
    version = register(registry, make_bundle(tmp_path / "bundle", 0.05))
    registry.promote(version, expected=None)
    registry._mlflow.client  # noqa: B018  # sets the tracking URI
    return mlflow.pyfunc.load_model("models:/tiny@champion")


def survived(model: Any, frame: pd.DataFrame) -> list[float]:
    answer = model.predict(frame)
    assert list(answer.columns) == ["died", "survived"]
    assert answer.sum(axis=1).tolist() == pytest.approx([1.0] * len(frame))
    assert answer.index.equals(frame.index)
    return [float(value) for value in answer["survived"]]


FRAMES = {
    "as Python says it": pd.DataFrame([ROW, {**ROW, "age": None, "port": None, "alone": None}]),
    "whole numbers for floats": pd.DataFrame({**pd.DataFrame([ROW, ROW]), "age": np.array([22, 40], np.int64)}),
    "floats for integers, NaN": pd.DataFrame([{**ROW, "class": 3.0, "age": np.nan}]),
    "nullable types": pd.DataFrame([ROW, ROW]).astype({"class": "Int64", "alone": "boolean", "port": "string"}),
    "nullable types with nulls": pd.DataFrame([ROW, {**ROW, "age": None, "port": None, "alone": None}]).astype(
        {"age": "Float64", "alone": "boolean", "port": "string", "name": "string"}
    ),
    "nullable integers with nulls": pd.DataFrame([{**ROW, "age": 22}, {**ROW, "age": None}]).astype(
        {"age": "Int64", "class": "Int64"}
    ),
    "categories of numbers": pd.DataFrame([ROW, {**ROW, "age": None}]).astype(
        dict.fromkeys(("age", "class"), "category")
    ),
    "a text that means a null": pd.DataFrame([{**ROW, "port": "NA"}, {**ROW, "port": "?"}]),
    "a column of decimals": pd.DataFrame([{**ROW, "age": Decimal("22.5")}, {**ROW, "age": None}]),
    "texts of Arrow": pd.DataFrame([ROW, {**ROW, "port": None}]).astype({"port": pd.ArrowDtype(pa.string())}),
    "categories": pd.DataFrame([ROW, {**ROW, "port": None}]).astype({"port": "category", "name": "category"}),
    "a column of nulls": pd.DataFrame([{**ROW, "age": None, "alone": None}]).astype({"age": object}),
    "0 and 1 for a truth value": pd.DataFrame([{**ROW, "alone": 1}]),
    "an empty string for a null": pd.DataFrame([{**ROW, "port": ""}]),
    "another order, an index, more columns": pd.DataFrame([{"x": 1, **dict(reversed(ROW.items()))}], index=["one"]),
    "without nullable columns": pd.DataFrame([{"name": "Ann", "class": 3}]),
    "no rows": pd.DataFrame([ROW]).iloc[:0],
    "more rows than one call takes": pd.DataFrame([ROW, {**ROW, "age": 40}] * 10_000),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_loaded_champion_takes_raw_columns_as_a_data_frame_has_them(model: Any, name: str) -> None:
    frame = FRAMES[name]

    def cell(row: Any, column: str) -> Any:
        value = row.get(column)
        if pd.isna(value):
            return None
        return float(value) if column == "age" else value

    wanted = [expected(cell(row, "age"), 0.05, cell(row, "port")) for row in frame.to_dict("records")]
    assert survived(model, frame) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"class": 4}, "row 2, column class: 4 is none of 1, 2, 3"),
        ({"class": None}, "row 2, column class: is null, which it may not be"),
        ({"class": 2.5}, "row 2, column class: 2.5 is no integer"),
        ({"age": 121}, "row 2, column age: 121.0 is outside 0 to 120"),
        ({"age": "old"}, "row 2, column age: 'old' is no float"),
        ({"age": float("inf")}, "row 2, column age: inf is outside 0 to 120"),
        ({"alone": 2}, "row 2, column alone: 2 is no boolean"),
        ({"port": "X"}, "row 2, column port: 'X' is none of C, Q"),
        ({"port": 7}, "row 2, column port: 7 is no string"),
        ({"name": "A" * 41}, "row 2, column name: .* has more than 40 characters"),
        ({"name": ""}, "row 2, column name: is null, which it may not be"),
    ],
)
def test_the_loaded_champion_refuses_what_the_endpoint_refuses(
    model: Any, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match=sentence):
        model.predict(pd.DataFrame([ROW, {**ROW, **change}]))


def test_the_loaded_champion_names_a_column_that_is_missing(model: Any) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"missing inputs \['class'\]"):
        model.predict(pd.DataFrame([ROW]).drop(columns="class"))


def test_the_model_has_a_signature_an_example_that_works_and_no_pickle(
    model: Any, registry: Registry, tmp_path: Path
) -> None:
    inputs = {item["name"]: item["required"] for item in model.metadata.signature.inputs.to_dict()}
    assert inputs == {"name": True, "port": False, "age": False, "class": True, "alone": False}
    assert model.metadata.signature.outputs.input_names() == ["died", "survived"]
    assert model.input_example.to_dict("records") == [TINY.example()]
    assert len(survived(model, model.input_example)) == 1
    logged = client_of(registry).get_logged_model(model.metadata.model_id)
    assert (logged.status.name, logged.source_run_id) == ("READY", model.metadata.run_id)
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "tiny", "version": "1"}]
    folder = Path(mlflow.artifacts.download_artifacts("models:/tiny@champion", dst_path=str(tmp_path / "model")))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert "artifacts/bundle/bundle.json" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert str(tmp_path) not in "".join(
        (folder / name).read_text() for name in ("MLmodel", "model.py", "artifacts/inputs.json")
    ).replace(str(registry._home), "")


@pytest.mark.slow
def test_mlflow_predicts_from_a_csv_on_the_command_line(model: Any, registry: Registry, tmp_path: Path) -> None:
    assert model.metadata.signature
    table = "name,port,age,class,alone\nAnn,C,22.5,3,True\nBo,,,1,\nCy,Q,40,2,False\n"
    (tmp_path / "rows.csv").write_text(table)
    command = ["-m", "mlflow", "models", "predict", "--model-uri", "models:/tiny@champion", "--env-manager", "local"]
    files = [
        "--content-type",
        "csv",
        "--input-path",
        str(tmp_path / "rows.csv"),
        "--output-path",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, *command, *files], env={**os.environ, "MLFLOW_TRACKING_URI": registry.tracking},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "out").read_text())["predictions"]
    wanted = [expected(22.5, 0.05, "C"), expected(None, 0.05), expected(40, 0.05)]
    assert [answer["survived"] for answer in answers] == pytest.approx(wanted, abs=1e-6)


def test_a_logged_model_shows_its_metrics(model: Any, registry: Registry) -> None:
    found = client_of(registry).get_logged_model(model.metadata.model_id).metrics
    assert {metric.key: metric.value for metric in found} == {**METRICS, **CV}
