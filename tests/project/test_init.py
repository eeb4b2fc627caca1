"""`lifeboat init`: from a raw table to a repository that tests itself."""

import csv
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pexpect
import pytest

from lifeboat.usecase.usecase import UseCase, load_usecase
from tests.project.penguins import write_penguins

LIFEBOAT = [sys.executable, "-m", "lifeboat.cli.main"]


@pytest.fixture(scope="module")
def penguins(tmp_path_factory):
    return write_penguins(tmp_path_factory.mktemp("raw"))


def init(folder, *arguments, **more):
    return subprocess.run(
        [*LIFEBOAT, "init", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False, **more
    )


def run_inside(project, *command):
    """As in the project's own environment: its package can be imported, and its folder is where the verb is called."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=project / "src", env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_project_is_written_from_a_table_and_its_tests_pass(tmp_path, penguins):
    done = init(tmp_path, "species", "--data", str(penguins), "--yes")
    assert done.returncode == 0, done.stderr
    project = tmp_path / "species"
    assert done.stdout.endswith("  cd species\n  make run\n\n")
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert written == {
        ".dockerignore", ".github/workflows/ci.yaml", ".gitignore", "Dockerfile", "Makefile", "README.md",
        "data/penguins.csv", "pyproject.toml", "src/species/__init__.py", "src/species/model.py",
        "src/species/schema.py", "tests/test_usecase.py",
    }  # fmt: skip
    assert (project / "data" / "penguins.csv").read_bytes() == penguins.read_bytes()
    tested = run_inside(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project / "tests"))
    assert tested.returncode == 0, tested.stdout
    assert "4 passed" in tested.stdout
    # From a folder of the project, without a flag: its own use case.
    checked = run_inside(project, "-m", "lifeboat.cli.main", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "use case species" in checked.stdout
    listed = run_inside(project, "-m", "lifeboat.cli.main", "usecases")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["species", "flights", "penguins", "titanic"]


def test_the_image_and_the_default_of_a_compiled_pipeline_are_the_projects(tmp_path, penguins):
    init(tmp_path, "species", "--data", str(penguins), "--yes")
    project = tmp_path / "species"
    assert run_inside(project, "-m", "lifeboat.cli.main", "compile", "it.yaml").returncode == 0
    compiled = (project / "src" / "it.yaml").read_text()
    assert "image: species/components:0.1.0" in compiled
    assert "defaultValue: species" in compiled


def test_without_a_table_there_is_an_example(tmp_path):
    assert init(tmp_path, "example", "--yes").returncode == 0
    usecase = load_usecase(str(tmp_path / "example" / "src" / "example"))
    assert isinstance(usecase, UseCase)
    assert usecase.schema.label.name == "Survived"


def test_texts_of_a_strange_table_stand_in_python_and_toml_as_they_are(tmp_path):
    names = ['it\'s "so"', "{{ 7 * 7 }}", "line\nbreak", "back\\slash", "{% raw %}", "ä"]
    values = [f'v{n} \'""" {{{{ {n} }}}} \\' for n in range(2)]
    path = tmp_path / "odd {{ name }}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "y"])
        writer.writerows([[values[row % 2]] * len(names) + [["no", "yes"][row % 3 == 0]] for row in range(60)])
    done = init(tmp_path, "strange", "--data", str(path), "--yes", "--title", 'A """title""" \\ of\n"\'{{ it }}')
    assert done.returncode == 0, done.stderr
    usecase = load_usecase(str(tmp_path / "strange" / "src" / "strange"))
    assert list(usecase.schema.names) == names
    assert usecase.schema.columns[0].categories == tuple(values)
    assert Path(usecase.data).is_file()
    written = tomllib.loads((tmp_path / "strange" / "pyproject.toml").read_text())
    assert written["project"]["description"] == usecase.title == 'A """title""" \\ of\n"\'{{ it }}'


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Bad_Name", "--yes"], "the name 'Bad_Name' is not lower case letters"),
        (["numpy", "--yes"], "'numpy' is a module of Python or of an installed package"),
        (["titanic", "--yes"], "'titanic' is a use case that Lifeboat ships"),
        (["mine", "--yes", "--data", "nothing.csv"], "nothing.csv: no such file"),
        (["mine", "--yes", "--label", "Fare", "--positive", "1"], "column Fare: holds 248 values: only of two"),
        (["mine"], "there is nobody to ask: --yes takes the guesses"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(tmp_path, arguments, sentence):
    done = init(tmp_path, *arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr.startswith("lifeboat: ")
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_true_or_false_is_shown_without_limits(tmp_path):
    path = tmp_path / "flags.csv"
    path.write_text("x,flag,y\n" + "".join(f"{row}.5,{row % 2 == 0},{row % 3 == 0}\n" for row in range(60)))
    shown = init(tmp_path, "flags", "--data", str(path), "--yes").stdout
    assert re.search(r"flag .* boolean *│", shown)
    assert re.search(r"x .* float: -?\d+.* to \d+", shown)


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.txt").write_text("own")
    done = init(tmp_path, "mine", "--yes")
    assert (done.returncode, "not empty" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "own.txt"]


def test_a_person_is_asked_and_a_wrong_answer_is_asked_again(tmp_path):
    child = pexpect.spawn(
        LIFEBOAT[0], [*LIFEBOAT[1:], "init", "asked"], cwd=str(tmp_path), timeout=60, encoding="utf-8"
    )
    for question, answer in (
        ("predicted", "Nobody"), ("is none of", "Survived"), ("class of Survived", "0"), ("names a row", ""),
    ):  # fmt: skip
        child.expect(question)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    usecase = load_usecase(str(tmp_path / "asked" / "src" / "asked"))
    assert (usecase.schema.label.classes, usecase.schema.id) == (("1", "0"), "PassengerId")


def test_moments_and_categories_are_features_and_say_what_is_assumed(tmp_path):
    lines = [f"2026-01-{row % 28 + 1:02d} {row % 24:02d}:00,city {row % 40},{row % 3 % 2}" for row in range(400)]
    (tmp_path / "rows.csv").write_text("\n".join(["at,city,y", *lines]) + "\n")
    assert init(tmp_path, "shop", "--data", "rows.csv", "--label", "y", "--yes").returncode == 0
    schema = (tmp_path / "shop" / "src" / "shop" / "schema.py").read_text()
    assert "# at: a time without its zone is of UTC unless a zone is declared." in schema
    assert 'Column("city", "category", max_length=64' in schema
    usecase = load_usecase(str(tmp_path / "shop" / "src" / "shop"))
    parts = {name: type(part).__name__ for name, part, _ in usecase.features().transformers}
    assert parts == {"moments": "DateParts", "codes": "CategoryCodes"}
