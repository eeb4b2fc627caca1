"""Whose rows teach, and whose word stands: settings, rulings and settlements, now and as of a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifeboat.config.errors import DataError, SettingsError
from lifeboat.config.sources import is_source, trusted_sources
from lifeboat.data.labelled.labelled_rows import LabelledRows, load_labelled, write_labelled
from lifeboat.data.labelled.trust import (
    Ruling,
    Settlement,
    Trust,
    read_conflicts,
    read_trust,
    write_conflicts,
    write_records,
)
from lifeboat.registry.storage import DirectoryStorage
from tests.data.labelled.cure import NOON, SCHEMA, row

CLINIC = frozenset({"clinic"})
BOTH = frozenset({"clinic", "registry"})


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "store")


def put(store: DirectoryStorage, *rows: tuple[str, str, int, float]) -> None:
    """Writes words: request, source, class, and seconds after noon."""
    for puid, source, cured, late in rows:
        said = row(__puid=puid, __source=source, cured=cured, __labelled_at=NOON + late)
        write_labelled(store, "cure", SCHEMA, [said])


def words(found: LabelledRows) -> list[tuple[Any, ...]]:
    return [(item["__puid"], item["__source"], item["cured"]) for item in found.table.to_pylist()]


def load(store: DirectoryStorage, trusted: frozenset[str] = CLINIC, until: float | None = None) -> LabelledRows:
    return load_labelled(store, "cure", SCHEMA, trusted=trusted, until=until)


def test_rows_of_sources_that_are_not_trusted_are_kept_and_counted_and_do_not_teach(store: DirectoryStorage) -> None:
    put(store, ("p", "clinic", 1, 0), ("q", "stranger", 1, 0), ("r", "stranger", 0, 0))
    found = load(store)
    assert words(found) == [("p", "clinic", 1)]
    assert (found.apart, found.sources) == ({"waiting": {"stranger": 2}}, {"clinic": 1})
    assert load(store, frozenset()).table.num_rows == 0


def test_a_part_from_before_sources_is_anonymous(store: DirectoryStorage) -> None:
    put(store, ("p", "anonymous", 1, 0))
    old = load(store, frozenset({"anonymous"})).table
    write_labelled(store, "cure", SCHEMA, [row(__puid="q", __source=None)])
    assert load(store, frozenset({"anonymous"})).sources == {"anonymous": 2}
    assert old.num_rows == 1
    assert load(store).apart == {"waiting": {"anonymous": 2}}


def test_an_untrusted_word_hinders_no_trusted_one(store: DirectoryStorage) -> None:
    put(store, ("p", "stranger", 0, 0), ("p", "clinic", 1, 9))
    found = load(store)
    assert (words(found), found.conflicts.num_rows) == ([("p", "clinic", 1)], 0)


def test_the_source_that_spoke_first_stands_also_when_it_corrects_itself(store: DirectoryStorage) -> None:
    put(store, ("p", "registry", 1, 0), ("p", "clinic", 0, 5))
    found = load(store, BOTH)
    assert (words(found), found.corrected, found.apart) == ([("p", "registry", 1)], 0, {"contradicted": {"clinic": 1}})
    put(store, ("p", "registry", 0, 9))
    found = load(store, BOTH)
    assert (words(found), found.corrected, found.apart) == ([("p", "registry", 0)], 1, {})
    put(store, ("p", "clinic", 1, 12), ("p", "registry", 1, 15), ("p", "clinic", 0, 20))
    found = load(store, BOTH)
    assert (words(found), found.conflicts["cured"].to_pylist()) == ([("p", "registry", 1)], [0])


def test_a_settlement_says_whose_word_holds(store: DirectoryStorage) -> None:
    put(store, ("p", "registry", 1, 0), ("p", "clinic", 0, 5), ("q", "registry", 1, 0), ("q", "clinic", 0, 5))
    write_records(store, "cure", [Settlement("p:0", "clinic", NOON + 10, "me@here", "asked them")])
    found = load(store, BOTH)
    assert words(found) == [("p", "clinic", 0), ("q", "registry", 1)]
    assert found.conflicts["__puid"].to_pylist() == ["q"]
    before = load(store, BOTH, until=NOON + 9)
    assert (words(before)[0], before.conflicts.num_rows) == (("p", "registry", 1), 2)


def test_accepted_rows_teach_and_those_that_come_later_wait(store: DirectoryStorage) -> None:
    put(store, ("p", "stranger", 1, 0), ("q", "stranger", 1, 10), ("r", "stranger", 1, 30))
    write_records(store, "cure", [Ruling("stranger", accept=True, at=NOON + 20)])
    found = load(store)
    assert ([puid for puid, *_ in words(found)], found.apart) == (["p", "q"], {"waiting": {"stranger": 1}})
    assert load(store, until=NOON + 19).table.num_rows == 0
    write_records(store, "cure", [Ruling("stranger", accept=True, at=NOON + 40, since=NOON + 30)])
    assert load(store).apart == {}


def test_a_rejected_source_is_out_of_every_later_run_until_it_is_accepted_again(store: DirectoryStorage) -> None:
    put(store, ("p", "clinic", 1, 0), ("q", "clinic", 1, 10), ("r", "clinic", 1, 30))
    write_records(store, "cure", [Ruling("clinic", accept=False, at=NOON + 20, since=NOON + 5)])
    found = load(store)
    assert ([puid for puid, *_ in words(found)], found.apart) == (["p"], {"rejected": {"clinic": 2}})
    write_records(store, "cure", [Ruling("clinic", accept=True, at=NOON + 40, since=NOON + 20)])
    put(store, ("s", "clinic", 1, 50))
    found = load(store)
    assert ([puid for puid, *_ in words(found)], found.apart) == (["p", "r", "s"], {"rejected": {"clinic": 1}})


def test_standing_is_that_of_the_definition() -> None:
    """Against a plain loop: the last ruling that covers a row decides, a rejection until the next on its source."""
    random = np.random.default_rng(3)
    for _ in range(200):
        rulings = tuple(
            Ruling(f"s{random.integers(2)}", bool(random.integers(2)), float(at), float(random.integers(0, at + 1)))
            for at in np.sort(random.choice(50, 4, replace=False))
        )
        sources = np.array([f"s{n}" for n in random.integers(3, size=30)], dtype=object)
        times = random.integers(60, size=30).astype(float)
        found = Trust(frozenset({"s2", "s0"}), rulings).standing(sources, times)
        for source, time, standing in zip(sources, times, found, strict=True):
            expected = "trusted" if source in ("s0", "s2") else "waiting"
            own = [one for one in rulings if one.source == source]
            for number, one in enumerate(own):
                until = one.at if one.accept else own[number + 1].at if number + 1 < len(own) else np.inf
                if one.since <= time <= until:
                    expected = "trusted" if one.accept else "rejected"
            assert standing == expected


def test_the_record_is_kept_by_use_case_and_refuses_what_is_none(store: DirectoryStorage, tmp_path: Path) -> None:
    write_records(store, "cure", [Ruling("clinic", accept=True, at=NOON), Settlement("7", "table", NOON)])
    assert read_trust(store, "other", CLINIC) == Trust(CLINIC)
    found = read_trust(store, "cure", CLINIC)
    assert (len(found.rulings), found.kept) == (1, {"7": "table"})
    (tmp_path / "bad").write_text('{"source": "clinic"}')
    store.upload(tmp_path / "bad", "trust/cure/bad.json")
    with pytest.raises(DataError, match=r"trust/cure/bad\.json: is no record of a decision"):
        read_trust(store, "cure", CLINIC)


def test_how_many_conflicts_there_are_is_noted(store: DirectoryStorage) -> None:
    assert read_conflicts(store, "cure") == 0
    write_conflicts(store, "cure", 7)
    assert (read_conflicts(store, "cure"), read_trust(store, "cure", CLINIC)) == (7, Trust(CLINIC))


@pytest.mark.parametrize(
    ("said", "private", "names"),
    [
        ("", True, {"anonymous"}),
        ("", False, set()),
        ("none", True, set()),
        (" clinic, bank.example ,", True, None),
        ("clinic,bank", False, {"clinic", "bank"}),
        ("anonymous", False, {"anonymous"}),
        ("a\nb", True, None),
        ("table", True, None),
    ],
)
def test_who_is_trusted_by_the_settings(said: str, private: bool, names: set[str] | None) -> None:
    if names is None:
        with pytest.raises(SettingsError, match="trusted_sources has "):
            trusted_sources(said, private=private)
    else:
        assert trusted_sources(said, private=private) == names


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "none", "table"])
def test_what_no_source_can_be_called(name: str) -> None:
    assert not is_source(name)
