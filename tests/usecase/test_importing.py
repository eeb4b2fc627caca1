"""A use case is found by name, by module and by path, and its source has a digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.config.errors import UseCaseError
from lifeboat.usecase.importing import as_path, import_reference, own_digest, source_digest, source_folder
from lifeboat.usecase.usecase import load_usecase
from tests.modules import forgotten

USECASE = """
from dataclasses import replace
from lifeboat.usecase.usecase import load_usecase
from {helper} import NAME
USECASE = replace(load_usecase("titanic"), name=NAME)
"""


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path) -> Iterator[None]:
    with forgotten(tmp_path):
        yield


def written(folder: Path, helper: str = ".helper", name: str = "ferry") -> Path:
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text(f"NAME = {name!r}\n")
    (folder / "__init__.py").write_text(USECASE.format(helper=helper))
    return folder


def test_a_folder_anywhere_is_a_use_case(tmp_path: Path) -> None:
    folder = written(tmp_path / "a folder" / "ferries")
    assert load_usecase(str(folder)).name == "ferry"
    assert source_folder(import_reference(str(folder))) == folder


def test_somebodys_module_is_found_under_the_name_of_a_shipped_use_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "penguins")
    assert load_usecase("penguins").name == "penguins"
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_usecase("penguins").name == "ferry"
    assert load_usecase("lifeboat.usecases.penguins").name == "penguins"


def test_a_folder_inside_a_package_may_import_from_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "company" / "models" / "ferries", helper="..shared")
    (tmp_path / "company" / "models" / "shared.py").write_text("NAME = 'shared'\n")
    for package in (tmp_path / "company", tmp_path / "company" / "models"):
        (package / "__init__.py").touch()
    assert load_usecase(str(folder)).name == "shared"
    assert import_reference(str(folder)).__name__ == "company.models.ferries"


def test_a_single_file_is_a_use_case_with_the_modules_beside_it(tmp_path: Path) -> None:
    written(tmp_path / "ferries", helper="helper")
    file = tmp_path / "ferries" / "boats.py"
    (tmp_path / "ferries" / "__init__.py").rename(file)
    assert load_usecase(str(file)).name == "ferry"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("{}/none", "none is no folder and no file: a use case is a folder with an __init__.py that holds a USECASE"),
        ("{}/empty", "empty has no __init__.py: a use case is a folder"),
        ("{}/my-boats", "my-boats is no name of a Python module: rename the folder"),
        ("{}/json", "the name json is already that of "),
        ("{}/broken", "broken cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_path_that_is_no_use_case_says_why(tmp_path: Path, reference: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("my-boats", "json"):
        written(tmp_path / name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("1 / 0\n")
    with pytest.raises(UseCaseError) as error:
        load_usecase(reference.format(tmp_path))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_is_no_path_and_a_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_path("titanic") is None
    assert as_path("tests.usecases.breast_cancer") is None
    assert as_path("./boats") == tmp_path / "boats"
    assert as_path("boats.py") == tmp_path / "boats.py"


def test_a_digest_changes_with_every_line_of_the_source_and_with_nothing_else(tmp_path: Path) -> None:
    module = import_reference(str(written(tmp_path / "ferries")))
    own, whole = own_digest(module), source_digest(module)
    (tmp_path / "ferries" / "notes.txt").write_text("no source")
    assert (own_digest(module), source_digest(module)) == (own, whole)
    (tmp_path / "ferries" / "helper.py").write_text("NAME = 'ferry'  # renamed\n")
    assert own_digest(module) != own
    assert source_digest(module) != whole
