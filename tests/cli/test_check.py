"""`lifeboat check`: everything that would stop a run, all of it at once, and nothing that is slow to import."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.checks.places import check_places
from lifeboat.config.errors import UseCaseError
from lifeboat.config.settings import Settings
from tests.cli.conftest import Lifeboat
from tests.modules import forgotten

TITANIC = (
    Path(__file__).resolve().parents[2] / "components" / "lifeboat" / "usecases" / "titanic" / "data" / "train.csv"
)


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path) -> Iterator[None]:
    with forgotten(tmp_path):
        yield


def usecase(folder: Path, features: str = "Floats32", candidates: str = "", **change: str) -> Path:
    """A use case in a folder of the test's: whether a passenger survives, by numbers."""
    options = {"columns": "Column('Fare', 'float', minimum=0), Column('Pclass', 'integer')", "classes": "('no', 'yes')"}
    parts = options | change
    folder.mkdir()
    (folder / "__init__.py").write_text(f"""
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from lifeboat.usecase.gates import AtLeast
from lifeboat.usecase.schema import Column, BinaryLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, UseCase

USECASE = UseCase(
    name="fares", title="Fares", schema=Schema(({parts["columns"]},), BinaryLabel("Survived", {parts["classes"]})),
    data={str(TITANIC)!r}, features={features}, gates=(AtLeast("roc_auc", 0.5),), baseline=(),
    candidates=(Candidate("line", LogisticRegression()),{candidates}),
)
""")
    return folder


def test_a_use_case_that_is_well_says_so_with_what_it_assumes(lifeboat: Lifeboat, tmp_path: Path) -> None:
    said = lifeboat("check", "--usecase", str(usecase(tmp_path / "fares")))
    assert said.code == 0
    assert "train.csv: 891 rows" in said.output
    assert "columns that the schema does not name are left out: PassengerId, Name" in said.output
    assert "label Survived: no 549, yes 342" in said.output
    assert "candidates: 1 of 1 can be trained and served" in said.output
    assert "Nothing would stop a run" in said.output


def test_everything_that_is_wrong_is_told_at_once(lifeboat: Lifeboat, home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "store").write_text("a file, not a folder")
    wrong = usecase(
        tmp_path / "fares",
        columns="Column('Fare', 'float', maximum=100), Column('Age', 'float'), Column('Cabins', 'string')",
        classes="('DIED', 'SURVIVED ')",
    )
    said = lifeboat("check", "--usecase", str(wrong), "--require", "f2>=1")
    assert said.code == 1
    for sentence in (
        "--require: no metric 'f2'",
        "columns missing: Cabins; the table has: PassengerId, Survived",
        "column Fare: 53 of 891 rows, the first in row 28: 263 is outside",
        "column Age: 177 of 891 rows, the first in row 6: is null, which Age may not be; declare nullable=True",
        "the bundle store",
    ):
        assert sentence in said.output, sentence
    assert "problems would stop a run" in said.output


def test_a_candidate_that_cannot_be_served_is_a_warning_beside_one_that_can(lifeboat: Lifeboat, tmp_path: Path) -> None:
    mixed = usecase(tmp_path / "fares", candidates="Candidate('ridge', RidgeClassifier()),")
    said = lifeboat("check", "--usecase", str(mixed))
    assert said.code == 0
    assert "candidates: 1 of 2 can be trained and served" in said.output
    assert "candidate 'ridge' is left out: RidgeClassifier gives no probability" in said.output


def test_that_all_candidates_can_be_used_is_kept_until_the_source_changes(
    lifeboat: Lifeboat, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = usecase(tmp_path / "fares")
    home.mkdir()
    looked: list[int] = []
    monkeypatch.setattr("lifeboat.train.candidate_cache.examine_anew", lambda *_, **__: looked.append(1) or {})
    for _ in range(3):
        assert "1 of 1 can be trained" in lifeboat("check", "--usecase", str(folder)).output
    assert len(looked) == 1
    (folder / "more.py").write_text("# another line\n")
    lifeboat("check", "--usecase", str(folder))
    assert len(looked) == 2
    assert len(list((home / "checks").iterdir())) == 1


def test_that_one_cannot_be_used_is_not_kept_for_the_next_table(
    lifeboat: Lifeboat, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = usecase(tmp_path / "fares")
    home.mkdir()
    answers = [{"line": "this table's fault"}, {}]
    monkeypatch.setattr("lifeboat.train.candidate_cache.examine_anew", lambda *_, **__: answers.pop(0))
    assert "candidate 'line' is left out: this table's fault" in lifeboat("check", "--usecase", str(folder)).output
    assert "1 of 1 can be trained" in lifeboat("check", "--usecase", str(folder)).output


def test_a_table_of_one_class_says_nothing_of_candidates(lifeboat: Lifeboat, tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text("Fare,Pclass,Survived\n" + "7.5,3,0\n" * 50)
    said = lifeboat("check", "--usecase", str(usecase(tmp_path / "fares")), "--data", str(table))
    assert said.code == 1
    assert "only 'no' occurs, both classes are needed" in said.output
    assert "candidate" not in said.output


def test_a_run_begins_with_the_check_and_lists_what_stops_it(lifeboat: Lifeboat, tmp_path: Path) -> None:
    wrong = usecase(tmp_path / "fares", columns="Column('Fare', 'float', maximum=100), Column('Age', 'float')")
    said = lifeboat("run", "--usecase", str(wrong))
    assert said.code == 1
    assert "1. preprocess" not in said.output
    assert "column Fare: 53 of 891 rows" in said.output
    assert "column Age: 177 of 891 rows" in said.output
    assert said.errors == "lifeboat: 3 problems, see above, would stop the run: it was not begun\n"


def test_kfp_and_mlflow_are_not_imported() -> None:
    code = """
import sys
from lifeboat.cli.main import main
assert main(["check", "--home", sys.argv[1]]) == 0
print([name for name in ("kfp", "mlflow", "matplotlib") if name in sys.modules])
"""
    command = [sys.executable, "-c", code, "/nonexistent-home-of-a-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_a_locked_registry_a_silent_server_and_a_missing_interpreter_are_told(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    connection = sqlite3.connect(tmp_path / "home" / "mlflow.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        settings = Settings(home=str(tmp_path / "home"), serving_python="/nonexistent/python", detector_python="none")
        locked, interpreter = check_places(settings)
        assert "mlflow.db cannot be used: database is locked" in locked
        assert interpreter == "LIFEBOAT_SERVING_PYTHON is /nonexistent/python, which is no program of this machine"
    finally:
        connection.close()
    silent = Settings(home=str(tmp_path), tracking_uri="http://user:secret@127.0.0.1:9", detector_python="none")
    [problem] = check_places(silent)
    assert problem.startswith("the model registry http://user:***@127.0.0.1:9 does not answer")


def test_somebodys_use_case_may_be_called_as_one_that_ships_where_that_has_no_models(tmp_path: Path) -> None:
    from lifeboat.cli.known import remember, resolve

    settings, own = Settings(home=str(tmp_path / "home")), str(tmp_path / "penguins")
    remember("penguins", own, settings)
    assert resolve("penguins", settings) == own
    with pytest.raises(UseCaseError, match=f"'penguins' is {own} in this home"):
        remember("penguins", "lifeboat.usecases.penguins", settings)
    # Once it serves, it is still itself.
    settings.serving_state("penguins").mkdir(parents=True)
    remember("penguins", own, settings)
    other = Settings(home=str(tmp_path / "other"))
    other.serving_state("penguins").mkdir(parents=True)
    with pytest.raises(UseCaseError, match="is called 'penguins', as a use case that Lifeboat ships, and this home"):
        remember("penguins", own, other)
    assert resolve("penguins", other) == "penguins"


@pytest.mark.parametrize("name", ["a folder/with spaces", "Grüße/日本"])
def test_a_use_case_is_known_by_its_name_once_it_ran(lifeboat: Lifeboat, home: Path, tmp_path: Path, name: str) -> None:
    from lifeboat.cli.known import remember, resolve

    (tmp_path / name).mkdir(parents=True)
    folder = usecase(tmp_path / name / "fares")
    settings = Settings(home=str(home))
    assert resolve(str(folder), settings) == str(folder)
    remember("fares", str(folder), settings)
    assert resolve("fares", settings) == str(folder)
    assert resolve("titanic", settings) == "titanic"
    assert lifeboat("check", "--usecase", "fares").code == 0
