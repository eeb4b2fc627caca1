"""A use case is small, and nothing else knows about it."""

import ast
from pathlib import Path

import pytest

from lifeboat.registry.storage import S3, local_copy
from lifeboat.usecase.importing import list_usecases
from lifeboat.usecase.usecase import load_usecase

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("sex", "pclass", "survived", "ticket", "cabin", "passengerid", "mean radius")
# The command line may name the first use case as its default and its example.
NAMES = ("titanic", "passenger", "breast", "penguin", "flights")


def lines(*folders: str) -> int:
    return sum(len(path.read_text().splitlines()) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_the_first_use_case_is_short():
    assert 0 < lines("components/lifeboat/usecases/titanic") < 200


def test_the_others_are_shorter():
    assert 0 < len((ROOT / "tests/usecases/breast_cancer.py").read_text().splitlines()) < 60
    assert 0 < lines("components/lifeboat/usecases/penguins") < 80
    assert 0 < lines("components/lifeboat/usecases/flights") < 120


def texts(path: Path) -> list[str]:
    """Strings and names in a source, without comments and docstrings; the whole of another file."""
    if path.suffix != ".py":
        return [path.read_text(encoding="utf-8").lower()]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in bare]
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return [text.lower() for text in (*strings, *names) if isinstance(text, str)]


@pytest.mark.parametrize("folder", ["components", "serving", "pipelines"])
def test_the_platform_names_no_use_case(folder):
    paths = [
        path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".j2") and "usecases" not in path.parts
    ]
    assert paths
    names = () if folder == "pipelines" else NAMES
    found = [
        f"{path.relative_to(ROOT)}: {text[:60]}"
        for path in paths
        for text in texts(path)
        if text in COLUMNS or any(name in text for name in names)
    ]
    assert not found, "\n".join(found)


def test_every_shipped_use_case_loads_with_data_in_its_own_folder_or_in_a_package(tmp_path):
    for name in list_usecases():
        usecase = load_usecase(name)
        with local_copy(str(usecase.data), S3(), tmp_path) as path:
            assert path.is_file()
        folder = ROOT / "components" / "lifeboat" / "usecases" / name
        assert str(usecase.data).startswith("package://") or Path(usecase.data).is_relative_to(folder)
