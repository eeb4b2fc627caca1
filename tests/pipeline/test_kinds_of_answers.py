"""Every kind of answer goes the whole way: run, endpoint, both protocols, drift, truth, scoring, a second run, back.

Several classes are a use case that ships, a number is a project as `init` writes it, and a count is a kind that
Lifeboat does not have: somebody else's package (`tests.tasks.count`), which the servers find by its entry point.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import Answer, call
from tests.tasks.count.calls import DAYS

pytestmark = pytest.mark.slow

Row = dict[str, Any]
PENGUINS = ROOT / "components" / "lifeboat" / "usecases" / "penguins" / "data" / "penguins.csv"
# So many rows are asked, of which so many stand in a request.
ASKED, AT_ONCE = 450, 50


@dataclass(frozen=True)
class Kind:
    """A kind of answer, and a use case of it.

    Args:
        name: of the use case.
        label: its column.
        rows: the table.
        inputs: columns of a request.
        drifted: a row of another world.
        arguments: of `lifeboat run`.
        names: of an answer's numbers, by Seldon's protocol.
        outputs: datatype and shape of two rows, by the open protocol.
        scored: columns that `score` adds.
        live: names of the live figures.
        shown: what stands in the card.
        said: what the run says of one answer.
    """

    name: str
    label: str
    rows: list[Row]
    inputs: tuple[str, ...]
    drifted: Callable[[Row], Row]
    arguments: tuple[str, ...]
    names: tuple[str, ...]
    outputs: dict[str, tuple[str, list[int]]]
    scored: tuple[str, ...]
    live: tuple[str, ...]
    shown: tuple[str, ...]
    said: str


def penguins(_folder: Path) -> Kind:
    with PENGUINS.open(newline="") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
    sizes = ("Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)")
    species = tuple(sorted({row["Species"] for row in rows}))
    read = [
        {**{name: cell if cell not in ("NA", ".") else None for name, cell in row.items()},
         **{name: float(row[name]) if row[name] != "NA" else None for name in sizes}}
        for row in rows
    ]  # fmt: skip
    return Kind(
        name="penguins", label="Species", rows=read, inputs=(*sizes, "Island", "Sex"),
        drifted=lambda row: {**row, "Body Mass (g)": 7_500.0}, arguments=("--usecase", "penguins"),
        names=species, outputs={"probabilities": ("FP32", [2, 3]), "label": ("BYTES", [2])},
        scored=(*(f"probability_{name}" for name in species), "prediction"),
        live=("accuracy", "log_loss", "calibration_error"),
        shown=("F1, mean of the classes", "Calibration error", "Chinstrap penguin"),
        said=r"answers +Adelie Penguin \(Pygoscelis adeliae\) \d",
    )  # fmt: skip


def disease(folder: Path) -> Kind:
    frame = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})
    frame.to_csv(folder / "disease.csv", index=False)
    said = subprocess.run(
        [sys.executable, "-m", "lifeboat.cli.main", "init", "disease", "--data", "disease.csv", "--label",
         "progression", "--yes"], cwd=folder, capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert re.search(r"progression .*label.* a number, 0 or more", said)
    inputs = tuple(name for name in frame.columns if name != "progression")
    return Kind(
        name="disease", label="progression", rows=frame.to_dict("records"), inputs=inputs,
        drifted=lambda row: {**row, "bmi": row["bmi"] + 30},
        arguments=("--usecase", str(folder / "disease" / "src" / "disease")),
        names=("progression", "progression_lower", "progression_upper"),
        outputs={name: ("FP32", [2]) for name in ("value", "lower", "upper")}, scored=("value", "lower", "upper"),
        live=("mae", "rmse", "coverage"), shown=("Coverage of the interval", "Mean absolute error", "holds 90%"),
        said=r"answers +progression \d+",
    )  # fmt: skip


def calls(folder: Path) -> Kind:
    random = np.random.default_rng(0)
    cold, day = random.normal(size=600).clip(-5, 5).round(3), random.integers(0, 2, 600)
    counts = random.poisson(np.exp(0.4 + 0.5 * cold - 0.6 * day))
    start = datetime(2025, 10, 1, tzinfo=UTC)
    hours = [(start + timedelta(hours=7 * row)).isoformat() for row in range(600)]
    rows = [
        {"cold": float(a), "day": DAYS[b], "at": at, "calls": int(c)}
        for a, b, at, c in zip(cold, day, hours, counts, strict=True)
    ]
    with (folder / "calls.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["cold", "day", "at", "calls"])
        writer.writeheader()
        writer.writerows(rows)
    return Kind(
        name="calls", label="calls", rows=rows, inputs=("cold", "day", "at"), drifted=lambda row: {**row, "cold": 4.5},
        arguments=("--usecase", "tests.tasks.count.calls", "--data", str(folder / "calls.csv")),
        names=("calls_rate",), outputs={"rate": ("FP32", [2])}, scored=("calls_rate",),
        live=("poisson_deviance", "mae"),
        shown=("Poisson deviance", "The held-out rows are of 2026-", "How often each count came"),
        said=r"answers +calls_rate \d",
    )  # fmt: skip


@pytest.fixture(scope="module", params=[penguins, disease, calls], ids=lambda make: make.__name__)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    made: Kind = request.param(tmp_path_factory.mktemp("table"))
    return made


@pytest.fixture(scope="module")
def deployed(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A laptop on which the count's package is installed, as far as Python can tell, after a first run."""
    installed = tmp_path_factory.mktemp("installed")
    (installed / "count_label-1.0.dist-info").mkdir()
    (installed / "count_label-1.0.dist-info" / "METADATA").write_text("Name: count-label\nVersion: 1.0\n")
    points = "[lifeboat.labels]\ncount = tests.tasks.count.task\n"
    (installed / "count_label-1.0.dist-info" / "entry_points.txt").write_text(points)
    made = Laptop(tmp_path_factory.mktemp("home"))
    made.environment["PYTHONPATH"] = f"{ROOT}:{installed}"
    try:
        said = made.lifeboat("run", *kind.arguments, "--require-deploy")
        assert re.search(kind.said, said), said
        assert f"Deployed {kind.name} version 1, the new champion." in said
        yield made
    finally:
        made.lifeboat("stop")


def url(laptop: Laptop) -> str:
    return f"http://127.0.0.1:{laptop.settings.port}"


def asked(kind: Kind, laptop: Laptop, rows: list[Row]) -> Answer:
    matrix = [[row[name] for name in kind.inputs] for row in rows]
    return call(f"{url(laptop)}/api/v1.0/predictions", {"data": {"names": list(kind.inputs), "ndarray": matrix}})


def test_both_protocols_and_their_documents_have_the_kinds_own_outputs(kind: Kind, deployed: Laptop) -> None:
    answer = asked(kind, deployed, kind.rows[:2])
    assert answer.json["data"]["names"] == list(kind.names)
    matrix = np.array(answer.json["data"]["ndarray"])
    assert matrix.shape == (2, len(kind.names))
    model = call(f"{url(deployed)}/v2/models/{kind.name}").json
    assert {one["name"] for one in model["outputs"]} == set(kind.outputs)
    inputs = []
    for one in model["inputs"]:
        cells = [row[one["name"]] for row in kind.rows[:2]]
        data = [cell or "" for cell in cells] if one["datatype"] == "BYTES" else cells
        inputs.append({"name": one["name"], "datatype": one["datatype"], "shape": [2, 1], "data": data})
    found = call(f"{url(deployed)}/v2/models/{kind.name}/infer", {"inputs": inputs}).json["outputs"]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in found} == kind.outputs
    numbers = [one["data"] for one in found if one["datatype"] == "FP32"]
    shaped = np.reshape(numbers[0], (2, -1)) if len(numbers) == 1 else np.transpose(numbers)
    assert shaped == pytest.approx(matrix, abs=1e-6)
    document = call(f"{url(deployed)}/seldon.json").json
    assert all(name in str(document) for name in kind.names)


def test_a_truth_that_is_none_is_refused_in_the_labels_words(kind: Kind, deployed: Laptop) -> None:
    answer = asked(kind, deployed, kind.rows[:1])
    truth = {"response": answer.json, "truth": {"data": {"ndarray": ["nonsense"]}}}
    refused = call(f"{url(deployed)}/api/v1.0/feedback", truth)
    assert refused.status == 400
    assert "nonsense" in refused.body.decode()


def test_scoring_gives_the_columns_of_the_kind(kind: Kind, deployed: Laptop, tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, kind.inputs, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kind.rows[:20])
    deployed.lifeboat("score", str(tmp_path / "rows.csv"), str(tmp_path / "scored.csv"), "--usecase", kind.name)
    with (tmp_path / "scored.csv").open(newline="") as file:
        scored = list(csv.DictReader(file))
    assert set(kind.scored) <= set(scored[0])
    there = np.array(asked(kind, deployed, kind.rows[:20]).json["data"]["ndarray"])
    here = [[float(row[name]) for name in kind.scored[: len(kind.names)]] for row in scored]
    assert there == pytest.approx(np.array(here), rel=1e-5, abs=1e-5)


def test_mlflow_loads_it_and_answers_alike(kind: Kind, deployed: Laptop) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{deployed.home}/mlflow.db")
    frame = pd.DataFrame([{name: row[name] for name in kind.inputs} for row in kind.rows[:20]])
    answer = mlflow.pyfunc.load_model(f"models:/{kind.name}@champion").predict(frame)
    assert list(answer.columns) == list(kind.names)
    there = np.array(asked(kind, deployed, kind.rows[:20]).json["data"]["ndarray"])
    assert answer.to_numpy() == pytest.approx(there, rel=1e-5, abs=1e-5)


def test_the_card_speaks_of_it(kind: Kind, deployed: Laptop) -> None:
    card = (deployed.last_run / "model-card.html").read_text()
    assert all(words in card for words in kind.shown), [words for words in kind.shown if words not in card]


def test_drift_is_seen_truth_teaches_and_there_is_a_way_back(kind: Kind, deployed: Laptop) -> None:
    rows = [row for row in kind.rows if row[kind.label] is not None]
    for start in range(0, ASKED, AT_ONCE):
        some = [kind.drifted(rows[place % len(rows)]) for place in range(start, start + AT_ONCE)]
        answer = asked(kind, deployed, some)
        assert answer.status == 200, answer.body
        truth = {"response": answer.json, "truth": {"data": {"ndarray": [row[kind.label] for row in some]}}}
        assert call(f"{url(deployed)}/api/v1.0/feedback", truth).status == 200
    model = until(deployed, kind.name, lambda one: one["alarm"] and one["live"]["rows"] >= ASKED, exported=ASKED)
    assert "score" in {one["name"] for one in model["latest"]["features"]}
    assert [one["name"] for one in model["live"]["figures"]] == list(kind.live)
    assert all(model["live"][name] is not None for name in kind.live)
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{deployed.settings.detector_port}/metrics", timeout=10)
    assert f"lifeboat_live_{kind.live[0]}{{" in metrics.read().decode()
    said = deployed.lifeboat("features", "--usecase", kind.name)
    assert f"Labelled rows of {kind.name}: {ASKED}" in said
    said = deployed.lifeboat("run", *kind.arguments, "--seed", "3")
    assert re.search(rf"read {ASKED} labelled rows from feedback", said)
    assert "champion" in said
    if "Deployed" not in said:
        deployed.lifeboat("promote", "2", "--usecase", kind.name, "--because", "a test")
    assert call(f"{url(deployed)}/v2/models/{kind.name}").json["versions"] == ["2"]
    deployed.lifeboat("rollback", "--usecase", kind.name)
    assert call(f"{url(deployed)}/v2/models/{kind.name}").json["versions"] == ["1"]


def until(laptop: Laptop, name: str, is_so: Callable[[dict[str, Any]], bool], exported: int) -> dict[str, Any]:
    """The detector's word on a model, once it is so and so many labelled rows are in the store."""
    address = f"http://127.0.0.1:{laptop.settings.detector_port}/drift"
    end = time.monotonic() + 90
    while time.monotonic() < end:
        report = call(address).json
        found = [one for one in report["models"] if one["model"] == name and one["active"]]
        if found and is_so(found[0]) and report["feedback"]["exported"] >= exported:
            return dict(found[0])
        time.sleep(0.3)
    raise AssertionError(f"not within 90 s: {found}")
