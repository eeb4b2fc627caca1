"""A stranger's table as it was shipped: `check` says what to declare, and then one run brings it to the endpoint.

The raw table of 344 penguins has text labels, NA, dates, comments, and names with blanks and brackets.
"""

from __future__ import annotations

import re
from pathlib import Path

import palmerpenguins
import pytest

from tests.pipeline.laptop import Laptop
from tests.server.world import call

RAW = Path(palmerpenguins.__file__).parent / "data" / "penguins-raw.csv"
USECASE = """
from pathlib import Path
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from lifeboat.usecase.gates import AtLeast, BeatsBaseline
from lifeboat.usecase.schema import Column, BinaryLabel, Schema
from lifeboat.usecase.threshold import BestF1
from lifeboat.usecase.usecase import Candidate, UseCase

NUMBERS = ["Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)", "Delta 15 N (o/oo)"]


def features():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, ["Island", "Species"])])


USECASE = UseCase(
    name="penguins", title="Whether a penguin is male", data=Path(__file__).parent / "penguins-raw.csv",
    schema=Schema(
        (
            *(Column(name, "float"#NULLABLE#) for name in NUMBERS),
            *(Column(name, "string") for name in ("Island", "Species")),
        ),
        BinaryLabel("Sex", #CLASSES#),
    ),
    features=features, baseline=("Island",), threshold=BestF1(),
    candidates=(
        Candidate("forest", RandomForestClassifier(50, random_state=0)), Candidate("logistic", LogisticRegression()),
    ),
    gates=(AtLeast("roc_auc", 0.8), AtLeast("f1", 0.5), BeatsBaseline("log_loss")),#MORE#
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder with blanks" / "penguins"
    folder.mkdir(parents=True)
    (folder / "penguins-raw.csv").write_bytes(RAW.read_bytes())
    return folder


def declare(folder: Path, nullable: str, classes: str, more: str) -> None:
    text = USECASE.replace("#NULLABLE#", nullable).replace("#CLASSES#", classes).replace("#MORE#", more)
    (folder / "__init__.py").write_text(text)


@pytest.mark.slow
def test_a_raw_table_goes_to_the_endpoint_in_one_run_after_check_said_what_to_declare(
    laptop: Laptop, folder: Path
) -> None:
    declare(folder, "", '("F", "M")', "")
    said = laptop.lifeboat("check", "--usecase", str(folder), code=1)
    assert "344 of 344 rows (100.0%) break the schema; at most 2% may, which max_quarantine changes" in said
    advice = re.findall(r"column (.*): .* of 344 rows, .*; declare (nullable=True), or fill them in", said)
    assert [name for name, _ in advice] == [
        "Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)", "Delta 15 N (o/oo)",
    ]  # fmt: skip
    label = re.search(r"declare BinaryLabel\('Sex', (\('FEMALE', 'MALE'\))\)", said)
    assert label

    declare(folder, f", {advice[0][1]}", label[1], "")
    said = laptop.lifeboat("check", "--usecase", str(folder), code=1)
    assert "11 of 344 rows (3.2%) break the schema; at most 2% may, which max_quarantine changes" in said
    assert "candidates: 2 of 2 can be trained and served" in said

    declare(folder, f", {advice[0][1]}", label[1], " max_quarantine=0.05,")
    assert "Nothing would stop a run" in laptop.lifeboat("check", "--usecase", str(folder))
    said = laptop.lifeboat("run", "--usecase", str(folder), "--require-deploy")
    assert "Deployed penguins version 1" in said
    assert re.search(r"class MALE above 0\.\d+: the highest F1 on the cross-validation", said)
    row = {"Culmen Length (mm)": 39.1, "Flipper Length (mm)": 181, "Island": "Nowhere", "Species": "Gentoo"}
    answer = call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", {"jsonData": row})
    assert answer.status == 200
    assert answer.json["data"]["names"] == ["FEMALE", "MALE"]

    scored = folder / "scored.csv"
    said = laptop.lifeboat("score", str(RAW), str(scored), "--usecase", "penguins")
    assert "scored 344 rows" in said
    assert len(scored.read_text().splitlines()) == 345
