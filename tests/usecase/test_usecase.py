import sys
from dataclasses import asdict, replace

import pytest

from lifeboat.config.errors import UseCaseError
from lifeboat.usecase.importing import list_usecases
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.usecase import Drift, Slice, UseCase, load_usecase


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes the module `made.usecase`, which can be imported while the test runs."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "made").mkdir()
    yield (tmp_path / "made" / "usecase.py").write_text
    for name in ("made", "made.usecase"):
        sys.modules.pop(name, None)


def test_a_shipped_use_case_is_found_by_name():
    names = list_usecases()
    assert names
    for name in names:
        assert isinstance(load_usecase(name), UseCase)
        assert load_usecase(name).name == name


@pytest.mark.parametrize(
    "reference", ["nothing", "no.such.module", "", ".", "a/b", "a b", "..x", "tests.usecases.nothing"]
)
def test_an_unknown_use_case_is_one_sentence(reference):
    with pytest.raises(UseCaseError) as error:
        load_usecase(reference)
    assert "\n" not in str(error.value)


def test_the_known_use_cases_are_named():
    with pytest.raises(UseCaseError, match=f"no use case 'nothing'; there are: {list_usecases()[0]}"):
        load_usecase("nothing")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("x = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("from lifeboat.usecase.schema import Column\nColumn('a', 'text')", "kind 'text' is none of"),
    ],
)
def test_a_use_case_that_cannot_be_imported_says_why(module, text, sentence):
    module(text)
    with pytest.raises(UseCaseError, match=sentence) as error:
        load_usecase("made.usecase")
    assert "\n" not in str(error.value)


def test_a_module_without_a_use_case_is_refused():
    with pytest.raises(UseCaseError, match="json.decoder holds no USECASE"):
        load_usecase("json.decoder")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "Two Words"}, "is not lower case letters"),
        ({"name": ""}, "is not lower case letters"),
        ({"baseline": ("colour",)}, "baseline or slices name no input: colour"),
        ({"slices": (Slice("colour"),)}, "baseline or slices name no input: colour"),
        ({"candidates": ()}, "at least one candidate"),
        ({"gates": ()}, "one gate"),
        (
            {
                "schema": Schema((Column("probabilities", "float"),), BinaryLabel("y", ("n", "y"))),
                "baseline": (),
                "slices": (),
            },
            "probabilities is the model's output",
        ),
    ],
)
def test_a_use_case_that_contradicts_itself_is_refused(change, sentence):
    with pytest.raises(UseCaseError, match=sentence):
        replace(load_usecase("titanic"), **change)


def test_two_candidates_of_one_name_are_refused():
    usecase = load_usecase("titanic")
    with pytest.raises(UseCaseError, match="two candidates share a name"):
        replace(usecase, candidates=(usecase.candidates[0], usecase.candidates[0]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"window": 0}, "drift: window is 0, it must be at least 1"),
        ({"minimum": 201}, "drift: minimum is 201, it must be 1 to the window of 200"),
        ({"minimum": 0}, "drift: minimum is 0, it must be 1 to the window of 200"),
        ({"seconds": 0}, "drift: seconds is 0, it must be above 0 and finite"),
        ({"seconds": float("nan")}, "drift: seconds is nan"),
        ({"p_value": 1}, "drift: p_value is 1, it must be at least 0.001"),
        ({"p_value": 0.0009}, "drift: p_value is 0.0009, it must be at least 0.001"),
        ({"correction": "holm"}, "drift: correction is 'holm', it must be one of calibrated, bonferroni, fdr"),
        ({"alarms": 4}, "drift: alarms is 4, it must be 1 to the last 3 windows"),
        ({"of": 0}, "drift: of is 0, it must be at least 1"),
        ({"reference": 99}, "drift: reference is 99, it must be at least the minimum of 100"),
        ({"online": -1}, "drift: online is -1, it must be 0, or 100 to 10,000"),
        ({"online": 99}, "drift: online is 99, it must be 0, or 100 to 10,000"),
        ({"accuracy": 1.2}, "drift: accuracy is 1.2, it must be between 0 and 1, or None"),
    ],
)
def test_drift_settings_that_make_no_sense_are_refused(change, sentence):
    with pytest.raises(UseCaseError) as error:
        Drift(**change)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "change", [{"window": 1, "minimum": 1, "reference": 1}, {"alarms": 3}, {"accuracy": 0.0}, {"online": 100}]
)
def test_drift_settings_at_their_limits_are_taken(change):
    assert asdict(Drift(**change)) == asdict(Drift()) | change


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("__time", "column __time: names that start with __ are the platform's"),
        ("score", "score is the detector's name for what the model answers"),
    ],
)
def test_a_column_with_a_name_of_the_platforms_is_refused(name, sentence):
    usecase = load_usecase(list_usecases()[0])
    columns = (*usecase.schema.columns, Column(name, "float"))
    with pytest.raises(UseCaseError, match=sentence):
        replace(usecase, schema=replace(usecase.schema, columns=columns))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"columns": (Column("n", "integer", maximum=2**60),)},
            "column n: its limits are -16777216 to 1152921504606846976: beyond 9007199254740992 a model cannot take it",
        ),
        ({"keys": (Column("prediction", "string"),)}, "key prediction: batch scoring calls its answers so"),
        ({"keys": (Column("probability_yes", "string"),)}, "key probability_yes: batch scoring calls its answers so"),
    ],
)
def test_what_can_be_declared_but_not_answered_is_refused(change, sentence):
    titanic = load_usecase("titanic")
    schema = Schema(**{"columns": (Column("x", "float"),), "label": BinaryLabel("y", ("no", "yes")), **change})
    with pytest.raises(UseCaseError, match=sentence):
        replace(titanic, schema=schema, baseline=(), slices=())
