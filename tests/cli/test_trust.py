"""`lifeboat features accept`, `reject` and `conflicts`: whose word teaches and holds, decided on record."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from lifeboat.data.labelled.labelled_rows import write_labelled
from lifeboat.data.labelled.trust import read_conflicts, read_trust
from lifeboat.registry.storage import DirectoryStorage
from tests.cli.conftest import Lifeboat, Said
from tests.cli.test_features import truth
from tests.cli.test_serving import MODULE
from tests.server.world import ROW, TINY


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStorage:
    """Truths of a clinic, which is trusted, of a registry and of a stranger."""
    monkeypatch.setenv("LIFEBOAT_TRUSTED_SOURCES", "clinic,registry")
    storage = DirectoryStorage(home / "store")
    said = [("p0", 0, "clinic", 1), ("p0", 0, "registry", 0), ("p1", 1, "stranger", 1), ("p2", 2, "stranger", 0)]
    for puid, days, source, fate in said:
        row = truth(days, id=100 if days == 0 else 10 + days, __puid=puid, __source=source, fate=fate)
        row["__labelled_at"] += source < "d"
        write_labelled(storage, "tiny", TINY, [row])
    return storage


def test_a_store_whose_rows_are_all_kept_apart_is_not_called_empty(
    lifeboat: Lifeboat, store: DirectoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFEBOAT_TRUSTED_SOURCES", "none")
    for source in ("clinic", "registry", "stranger"):
        features(lifeboat, "reject", "--source", source)
    said = features(lifeboat).output
    assert "empty" not in said
    assert "teach         none: all 4 labelled rows are kept apart, and none of them teaches\n" in said
    assert "2 rows of stranger are rejected" in said
    sentence = features(lifeboat, "export", str(tmp_path / "rows.csv")).sentence
    assert "all 4 labelled rows are kept apart, and none of them teaches; " in sentence


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Ten passengers, of whom the last two survived, and of whom the stranger speaks."""
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*ROW, "id", "fate"])
        writer.writeheader()
        writer.writerows({**ROW, "age": number, "id": number, "fate": int(number > 10)} for number in range(3, 13))
    return str(path)


def features(lifeboat: Lifeboat, *words: str) -> Said:
    return lifeboat("features", "--usecase", MODULE, *words)


def shown(lifeboat: Lifeboat) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(features(lifeboat, "--json").output)
    return {name: found[name] for name in ("rows", "sources", "apart")}


def test_rows_wait_until_somebody_accepts_their_source(lifeboat: Lifeboat, store: DirectoryStorage) -> None:
    against = {"contradicted": {"clinic": 1}}
    assert shown(lifeboat) == {"rows": 1, "sources": {"registry": 1}, "apart": {"waiting": {"stranger": 2}} | against}
    assert "2 rows of stranger wait for somebody to accept them" in features(lifeboat).output
    said = features(lifeboat, "accept", "--source", "stranger", "--since", "2025-01-07", "--because", "asked  them")
    assert (
        said.output
        == "accepted stranger since 2025-01-07T23:59:59.999999Z: 0 of its 2 labelled rows teach from now on\n"
    )
    said = features(lifeboat, "accept", "--source", "stranger", "--since", "2025-01-07T00:00:00Z")
    assert "1 of its 2 labelled rows teach from now on" in said.output
    assert "2 of its 2" in features(lifeboat, "accept", "--source", "stranger").output
    assert shown(lifeboat) == {"rows": 3, "sources": {"registry": 1, "stranger": 2}, "apart": against}
    assert "0 of its 2" in features(lifeboat, "reject", "--source", "stranger").output
    assert shown(lifeboat)["apart"] == {"rejected": {"stranger": 2}} | against
    rulings = read_trust(store, "tiny", frozenset()).rulings
    assert [(one.source, one.accept, one.because) for one in rulings] == [
        ("stranger", True, "asked them"), ("stranger", True, ""), ("stranger", True, ""), ("stranger", False, ""),
    ]  # fmt: skip
    assert all("@" in one.by for one in rulings)


@pytest.mark.usefixtures("store")
def test_a_source_without_a_row_is_a_mistake(lifeboat: Lifeboat) -> None:
    said = features(lifeboat, "accept", "--source", "strangr").sentence
    assert said == ("no labelled row of tiny is by 'strangr'; sources: stranger (2), registry (1), clinic (1)")
    assert "501 characters" in features(lifeboat, "reject", "--source", "clinic", "--because", "x" * 501).sentence


def test_conflicts_are_shown_and_settled(lifeboat: Lifeboat, store: DirectoryStorage, table: str) -> None:
    features(lifeboat, "accept", "--source", "stranger")
    found = features(lifeboat, "conflicts", "--data", table)
    assert (found.code, found.errors) == (0, "")
    assert found.output.splitlines() == [
        "2 truths contradict the table or an earlier one of another source, and are kept apart:",
        "  p0:0: registry says died and holds, clinic survived (2025-01-05T12:00:01Z)",
        "  12: table says survived and holds, stranger died (2025-01-07T12:00:00Z)",
        "Settle with --settle ROW (or all) --keep table or a source's name.",
    ]
    assert read_conflicts(store, "tiny") == 2
    said = features(
        lifeboat, "conflicts", "--data", table, "--settle", "p0:0", "--keep", "clinic", "--because", "a slip"
    )
    assert said.output.startswith("settled 1 of 2 rows: the word of clinic holds\n1 truths contradict")
    assert shown(lifeboat)["sources"] == {"clinic": 1, "stranger": 2}
    said = features(lifeboat, "conflicts", "--data", table, "--settle", "all", "--keep", "table")
    assert said.output == "settled 1 of 1 rows: the word of table holds\nno conflicts\n"
    assert read_conflicts(store, "tiny") == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--settle", "12"), "--settle and --keep belong together"),
        (("--settle", "99", "--keep", "table"), "there is no conflict about '99'"),
        (("--settle", "12", "--keep", "registry"), "'registry' says nothing about 12: stranger or table may hold"),
        (("--settle", "12", "--keep", "stranger"), "12 stands in the table, which no truth replaces"),
        (("--settle", "all", "--keep", "nobody"), "'nobody' says nothing about any row in conflict"),
    ],
)
def test_what_cannot_be_settled_is_said(lifeboat: Lifeboat, table: str, words: tuple[str, ...], sentence: str) -> None:
    features(lifeboat, "accept", "--source", "stranger")
    assert features(lifeboat, "conflicts", "--data", table, *words).sentence.startswith(sentence)
