"""The verdict on one window, through a real bundle."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.config.errors import BundleError
from lifeboat.detector.drift_test import run_drift_test
from lifeboat.detector.drift_test.drift_test import DriftTest, open_drift_test
from lifeboat.usecase.schema import Column, Schema
from tests.drift_test.columns import CHANGES, COLUMNS
from tests.drift_test.world import LABEL, PASSENGERS, make_bundle, needs_alibi, raw, synthetic, table_of

needs_alibi()

NAMES = (*PASSENGERS.names, "score")


@pytest.fixture(scope="module")
def reference():
    return synthetic(np.random.default_rng(0), 1000)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, reference):
    return make_bundle(tmp_path_factory.mktemp("judge") / "bundle", table_of(reference), p_value=0.05, window=200)


@pytest.fixture
def window():
    return raw(synthetic(np.random.default_rng(1), 200))


def by_name(verdict):
    return {feature["name"]: feature for feature in verdict["features"]}


def test_a_verdict_has_what_the_page_and_the_metrics_need(bundle, window):
    verdict = run_drift_test(bundle, *window)
    json.dumps(verdict, allow_nan=False)
    assert set(verdict) == {"rows", "drift", "p_value", "correction", "threshold", "seconds", "features"}
    assert (verdict["rows"], verdict["p_value"], verdict["correction"]) == (200, 0.05, "calibrated")
    assert not verdict["drift"]
    features = by_name(verdict)
    assert tuple(features) == NAMES
    kinds = {name: feature["kind"] for name, feature in features.items()}
    assert kinds == {
        "Pclass": "category", "Name": "text", "Sex": "category", "Age": "number", "SibSp": "category",
        "Parch": "category", "Fare": "number", "Cabin": "text", "Embarked": "category", "score": "score",
    }  # fmt: skip
    for feature in features.values():
        tests = feature["tests"]
        assert {"aspect": feature["aspect"], "test": feature["test"], "p_value": feature["p_value"]} in tests
        assert feature["p_value"] == min(test["p_value"] for test in tests)
        assert all(0 <= test["p_value"] <= 1 for test in tests)
        assert feature["test"] == ("Chi2" if feature["kind"] == "category" else "K-S")
        assert feature["threshold"] == verdict["threshold"]
        assert feature["drift"] == (feature["p_value"] < feature["threshold"])
        histogram = feature["histogram"]
        assert len(histogram["bins"]) == len(histogram["reference"]) == len(histogram["window"]) <= 25
        assert sum(histogram["reference"]) == pytest.approx(1)
        assert sum(histogram["window"]) == pytest.approx(1)


def test_the_same_window_gives_the_same_verdict(bundle, window):
    first, second = (run_drift_test(bundle, *window) for _ in range(2))
    open_drift_test.cache_clear()
    third = run_drift_test(bundle, *window)
    for verdict in (first, second, third):
        del verdict["seconds"]
    assert first == second == third


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Age", lambda age: None if age is None else age + 8),
        ("Age", lambda _: None),
        ("Sex", {"male": "female", "female": "male"}.get),
        ("Cabin", lambda _: None),
        ("Fare", lambda fare: None if fare is None else fare * 2),
        ("SibSp", lambda siblings: siblings + 1),
        ("Embarked", lambda _: "Q"),
        ("Name", lambda name: name + ", Esq."),
    ],
)
def test_what_moved_is_named(bundle, window, name, change):
    columns, scores = window
    verdict = run_drift_test(bundle, {**columns, name: [change(value) for value in columns[name]]}, scores)
    features = by_name(verdict)
    assert verdict["drift"]
    assert [feature["name"] for feature in verdict["features"] if feature["drift"]] == [name]
    assert features[name]["p_value"] == min(feature["p_value"] for feature in features.values())
    json.dumps(verdict, allow_nan=False)


def test_a_moved_score_is_drift_too(bundle, window):
    columns, scores = window
    verdict = run_drift_test(bundle, columns, [score / 2 for score in scores])
    assert [feature["name"] for feature in verdict["features"] if feature["drift"]] == ["score"]


def test_the_missing_share_is_of_both_sides(bundle, window, reference):
    columns, scores = window
    columns = {**columns, "Age": [None] * 50 + [30.0] * 150, "Embarked": [None] * 20 + ["S"] * 180}
    features = by_name(run_drift_test(bundle, columns, scores))
    share = float(np.isnan(reference["Age"]).mean())
    assert features["Age"]["missing"] == {"reference": pytest.approx(share), "window": 0.25}
    assert features["Embarked"]["missing"]["window"] == 0.1
    assert features["Pclass"]["missing"] == {"reference": 0.0, "window": 0.0}


def test_numbers_are_compared_as_the_model_sees_them(tmp_path):
    """A reference holds 32 bits: the same numbers in 64 bits are the same numbers."""
    schema = Schema((Column("x", "float"),), LABEL)
    values = (np.random.default_rng(3).integers(0, 10_000, 500) / 1000 + 0.0001).round(4)
    rows = {"x": values, "__score": np.full(500, 0.1, dtype=np.float32)}
    path = make_bundle(tmp_path / "bundle", table_of(rows, schema), schema)
    verdict = run_drift_test(path, {"x": values.tolist()}, [0.1] * 500)
    assert [feature["distance"] for feature in verdict["features"]] == [0, 0]
    assert not verdict["drift"]


def test_a_bundle_of_before_drift_has_no_score_and_the_usual_settings(tmp_path, reference, window):
    older = {name: values for name, values in reference.items() if name != "__score"}
    verdict = run_drift_test(make_bundle(tmp_path / "bundle", table_of(older)), *window)
    assert tuple(by_name(verdict)) == PASSENGERS.names
    assert (verdict["p_value"], verdict["correction"]) == (0.05, "calibrated")


@pytest.mark.parametrize("correction", ["bonferroni", "fdr"])
@pytest.mark.parametrize("years", [0, 3, 8])
def test_other_corrections_are_alibi_detects_own(tmp_path, reference, correction, years):
    from alibi_detect.utils.statstest import fdr

    path = make_bundle(tmp_path / "bundle", table_of(reference), correction=correction, p_value=0.1)
    rows = synthetic(np.random.default_rng(2), 200)
    rows["Age"] += years
    verdict = run_drift_test(path, *raw(rows))
    found = np.array([test["p_value"] for feature in verdict["features"] for test in feature["tests"]])
    expected = fdr(found, 0.1)[0] if correction == "fdr" else (found < 0.1 / len(found)).any()
    assert verdict["drift"] == bool(expected) == any(feature["drift"] for feature in verdict["features"])
    assert 0.1 / len(found) <= verdict["threshold"] <= 0.1


def test_integers_booleans_and_constants_can_be_judged(tmp_path):
    schema = Schema(
        (
            Column("alone", "boolean", nullable=True),
            Column("ticket", "integer"),
            Column("country", "string", categories=("GB", "US")),
            Column("deck", "float", nullable=True),
        ),
        LABEL,
    )
    random = np.random.default_rng(4)
    rows = {
        "alone": random.choice([0.0, 1.0, np.nan], 300),
        "ticket": random.integers(1, 10**6, 300).astype(float),
        "country": np.full(300, "GB", dtype=object),
        "deck": np.full(300, np.nan),
    }
    path = make_bundle(tmp_path / "bundle", table_of(rows, schema), schema)
    columns = {"alone": [True, False, None, 1] * 25, "ticket": [*range(100)], "country": ["GB"] * 100}
    same = by_name(run_drift_test(path, {**columns, "deck": [None] * 100}, [0.5] * 100))
    assert {name: feature["kind"] for name, feature in same.items()} == {
        "alone": "category", "ticket": "number", "country": "category", "deck": "number"
    }  # fmt: skip
    assert set(same["alone"]["histogram"]["bins"]) == {"yes", "no", "missing"}
    assert same["ticket"]["drift"]
    assert same["country"]["p_value"] == same["deck"]["p_value"] == 1
    moved = by_name(run_drift_test(path, {**columns, "country": ["US"] * 100, "deck": [1.5] * 100}, [0.5] * 100))
    assert moved["country"]["drift"]
    assert moved["deck"]["drift"]


@pytest.mark.parametrize("change", ["one value", "one unseen value", "other values of that form"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_window_of_one_value_or_of_unseen_ones_is_drift(name, change):
    column, draw, kind = COLUMNS[name]
    random = np.random.default_rng(5)
    schema = Schema((column,), LABEL)
    judge = DriftTest(schema, table_of({"x": draw(random, 1000), "__score": random.random(1000)}, schema))
    window = draw(random, 200)
    scores = random.random(200).tolist()
    calm, moved = (judge.run({"x": values}, scores) for values in (window.tolist(), CHANGES[change](random, window)))
    assert calm["features"][0]["kind"] == kind
    assert not calm["drift"]
    assert moved["features"][0]["drift"]
    assert not moved["features"][1]["drift"]


@pytest.mark.parametrize(("known", "now"), [(2**53 - 1000, 2**53 - 999), (2**24, 2**24 + 1)])
def test_an_integer_beyond_what_a_float32_holds_that_changes_is_drift(known, now):
    schema = Schema((Column("account", "integer", minimum=0, maximum=2**53),), LABEL)
    reference = pa.table({"account": pa.array([float(known)] * 50 + [float(known + 40)] * 50)})
    judge = DriftTest(schema, reference)
    assert not judge.run({"account": [known, known + 40] * 25}, [0.5] * 50)["drift"]
    assert judge.run({"account": [now, now + 40] * 25}, [0.5] * 50)["drift"]


def test_what_cannot_be_judged_is_refused_in_a_sentence(bundle, window):
    columns, scores = window
    shorter = {name: values[:1] for name, values in columns.items()}
    with pytest.raises(ValueError, match="a window of 1 rows cannot be judged; it needs at least 2"):
        run_drift_test(bundle, shorter, scores[:1])
    with pytest.raises(ValueError, match="Age: 199 values for 200 scores"):
        run_drift_test(bundle, {**columns, "Age": columns["Age"][1:]}, scores)
    with pytest.raises(ValueError, match="Fare: 0 values for 200 scores"):
        run_drift_test(bundle, {name: values for name, values in columns.items() if name != "Fare"}, scores)
    with pytest.raises(ValueError, match="score: a value is not finite"):
        run_drift_test(bundle, columns, [float("nan"), *scores[1:]])
    with pytest.raises(ValueError, match="Age: a value is infinite"):
        run_drift_test(bundle, {**columns, "Age": [float("inf"), *columns["Age"][1:]]}, scores)


def test_an_altered_bundle_is_not_used(tmp_path, reference, window):
    path = tmp_path / "bundle"
    make_bundle(path, table_of(reference))
    content = (path / "reference.parquet").read_bytes()
    (path / "reference.parquet").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match="altered"):
        run_drift_test(str(path), *window)


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        ({"correction": "holm"}, "correction 'holm' is none of"),
        ({"p_value": 0.0001}, "p_value 0.0001 is not within 0.001 to 1"),
    ],
)
def test_settings_that_cannot_be_kept_are_an_error_of_the_bundle(tmp_path, reference, window, drift, words):
    with pytest.raises(BundleError, match=words):
        run_drift_test(make_bundle(tmp_path / "bundle", table_of(reference), **drift), *window)


def test_a_reference_of_another_schema_is_an_error_of_the_bundle(tmp_path, reference, window):
    table = table_of(reference).drop_columns(["Age"])
    with pytest.raises(BundleError, match="lacks Age"):
        run_drift_test(make_bundle(tmp_path / "bundle", table), *window)
    called_score = Schema((Column("score", "float"),), LABEL)
    named = table_of({"score": reference["Age"]}, called_score)
    with pytest.raises(BundleError, match="a column is called 'score'"):
        run_drift_test(make_bundle(tmp_path / "named", named, called_score), {"score": [1.0, 2.0]}, [0.1, 0.2])


def test_nothing_heavy_is_imported_before_it_is_asked_for_and_nothing_is_said(bundle, window):
    """In a process of its own: Alibi Detect's neighbours like to talk when they are imported."""
    program = (
        "import json, sys; from lifeboat.detector.drift_test import run_drift_test, load;"
        "import lifeboat.detector.windows.alarm;"
        "heavy = {'alibi_detect', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules);"
        "load(); loaded = {*sys.modules};"
        "path, columns, scores = json.load(sys.stdin); run_drift_test(path, columns, scores);"
        "late = {'alibi_detect', 'pandas', 'scipy.stats', 'pyarrow.parquet'} - loaded;"
        "sys.exit(f'early {heavy}, late {late}' if heavy or late else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:serving", "-c", program],
        input=json.dumps([bundle, *window]), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ODD = {
    "Pclass": [1, 2, 3],
    "Name": ["", "ß" * 256, "a\x00b", "Ann", None],
    "Sex": ["female", "male"],
    "Age": [None, 0, 120, 1e-30, 22.123456789],
    "SibSp": [0, 20, 7],
    "Parch": [0, 20],
    "Fare": [None, 0, 1000, 3.4e38, -3.4e38],
    "Cabin": [None, "C85", "C" * 40],
    "Embarked": [None, "C", "Q", "S", "elsewhere"],
    "score": [0, 0.5, 1, 1e-38],
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in ODD.items()}), min_size=2))
def test_any_window_gets_a_verdict_without_nan_whatever_the_order_of_its_rows(plain, rows):
    columns = {name: [row[name] for row in rows] for name in ODD}
    backwards = {name: values[::-1] for name, values in columns.items()}
    verdicts = [run_drift_test(plain, window, window["score"]) for window in (columns, backwards)]
    for verdict in verdicts:
        json.dumps(verdict, allow_nan=False)
        assert verdict.pop("seconds") > 0
    assert verdicts[0] == verdicts[1]


@pytest.fixture(scope="module")
def plain(tmp_path_factory, reference):
    """A bundle that is judged without calibration: every size of window would have its own."""
    path = tmp_path_factory.mktemp("plain") / "bundle"
    return make_bundle(path, table_of(reference), correction="bonferroni")


def test_of_moments_the_time_of_day_and_the_day_of_the_week_are_tested_and_not_that_time_goes_on(tmp_path):
    column = Column("at", "datetime", nullable=True, zone="America/New_York")
    random = np.random.default_rng(0)
    hour, week = 3_600e6, 7 * 86_400e6

    def moments(rows, start, hours, days=7):
        """Working hours of New York, from a winter on; every tenth is not known."""
        at = start + random.integers(0, 8, rows) * week + random.integers(0, days, rows) * 24 * hour
        found = at + random.uniform(5, 5 + hours, rows).round() * hour
        found[::10] = np.nan
        return found

    def table(values):
        return pa.table({"at": pa.array(values), "__score": pa.array(random.random(len(values)))})

    monday = 1_736_139_600e6 - 5 * hour  # midnight of New York, 6 January 2025
    test = DriftTest(Schema((column,), LABEL), table(moments(1000, monday, 24)))
    assert [(one.name, one.kind, one.aspect, one.test) for one in test.features[:2]] == [
        ("at", "datetime", "time of day", "K-S"), ("at", "datetime", "day of the week", "Chi2"),
    ]  # fmt: skip

    def verdict(values):
        found = test.run({"at": values.tolist()}, random.random(len(values)).tolist())
        return by_name(found)["at"]

    same = verdict(moments(200, monday + 20 * week, 24))
    assert not same["drift"], "half a year later the clocks show the same"
    assert same["missing"] == {"reference": 0.1, "window": 0.1}
    assert (verdict(moments(200, monday, 9))["drift"], verdict(moments(200, monday, 9))["aspect"]) == (
        True,
        "time of day",
    )
    weekdays = verdict(moments(200, monday, 24, days=5))
    assert (weekdays["drift"], weekdays["aspect"]) == (True, "day of the week")
    assert {"Monday", "Sunday", "missing"} <= set(weekdays["histogram"]["bins"])
