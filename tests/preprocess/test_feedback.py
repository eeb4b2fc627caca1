import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lifeboat.config.errors import SettingsError, StorageError
from lifeboat.config.pseudonyms import Pseudonyms
from lifeboat.data.labelled.labelled_rows import no_rows, write_labelled
from lifeboat.data.split import group_names, hold_out
from lifeboat.data.table import check_table
from lifeboat.preprocess import component
from lifeboat.preprocess.feedback import Feedback
from lifeboat.preprocess.holdout import split_holdout
from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import preprocess, read_summary
from lifeboat.registry.storage import S3, open_storage
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import load_usecase
from tests.preprocess.world import SCHEMA, make_usecase, outputs, quiet, rows, write

# Of the world's schema, but that no row of the table need say whose it is.
NAMELESS = replace(SCHEMA, keys=(Column("id", "integer", nullable=True, minimum=1), SCHEMA.keys[1]))


def fed(number, *, usecase_row=None, **change):
    """A labelled row; `number` is its request, and the order in which truths came."""
    plain = usecase_row or {"id": None, "family": None, "dose": 7.5, "sex": "f", "note": "n", "cured": 1}
    hidden = {"__puid": f"p{number}", "__row": 0, "__version": "1", "__score": 0.5, "__source": "anonymous"}
    return plain | hidden | {"__predicted_at": 1000.0 + number, "__labelled_at": 2000.0 + number} | change


def store_of(folder, *parts):
    store = open_storage(str(folder), S3())
    for part in parts:
        if part:
            write_labelled(store, "cure", SCHEMA, part)
    return store


def run(tmp_path, labelled, table=None, usecase=None, say=quiet):
    source = write(tmp_path / "rows.csv", table or rows())
    out = outputs(tmp_path / "out")
    return preprocess(usecase or make_usecase(), source, out, labelled=labelled, say=say), out


def both(out):
    return pa.concat_tables([pq.read_table(out.train), pq.read_table(out.test)])


def test_an_empty_store_changes_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    source = write(tmp_path / "rows.csv", rows())
    without = preprocess(make_usecase(), source, outputs(tmp_path / "a"), say=quiet)
    said = []
    empty = open_storage(str(tmp_path / "none"), S3())
    assert preprocess(make_usecase(), source, outputs(tmp_path / "b"), labelled=empty, say=said.append) == without
    assert not [line for line in said if "feedback" in line or "withheld" in line]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_labelled_rows_are_added_and_counted(tmp_path):
    said = []
    new = [fed(n, id=100 + n, family=f"N{n}", dose=50.5) for n in range(40)]
    summary, out = run(tmp_path, store_of(tmp_path / "store", new[:25], new[25:]), say=said.append)
    assert (summary.rows, summary.labelled, summary.replaced, summary.duplicates) == (60, 40, 0, 0)
    assert summary.train + summary.test == 100
    assert read_summary(out.test) == summary
    table = both(out)
    times = dict(zip(table["id"].to_pylist(), table[TIME].to_pylist(), strict=True))
    assert times[105] == 1005.0
    assert np.isnan(times[5])
    assert "read 40 labelled rows from feedback, 0 break the schema" in said
    assert "0 rows from feedback are older ones of an id, 0 withheld" in said
    assert "labelled rows from feedback" in out.profile.read_text()


def test_the_digest_is_that_of_table_and_feedback(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    one, two = [fed(1, id=101, family="N")], [fed(2, id=102, family="N")]
    alone, _ = run(tmp_path / "a", None)
    first, _ = run(tmp_path / "b", store_of(tmp_path / "s1", one, two))
    again, _ = run(tmp_path / "c", store_of(tmp_path / "s2", two, one))
    other, _ = run(tmp_path / "d", store_of(tmp_path / "s3", one))
    assert first.digest == again.digest
    assert len({alone.digest, first.digest, other.digest}) == 3


def test_the_newest_prediction_of_an_id_wins(tmp_path):
    person = rows()[4] | {"id": 500, "family": "N"}
    later = fed(1, usecase_row=person | {"dose": 33.5}, __predicted_at=500.0)
    latest = fed(2, usecase_row=person | {"dose": 44.5}, __predicted_at=600.0)
    summary, out = run(tmp_path, store_of(tmp_path / "store", [latest, later]))
    found = both(out).filter(pc.equal(both(out)["id"], 500)).to_pylist()
    assert [(row["dose"], row[TIME]) for row in found] == [(44.5, 600.0)]
    assert (summary.replaced, summary.duplicates) == (1, 0)


def test_a_row_of_the_table_is_never_replaced(tmp_path):
    table = rows()
    again, moved = fed(1, usecase_row=table[4]), fed(2, usecase_row=table[5] | {"dose": 33.5})
    against = fed(3, usecase_row=table[6] | {"cured": 1 - table[6]["cured"]})
    said = []
    (tmp_path / "alone").mkdir()
    summary, out = run(tmp_path, store_of(tmp_path / "store", [again, moved, against]), table, say=said.append)
    alone, before = run(tmp_path / "alone", None, table)
    for name in both(before).drop_columns([TIME]).column_names:
        assert both(out)[name].equals(both(before)[name])
    assert np.isnan(both(out)[TIME].to_numpy()).all()
    assert (summary.duplicates, summary.replaced, summary.conflicts) == (1, 1, 1)
    assert "warning: 1 truths contradict the table or another source: lifeboat features conflicts shows them" in said
    assert (alone.conflicts, summary.test) == (0, alone.test)


def test_a_row_without_keys_is_itself_and_of_the_family_with_the_same_inputs(tmp_path):
    table = rows(48)  # no dose occurs twice
    nobody = table[4] | {"id": None, "family": None, "cured": 1 - table[4]["cured"]}
    summary, out = run(tmp_path, store_of(tmp_path / "store", [fed(1, usecase_row=nobody)]), table)
    everybody = both(out)
    curated = everybody.filter(pc.equal(everybody["id"], 5)).to_pylist()
    assert [(row["family"], row["cured"]) for row in curated] == [("F2", table[4]["cured"])]
    [own] = everybody.filter(pc.is_null(everybody["id"])).to_pylist()
    assert (own["family"], own["cured"], own[TIME]) == ("F2", nobody["cured"], 1001.0)
    assert (summary.replaced, summary.duplicates, summary.train + summary.test) == (0, 0, 49)


def test_predictions_without_an_id_are_counted_once_each_however_alike_they_are(tmp_path):
    schema = replace(SCHEMA, keys=(), id=None, group=None)
    store = open_storage(str(tmp_path / "store"), S3())
    for number in range(3):
        write_labelled(store, "cure", schema, [_bare(fed(number, usecase_row=rows()[4]))])
    summary, _ = run(tmp_path, store, [_bare(row) for row in rows()], make_usecase(schema))
    assert (summary.duplicates, summary.replaced, summary.train + summary.test) == (0, 0, 63)


def _bare(row):
    return {name: cell for name, cell in row.items() if name not in ("id", "family")}


def test_inputs_that_several_entities_share_tell_a_family_and_nobodys_id(tmp_path):
    table = [*rows(), *({"id": n, "family": "T", "dose": 99, "sex": "m", "note": "", "cured": 0} for n in (801, 802))]
    nobody = {"id": None, "family": None, "dose": 99, "sex": "m", "note": None, "cured": 1}
    summary, out = run(tmp_path, store_of(tmp_path / "store", [fed(1, usecase_row=nobody)]), table)
    found = [(row["id"], row["cured"]) for row in both(out).to_pylist() if row["family"] == "T"]
    assert found == [(801, 0), (802, 0), (None, 1)]
    assert summary.replaced == 0


def test_broken_rows_go_to_the_quarantine_under_their_request(tmp_path):
    """The schema has become stricter since."""
    stricter = replace(SCHEMA, columns=(Column("dose", "float", nullable=True, maximum=60), *SCHEMA.columns[1:]))
    table = rows()
    table[3] |= {"sex": "x"}
    new = [fed(n, id=100 + n, family=f"N{n}", dose=50 + n) for n in range(20)]
    summary, out = run(tmp_path, store_of(tmp_path / "store", new), table, make_usecase(stricter))
    assert (summary.quarantined, summary.labelled, summary.train + summary.test) == (10, 20, 70)
    with out.quarantine.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["row"], row["id"], row["__puid"]) for row in found[:2]] == [("4", "4", ""), ("", "111", "p11")]
    assert found[1]["reason"] == "column dose: 61 is outside -3.40282e+38 to 60"
    assert found[1]["dose"] == "61"


def test_a_part_that_cannot_be_used_is_said_counted_and_shown(tmp_path):
    store = store_of(tmp_path / "store", [fed(1, id=101, family="N")])
    (tmp_path / "bad").write_bytes(b"no Parquet")
    store.upload(tmp_path / "bad", "labelled/cure/date=2026-01-01/bad.parquet")
    said = []
    summary, out = run(tmp_path, store, say=said.append)
    assert list(summary.refused) == ["labelled/cure/date=2026-01-01/bad.parquet"]
    assert summary.labelled == 1
    assert said[1].startswith("left out labelled/cure/date=2026-01-01/bad.parquet: is not a readable Parquet file")
    assert "date=2026-01-01/bad.parquet" in out.profile.read_text()
    assert json.loads(pq.read_schema(out.train).metadata[b"lifeboat"])["refused"] == summary.refused


def test_a_store_that_cannot_be_read_ends_the_step(tmp_path):
    dead = open_storage("s3://bucket", S3("http://127.0.0.1:9", "a", "b", "us-east-1"))
    with pytest.raises(StorageError, match="does not answer"):
        run(tmp_path, dead)


@pytest.mark.parametrize(("labelled", "count"), [(True, 1), (False, 0)])
def test_the_component_takes_the_labelled_rows_of_the_store_unless_told(tmp_path, monkeypatch, labelled, count):
    usecase = load_usecase("titanic")
    row = {column.name: column.sample for column in usecase.schema.columns} | {"PassengerId": 9001, "Ticket": "T"}
    new = fed(1, usecase_row=row | {"Survived": 1})
    write_labelled(open_storage(str(tmp_path / "store"), S3()), "titanic", usecase.schema, [new])
    monkeypatch.setenv("LIFEBOAT_STORE", str(tmp_path / "store"))
    parts = [SimpleNamespace(path=str(tmp_path / name), metadata={}) for name in ("train", "test", "broken", "page")]
    component.preprocess.python_func("titanic", "", labelled, *parts)
    assert parts[0].metadata["labelled"] == read_summary(tmp_path / "test").labelled == count
    assert parts[0].metadata["train"] + parts[0].metadata["test"] == 891 + count


def test_feedback_moves_no_row_of_the_table(tmp_path):
    """Six hundred rows of new families, all of one class, which would shift the cut of a stratum."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    table = [row | {"cured": row["id"] % 2} for row in rows(600)]
    new = [fed(n, id=10_000 + n, family=f"N{n}", dose=0.5) for n in range(600)]
    _, alone = run(tmp_path / "a", None, table)
    summary, grown = run(tmp_path / "b", store_of(tmp_path / "store", new), table)
    before = set(pq.read_table(alone.test)["id"].to_pylist())
    after = {number for number in pq.read_table(grown.test)["id"].to_pylist() if number <= 600}
    assert before == after
    assert summary.test - len(after) == pytest.approx(120, abs=30)


# Few values, so that ids, families and inputs meet in every way.
CELLS = st.fixed_dictionaries({"dose": st.sampled_from((1.0, 2.0, None)), "sex": st.sampled_from(("f", "m"))})
FAMILIES = st.sampled_from((None, "A", "B", "C"))
KEYS = st.fixed_dictionaries({"id": st.one_of(st.none(), st.integers(1, 6)), "family": FAMILIES})
LABELS = st.fixed_dictionaries({"note": st.just("n"), "cured": st.integers(0, 1)})
ROW = st.tuples(CELLS, KEYS, LABELS).map(lambda parts: parts[1] | parts[0] | parts[2])
TABLE = st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: row["id"] or id(row))
FED = st.lists(st.tuples(ROW, st.floats(0, 9)), max_size=8)


def divided(table, fed_rows, salt):
    names = [column.name for column in (*NAMELESS.columns, *NAMELESS.keys)] + ["cured"]
    raw = pa.table({name: pa.array([row[name] for row in table]) for name in names})
    base = check_table(raw, NAMELESS, labelled=True, name="t").good
    base = base.group_by(base.column_names, use_threads=False).aggregate([])
    usecase = make_usecase(NAMELESS)
    usecase = replace(usecase, split=replace(usecase.split, salt=str(salt), test=0.5))
    kinds = no_rows(NAMELESS).table.schema
    part = [fed(n, usecase_row=row, __predicted_at=time) for n, (row, time) in enumerate(fed_rows)]
    found = replace(no_rows(NAMELESS), table=pa.Table.from_pylist(part, kinds))
    feedback = Feedback(found, check_table(found.table.select([*names]), NAMELESS, labelled=True, name="f"))
    alone = hold_out(group_names(base, NAMELESS), base["cured"].to_numpy(), share=0.5, salt=str(salt))
    return base, alone, split_holdout(base, feedback, usecase)


def described(parts):
    """Of each row: group's name, given keys, inputs, whether from feedback, whether held out."""
    names = group_names(parts.rows, NAMELESS)
    cells = [str((row["dose"], row["sex"])) for row in parts.rows.to_pylist()]
    times = parts.rows[TIME].to_pylist()
    keys = [
        {("id", row["id"]), ("family", row["family"])} - {("id", None), ("family", "")}
        for row in parts.rows.to_pylist()
    ]
    return list(zip(names, keys, cells, [time == time for time in times], parts.holdout.test.tolist(), strict=True))


def alike(one, other):
    """Whether two rows may be one entity: a key in common, or the same inputs unless both say who they are."""
    (name, keys, cells, _, _), (name2, keys2, cells2, _, _) = one, other
    return bool(keys & keys2) or name == name2 or (cells == cells2 and not (keys and keys2))


@hypothesis_settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(TABLE, FED, st.integers(0, 5))
def test_no_entity_is_on_both_sides(table, fed_rows, salt):
    base, alone, parts = divided(table, fed_rows, salt)
    found = described(parts)
    for one in found:
        for other in found:
            if one[4] and not other[4] and (one[3] or other[3]):
                assert not alike(one, other)
    ids = [number for number in parts.rows["id"].to_pylist() if number is not None]
    assert len(ids) == len(set(ids))
    assert base.num_rows + len(fed_rows) == (
        parts.rows.num_rows + parts.duplicates + parts.replaced + parts.conflicts.num_rows + parts.withheld
    )
    sides = dict(zip(group_names(base, NAMELESS), alone.test.tolist(), strict=True))
    assert all(test == sides[name] for name, _, _, _, test in found if name in sides)
    assert all(name in sides for name, _, _, is_fed, _ in found if not is_fed)


@pytest.mark.slow
@hypothesis_settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(TABLE, FED, st.integers(0, 8), st.integers(0, 5))
def test_no_entity_changes_sides_when_more_feedback_comes(table, fed_rows, count, salt):
    """So a champion is never judged on a row that it was trained on."""
    _, _, first = divided(table, fed_rows[:count], salt)
    _, _, second = divided(table, fed_rows, salt)
    assert first.split == second.split
    for one in described(first):
        for other in described(second):
            if one[4] != other[4] and (one[3] or other[3]):
                assert not alike(one, other)


PERSONAL = replace(SCHEMA, keys=(SCHEMA.keys[0], replace(SCHEMA.keys[1], personal=True, example="F")))


def fed_pseudonyms(tmp_path, names):
    """A store of what a detector with a key keeps: no family by its name."""
    store = open_storage(str(tmp_path / "store"), S3())
    part = [fed(n, family=names.of("family", family), dose=50.5 + n) for n, family in enumerate(("F3", "F3", "new"))]
    write_labelled(store, "cure", PERSONAL, part)
    return store


def test_rows_of_a_pseudonym_are_of_the_group_that_the_table_has_by_name(tmp_path):
    names = Pseudonyms(b"k" * 32)
    source, out = write(tmp_path / "rows.csv", rows()), outputs(tmp_path / "out")
    store = fed_pseudonyms(tmp_path, names)
    preprocess(make_usecase(PERSONAL), source, out, labelled=store, pseudonyms=names, say=quiet)
    sides = [pq.read_table(path) for path in (out.train, out.test)]
    families = [set(side["family"].to_pylist()) for side in sides]
    assert not families[0] & families[1]
    together = both(out)
    assert together["family"].to_pylist().count("F3") == 4
    assert names.of("family", "new") in together["family"].to_pylist()
    assert "new" not in together["family"].to_pylist()


def test_without_the_key_of_pseudonyms_no_run_guesses_whose_they_are(tmp_path):
    source, out = write(tmp_path / "rows.csv", rows()), outputs(tmp_path / "out")
    store = fed_pseudonyms(tmp_path, Pseudonyms(b"k" * 32))
    with pytest.raises(SettingsError, match="labelled rows have pseudonyms of family.*: give personal_key"):
        preprocess(make_usecase(PERSONAL), source, out, labelled=store, say=quiet)
