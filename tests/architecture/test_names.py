"""One word for one concept: what was renamed to the field's term does not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_imports import ROOT, ROOTS, short, sources, tree

# Of modules: each has a better name, or was two concepts.
MODULES = {
    "aside": "large_requests", "child": "test_client, run_process", "circle": "driver", "columns": "row_parser",
    "content": "card_text", "conversation": "control_session", "divide": "holdout", "ending": "sigterm",
    "fold": "processor", "folder": "worker", "gone": "tombstones",
    "guard": "policy", "halves": "request_joiner", "held": "pending", "hold": "lease", "intake": "ingest",
    "judge": "drift_test", "judge_process": "test_process", "judging": "scheduler, analysis", "kept": "candidate_cache",
    "labelled": "labelled_rows", "latest": "point_in_time", "live": "performance", "message": "http_types",
    "moment": "timestamps", "payload": "body", "place": "runtime_dir", "post": "http_client",
    "reasons": "diagnostics", "reply": "notifier", "rule": "window_policy", "seen": "dedup", "truths": "labels",
    "turns": "time_slicer", "watching": "analysis", "world": "simulation",
}  # fmt: skip
# Of classes and functions: words that say nothing to a newcomer, or named several things.
WORDS = {
    "bury": "reap", "circle": "loop", "conversation": "session", "divide": "split",
    "gone": "tombstone", "guard": "policy", "halves": "joiner", "intake": "ingest", "judging": "scheduler",
    "twins": "contradicting", "unpiled": "uncumulated", "wish": "request", "world": "simulation",
}  # fmt: skip
# Names of several things need a qualifier.
BARE = {"Event", "Fold", "Judge", "Place", "Timeline", "Metrics", "State", "Rule", "Hold", "World"}
# `Settings` alone are those of the steps and the command line, `Version` is a model's.
ONE_OF = {"Settings", "Version", "Plan", "Service"}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def definitions() -> Iterator[tuple[str, str]]:
    """Each class and function, with where it is."""
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, f"{short(path)}:{node.lineno}"


@pytest.mark.parametrize("root", ROOTS)
def test_no_module_has_a_retired_name(root: str) -> None:
    names = {path: path.stem for path in (ROOT / root / "lifeboat").rglob("*.py")}
    assert {short(path): MODULES[name] for path, name in names.items() if name in MODULES} == {}


def test_no_class_or_function_has_a_retired_word() -> None:
    found = {
        f"{where} {name}": WORDS[word.lower()]
        for name, where in definitions()
        for word in WORD.findall(name)
        if word.lower() in WORDS
    }
    assert found == {}


def test_a_name_that_was_of_several_things_has_a_qualifier() -> None:
    classes = [(name, where) for name, where in definitions() if name[:1].isupper()]
    assert [entry for entry in classes if entry[0] in BARE] == []
    for name in ONE_OF:
        assert len([where for found, where in classes if found == name]) <= 1, name


def test_the_sources_are_there() -> None:
    assert len(list(definitions())) > 1000
    assert all(Path(ROOT / root / "lifeboat").is_dir() for root in ROOTS)
