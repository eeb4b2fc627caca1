import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import BundleError, DataError, GateError
from lifeboat.evaluate.card import model_card
from lifeboat.evaluate.heldout import baseline_answers
from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.usecase.gates import AtLeast, AtMost, BeatsBaseline, BeatsChampion, NoSliceWorse
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.usecase import Slice
from tests.evaluate.world import BASELINE, SCHEMA_OF_ALL, TRUTH, make_bundle, make_usecase, quiet, rows, write_rows

BLIND = {"dose": 1.0}


def judged(tmp_path, columns=None, *, champion=None, usecase=None, challenger=None, **options):
    test = write_rows(tmp_path / "test.parquet", columns)
    challenger = challenger or make_bundle(tmp_path / "challenger")
    return evaluate(usecase or make_usecase(), challenger, test, champion=champion, say=quiet, **options)


def test_a_first_model_is_held_against_bounds_and_baseline(tmp_path):
    usecase = make_usecase(
        AtLeast("roc_auc", 0.7),
        AtMost("latency_p50_us", 1e6),
        BeatsBaseline("log_loss"),
        BeatsChampion("roc_auc"),
        NoSliceWorse(),
        slices=(Slice("sex"), Slice("age", edges=(16, 40))),
    )
    found = judged(tmp_path, usecase=usecase)
    assert found.verdict.passed
    assert found.champion is None
    assert found.evidence.champion is None
    assert set(found.metrics) == {*found.baseline, "latency_p50_us", "latency_p99_us"}
    assert found.metrics["roc_auc"].value > found.baseline["roc_auc"].value
    assert sum(map(sum, found.details.confusion)) == found.rows == 400
    assert [part.name for part in found.slices] == [
        "sex = female",
        "sex = male",
        "sex missing",
        "age under 16",
        "age 16 to 40",
        "age 40 and over",
        "age missing",
    ]
    assert found.data.nulls["age"] > 0
    assert found.data.nulls["skill"] == 0


def test_the_same_seed_gives_the_same_figures(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    once, again = judged(tmp_path / "a", seed=3), judged(tmp_path / "b", seed=3)
    assert once.evidence.baseline == again.evidence.baseline
    assert once.verdict.bundle == again.verdict.bundle


def test_a_better_challenger_is_promoted(tmp_path):
    found = judged(tmp_path, champion=make_bundle(tmp_path / "champion", BLIND))
    assert found.verdict.passed
    assert found.champion["log_loss"].value > found.metrics["log_loss"].value
    assert found.evidence.champion.improvement["log_loss"].low > 0


def test_a_worse_challenger_is_not_and_the_verdict_names_both(tmp_path):
    champion, challenger = make_bundle(tmp_path / "champion"), make_bundle(tmp_path / "blind", BLIND)
    found = judged(tmp_path, champion=champion, challenger=challenger)
    assert not found.verdict.passed
    assert (found.verdict.bundle, found.verdict.champion) == (challenger.digest, champion.digest)


def test_a_model_that_answers_as_the_champion_does_lacks_evidence(tmp_path):
    found = judged(tmp_path, champion=make_bundle(tmp_path / "champion"))
    assert found.verdict.reasons == [
        (
            "log_loss beats the champion: not enough evidence: the models disagree on 0 of 400 rows; "
            "there is no gain that more rows could confirm"
        )
    ]


def test_the_champion_itself_is_recognised_by_its_digest(tmp_path):
    bundle = make_bundle(tmp_path / "one")
    found = judged(tmp_path, champion=bundle, challenger=bundle)
    assert found.evidence.identical
    assert "the same bundle digest" in found.verdict.reasons[0]


def test_rows_the_champion_trained_on_are_left_out(tmp_path):
    columns = rows(400)
    champion = make_bundle(tmp_path / "champion", BLIND, split={"salt": "s", "below": 0.1})
    found = judged(tmp_path, columns, champion=champion, usecase=make_usecase(slices=(Slice("sex"),)))
    fair = columns["__holdout"] < 0.1
    assert found.evidence.champion.rows == fair.sum() < 400
    women = fair & (columns["sex"] == "female")
    assert found.evidence.champion.slices["sex = female"].rows == women.sum()
    assert found.rows == 400


def test_rows_beyond_the_champions_limit_cannot_flatter_it(tmp_path):
    columns = rows(400)
    seen = columns["__holdout"] >= 0.1
    # The champion knows the rows it trained on by heart, through a column that says nothing of the others.
    columns["dose"] = np.where(seen, 20.0 * columns["cured"] - 10, 0).astype(np.float32)
    champion = make_bundle(tmp_path / "champion", BLIND, split={"salt": "s", "below": 0.1})
    assert judged(tmp_path, columns, champion=champion).verdict.passed


def test_models_of_the_same_split_of_the_same_table_are_compared_on_all_rows(tmp_path):
    """Whatever came from feedback besides, and wherever each one's lowest training row stands."""
    columns = rows(400)
    columns["__holdout"] *= 1.5
    split = {"salt": "s", "below": 0.2, "share": 0.2, "table": "digest"}
    challenger = make_bundle(tmp_path / "challenger", split=split)
    below = int((columns["__holdout"] < 0.2).sum())

    def compared(name, challenger=challenger, **change):
        champion = make_bundle(tmp_path / name, BLIND, split=split | change)
        return judged(tmp_path, columns, challenger=challenger, champion=champion).evidence.champion.rows

    assert compared("same") == compared("other limit", below=0.21) == 400
    assert compared("other table", table="another") == compared("other share", share=0.3) == below
    old = [make_bundle(tmp_path / name, BLIND) for name in ("first", "second")]
    assert judged(tmp_path, columns, challenger=old[0], champion=old[1]).evidence.champion.rows == below


def test_rows_from_feedback_are_counted_and_judged_by_themselves(tmp_path):
    columns = rows(400)
    columns["__source"] = ["clinic"] * 60 + ["anonymous"] * 40 + [""] * 300
    usecase = make_usecase(BeatsChampion("log_loss"), AtLeast("f1", 0), NoSliceWorse(), slices=(Slice("sex"),))
    champion = make_bundle(tmp_path / "champion", BLIND)
    found = judged(tmp_path, columns, champion=champion, usecase=usecase)
    assert found.data.feedback == 100
    origins = [(part.name, part.rows) for part in found.slices[-3:]]
    assert origins == [("from the table", 300), ("from clinic", 60), ("from anonymous", 40)]
    assert not dict(origins).keys() & set(found.evidence.champion.slices)
    card = model_card(found, open_bundle(tmp_path / "challenger"), usecase)
    for page in (card.html, card.markdown):
        told = (
            "300 of these rows came in the table; the others came back from serving with a truth: 60 of clinic, 40 of"
        )
        assert told in page
        assert "What the verdict rests on" in page
    table = next(part for part in found.slices if part.name == "from the table")
    line = next(line for line in card.markdown.splitlines() if line.startswith("| from the table"))
    assert line.startswith(f"| from the table | 300 | {table.composition} | {table.metrics['log_loss']:.3f} (")
    assert f"| {table.metrics['f1']:.3f} (" in line


def noted(tmp_path, columns=None, *, champion, challenger=None):
    found = judged(tmp_path, columns, champion=champion, challenger=challenger)
    assert found.evidence.champion is None
    assert found.champion is None
    assert not found.verdict.passed
    assert "not enough evidence" in found.verdict.reasons[0]
    return found.evidence.note


def test_another_salt_forbids_the_comparison(tmp_path):
    champion = make_bundle(tmp_path / "champion", BLIND, split={"salt": "t", "below": 0.2})
    assert "another salt ('s' here, 't' for the champion)" in noted(tmp_path, champion=champion)


def test_too_few_new_rows_forbid_the_comparison(tmp_path):
    champion = make_bundle(tmp_path / "champion", BLIND, split={"salt": "s", "below": 0.01})
    assert noted(tmp_path, champion=champion).endswith("rows are new to both models, at least 50 are needed")


def test_new_rows_of_one_class_forbid_the_comparison(tmp_path):
    columns = rows(400)
    columns["__holdout"] = np.where(columns["cured"] == 1, 0.05, 0.15)
    champion = make_bundle(tmp_path / "champion", BLIND, split={"salt": "s", "below": 0.1})
    assert noted(tmp_path, columns, champion=champion).endswith(
        "new to both models only 'well' occurs, both classes are needed"
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("height", "float"), "needs the column height"),
        (Column("sex", "float"), "takes the column sex as float, the rows hold string"),
        (Column("dose", "string"), "takes the column dose as string, the rows hold float"),
    ],
)
def test_a_champion_of_other_columns_cannot_be_compared(tmp_path, column, words):
    schema = Schema((column,), SCHEMA_OF_ALL.label)
    challenger = make_bundle(tmp_path / "challenger")
    champion = make_bundle(tmp_path / "champion", {column.name: 1.0}, schema=schema)
    # Both split by their rows' key, so that only the columns differ.
    keyed = {"keys": (Column("id", "integer"),), "id": "id"}
    champion, challenger = with_keys(champion, keyed), with_keys(challenger, keyed)
    assert words in noted(tmp_path, champion=champion, challenger=challenger)


def with_keys(bundle, keyed):
    schema = Schema(bundle.schema.columns, bundle.schema.label, **keyed)
    return Bundle(bundle.directory, bundle.manifest, schema, bundle.model, bundle.golden)


def test_a_champion_of_fewer_columns_is_compared(tmp_path):
    keyed = {"keys": (Column("id", "integer"),), "id": "id"}
    schema = Schema((Column("dose", "float"),), SCHEMA_OF_ALL.label)
    champion = with_keys(make_bundle(tmp_path / "champion", BLIND, schema=schema), keyed)
    found = judged(tmp_path, champion=champion, challenger=with_keys(make_bundle(tmp_path / "new"), keyed))
    assert found.evidence.champion.rows == 400


def test_a_champion_of_another_label_or_group_cannot_be_compared(tmp_path):
    turned = Schema(SCHEMA_OF_ALL.columns, BinaryLabel("cured", ("well", "ill")))
    champion, challenger = (
        make_bundle(tmp_path / "turned", BLIND, schema=turned),
        make_bundle(tmp_path / "new"),
    )
    assert "another label" in noted(tmp_path, champion=champion, challenger=challenger)
    by_house = {"keys": (Column("house", "string"),), "group": "house"}
    grouped = with_keys(make_bundle(tmp_path / "grouped", BLIND), by_house)
    assert "split by another group" in noted(tmp_path, champion=challenger, challenger=grouped)
    more = Schema((*SCHEMA_OF_ALL.columns, Column("more", "float")), SCHEMA_OF_ALL.label)
    wider = make_bundle(tmp_path / "wider", BLIND, schema=more)
    assert "have no id and were told apart by their columns" in noted(tmp_path, champion=wider, challenger=challenger)


def test_a_champion_that_fails_on_the_rows_cannot_be_compared(tmp_path):
    champion = make_bundle(tmp_path / "champion", {"age": 1.0})
    assert "cannot be scored: the model gives" in noted(tmp_path, champion=champion)


def test_extra_gates_add_to_those_of_the_use_case(tmp_path):
    found = judged(tmp_path, extra_gates="roc_auc>=0.999")
    assert [item.passed for item in found.verdict.criteria] == [True, False]


@pytest.mark.parametrize("bounds", ["f2>=0.5", "roc_auc>0.5", "roc_auc>=1e999"])
def test_an_extra_gate_that_means_nothing_is_refused(tmp_path, bounds):
    with pytest.raises(GateError):
        judged(tmp_path, extra_gates=bounds)


def test_a_gate_on_an_unknown_metric_is_refused_where_it_is_declared():
    with pytest.raises(GateError, match="no metric 'f2'; there are: roc_auc, average_precision"):
        make_usecase(BeatsBaseline("f2"))


def test_the_json_is_strict_and_whole(tmp_path):
    columns = rows(200)
    columns["sex"][:3] = "alone"
    columns["cured"][:3] = 1
    usecase = make_usecase(slices=(Slice("sex"), Slice("age", edges=(200,))))
    found = judged(tmp_path, columns, usecase=usecase, champion=make_bundle(tmp_path / "champion", BLIND))
    document = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["verdict"]["passed"] is True
    assert document["evidence"]["champion"]["rows"] == 200
    assert all(math.isfinite(value) for value in document["details"]["roc"]["thresholds"])
    by_name = {part["name"]: part for part in document["slices"]}
    assert "roc_auc" not in by_name["sex = alone"]["metrics"]
    assert by_name["age 200 and over"]["rows"] == 0


def test_the_baseline_comes_from_the_training_rows():
    table = pa.table({"sex": ["female", "male", "", "other"]})
    assert baseline_answers(table, {"training": {"baseline": BASELINE}})[:, 1].tolist() == [
        0.7,
        0.4,
        0.5,
        0.5,
    ]


def test_the_baseline_knows_numbers_and_nulls():
    known = {
        "columns": ["deck", "sex"],
        "overall": [0.5, 0.5],
        "groups": [{"values": [3, None], "answer": [0.9, 0.1]}, {"values": [None, "male"], "answer": [0.8, 0.2]}],
    }
    deck = pa.array([3, float("nan"), None, 3], pa.float32())
    table = pa.table({"deck": deck, "sex": ["", "male", "male", "male"]})
    assert baseline_answers(table, {"training": {"baseline": known}})[:, 1].tolist() == [0.1, 0.2, 0.2, 0.5]


def test_a_baseline_without_columns_is_the_overall_share():
    manifest = {"training": {"baseline": {"columns": [], "overall": [0.7, 0.3], "groups": []}}}
    assert baseline_answers(pa.table({"a": [1, 2]}), manifest)[:, 1].tolist() == [0.3, 0.3]


def test_a_bundle_without_a_baseline_is_refused():
    with pytest.raises(BundleError, match="no usable baseline"):
        baseline_answers(pa.table({"a": [1]}), {"training": {}})


def test_rows_of_one_class_are_refused(tmp_path):
    columns = rows(60)
    columns["cured"][:] = 1
    with pytest.raises(DataError, match=r"column cured: of all 60 rows only 'well' occurs, both classes are needed"):
        judged(tmp_path, columns)


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no rows"):
        judged(tmp_path, {name: values[:0] for name, values in rows(5).items()})


@pytest.mark.parametrize(("value", "problem"), [(2, "2 is none of 0, 1"), (None, "is null, which cured may not be")])
def test_a_label_that_is_none_is_refused_with_its_row(tmp_path, value, problem):
    columns = rows(60)
    columns["cured"] = pa.array([*columns["cured"][:-1].tolist(), value], pa.int8())
    with pytest.raises(DataError, match=f"row 60, column cured: {problem}"):
        judged(tmp_path, columns)


def test_a_label_of_text_is_refused(tmp_path):
    with pytest.raises(DataError, match="column cured: holds string, not numbers"):
        judged(tmp_path, rows(3) | {"cured": ["ill", "well", "ill"]})


@pytest.mark.parametrize("name", ["skill", "cured", "__holdout"])
def test_a_missing_column_is_refused(tmp_path, name):
    columns = rows(60)
    del columns[name]
    with pytest.raises(DataError, match=f"columns missing: {name}"):
        judged(tmp_path, columns)


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    bundle = make_bundle(tmp_path / "b")
    with pytest.raises(DataError, match="no such file"):
        evaluate(make_usecase(), bundle, tmp_path / "none.parquet", say=quiet)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        evaluate(make_usecase(), bundle, tmp_path / "bad.parquet", say=quiet)


def test_rows_that_another_split_held_out_are_refused(tmp_path):
    data = {"data": {"digest": "d"}}
    bundle = make_bundle(tmp_path / "b", lineage=data)
    summary = {"digest": "d", "split": {"salt": "s", "below": 0.2}}
    test = write_rows(tmp_path / "own.parquet", metadata={b"lifeboat": json.dumps(summary).encode()})
    assert evaluate(make_usecase(), bundle, test, say=quiet).rows == 400
    foreign = json.dumps(summary | {"digest": "e"}).encode()
    pq.write_table(pq.read_table(test).replace_schema_metadata({b"lifeboat": foreign}), test)
    with pytest.raises(DataError, match="it may have seen these rows"):
        evaluate(make_usecase(), bundle, test, say=quiet)


def test_the_rows_need_no_columns_the_model_leaves_unused(tmp_path):
    found = judged(tmp_path, challenger=make_bundle(tmp_path / "small", {"skill": TRUTH["skill"]}))
    assert found.metrics["roc_auc"].value > 0.7


def test_progress_is_told(tmp_path):
    told = []
    test = write_rows(tmp_path / "test.parquet")
    evaluate(make_usecase(), make_bundle(tmp_path / "b"), test, say=told.append)
    assert told[0] == "scoring 400 held-out rows"


def test_by_time_the_rows_before_the_champions_boundary_are_left_out(tmp_path):
    columns = rows(400)
    day = 86_400e6
    columns["__holdout"] = np.arange(400) * day
    split = {"by": "time", "column": "at", "test": 0.2, "gap": 0.0, "boundary": "1970-01-01T00:00:00Z"}
    challenger = make_bundle(tmp_path / "challenger", split=split)
    later = make_bundle(tmp_path / "later", BLIND, split=split | {"boundary": "1970-04-11T00:00:00Z"})
    assert judged(tmp_path, columns, challenger=challenger, champion=later).evidence.champion.rows == 300
    other = make_bundle(tmp_path / "other", BLIND, split=split | {"column": "arrived"})
    found = judged(tmp_path, columns, challenger=challenger, champion=other)
    assert "split otherwise for the champion, it may have seen them" in found.verdict.reasons[0]


def test_a_column_that_went_is_null_to_a_champion_that_takes_nulls(tmp_path):
    keyed = {"keys": (Column("id", "integer"),), "id": "id"}
    wider = Schema((*SCHEMA_OF_ALL.columns, Column("note", "string", nullable=True)), SCHEMA_OF_ALL.label)
    champion = with_keys(make_bundle(tmp_path / "champion", BLIND, schema=wider), keyed)
    found = judged(tmp_path, champion=champion, challenger=with_keys(make_bundle(tmp_path / "new"), keyed))
    assert found.evidence.champion.rows == 400
    assert found.evidence.unread == ("note, which these rows do not have, was null to it",)


def test_rows_that_the_champion_refuses_are_left_out(tmp_path):
    keyed = {"keys": (Column("id", "integer"),), "id": "id"}
    narrow = tuple(replace(one, minimum=-1, maximum=1) if one.name == "dose" else one for one in SCHEMA_OF_ALL.columns)
    champion = with_keys(make_bundle(tmp_path / "champion", BLIND, schema=Schema(narrow, SCHEMA_OF_ALL.label)), keyed)
    columns = rows(400)
    taken = int((np.abs(columns["dose"]) <= 1).sum())
    found = judged(tmp_path, columns, champion=champion, challenger=with_keys(make_bundle(tmp_path / "new"), keyed))
    assert found.evidence.champion.rows == taken < 400
    assert found.evidence.unread == (f"{400 - taken} rows hold a dose that it refuses, and were left out",)
    none = tuple(replace(one, minimum=50, maximum=60) if one.name == "dose" else one for one in SCHEMA_OF_ALL.columns)
    far = with_keys(make_bundle(tmp_path / "far", BLIND, schema=Schema(none, SCHEMA_OF_ALL.label)), keyed)
    said = noted(tmp_path, columns, champion=far, challenger=with_keys(make_bundle(tmp_path / "new2"), keyed))
    assert said == "0 rows are new to both models and can be read by both, at least 50 are needed"


def test_a_line_is_begun_anew_on_record(tmp_path):
    champion = make_bundle(tmp_path / "champion", TRUTH, split={"salt": "t", "below": 0.2})
    said = []
    bundle = make_bundle(tmp_path / "new", BLIND)
    test = write_rows(tmp_path / "test.parquet")
    found = evaluate(make_usecase(), bundle, test, champion=champion, begin_anew="other hospitals", say=said.append)
    assert found.verdict.passed
    assert (found.verdict.champion, found.evidence.anew) == (champion.digest, "other hospitals")
    assert found.verdict.criteria[0].why == "begun anew: other hospitals"
    assert "begun anew, without a comparison with the champion: other hospitals" in said
    card = model_card(found, bundle, make_usecase())
    assert "begun anew, without a comparison with the champion" in card.markdown
    first = evaluate(make_usecase(), bundle, test, begin_anew="other hospitals", say=quiet)
    assert first.verdict.criteria[0].why == "there is no champion yet"
