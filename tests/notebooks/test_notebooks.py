"""The notebooks: clean in the repository, and green from the first cell to the last.

Those that need a champion run in its home: tests/pipeline/test_titanic.py and test_live_notebook.py.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.kernel import NOTEBOOKS, execute
from tests.pipeline.laptop import Laptop

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def code(path: Path) -> str:
    """All of its code, without Jupyter's own commands."""
    lines = "\n".join("".join(cell["source"]) for cell in cells(path, "code")).split("\n")
    return "\n".join(line for line in lines if not line.startswith("%"))


def test_there_are_three() -> None:
    assert [path.name for path in FILES] == ["1-explore.ipynb", "2-train.ipynb", "3-live.ipynb"]


@each
def test_it_asks_one_question(path: Path) -> None:
    title = "".join(json.loads(path.read_text())["cells"][0]["source"]).split("\n")[0]
    assert re.fullmatch(r"# [A-Z][^?]+\?", title)


@each
def test_it_is_short_and_holds_no_output(path: Path) -> None:
    assert path.stat().st_size < 12_000
    assert len(cells(path, "code")) <= 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path, "code"))
    assert set(json.loads(path.read_text())["metadata"]) == {"kernelspec", "language_info"}


@each
def test_it_defines_no_logic(path: Path) -> None:
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try)
    tree = ast.parse(code(path))
    assert [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, logic)] == []
    assert any(isinstance(node, ast.ImportFrom) for node in tree.body)


@each
def test_it_names_no_place_of_one_machine(path: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(code(path)))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip
    assert texts
    assert [text for text in texts if re.match(r"[/~]\w|[A-Za-z]:\\", text) and not text.startswith("/api/")] == []


def test_explore_needs_no_run_and_leaves_no_trace(tmp_path: Path) -> None:
    fresh = Laptop(tmp_path / "home")
    shown = execute("1-explore.ipynb", fresh, tmp_path)
    assert shown.plots == 3
    assert "bytes of ONNX" in shown.text
    assert len(re.findall(r"trial \d/3: logistic regression", shown.text)) == 6
    assert shown.warnings == ""
    assert not fresh.home.exists()
