"""What a table is taken for."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lifeboat.config.errors import DataError
from lifeboat.preprocess.advice import advise
from lifeboat.project.inference import guess_table, likely_labels
from lifeboat.usecase.schema import ClassLabel, NumberLabel

ROWS = 120


def table(**columns):
    """A table of text, as a CSV file gives one; a column's values are repeated."""
    return pa.table({name: [values[row % len(values)] for row in range(ROWS)] for name, values in columns.items()})


def guessed(raw, name):
    found = guess_table(raw, label="y")
    return next(guess for guess in found.guesses if guess.column.name == name)


Y = ["no", "no", "no", "yes"]


@pytest.mark.parametrize(
    ("values", "kind", "limits"),
    [
        (["3", "7", "20"], "integer", (0, 50)),
        (["-3", "7"], "integer", (-20, 20)),
        (["0.5", "3"], "float", (0, 10)),
        (["1e3", "250"], "float", (0, 2000)),
        (["12", "12.0"], "float", (0, 50)),
        (["-5", "-1"], "integer", (-10, 0)),
    ],
)
def test_a_number_has_room_beyond_the_values_seen_and_no_sign_that_was_not(values, kind, limits):
    column = guessed(table(a=values, y=Y), "a").column
    assert (column.kind, column.minimum, column.maximum) == (kind, *limits)


def test_a_text_that_comes_again_and_again_has_categories():
    guess = guessed(table(a=["red", "green"], y=Y), "a")
    assert (guess.role, guess.column.categories) == ("input", ("green", "red"))


def test_many_texts_that_come_again_are_a_category_that_is_learned():
    guess = guessed(table(a=[f"c{number}" for number in range(40)], y=Y), "a")
    assert (guess.role, guess.column.kind, guess.column.categories) == ("input", "category", ())


@pytest.mark.parametrize("texts", [["yes", "No"], ["Y", "n"], ["on", "off"], ["t", "f"]])
def test_usual_words_are_a_boolean(texts):
    assert guessed(table(a=texts, y=Y), "a").column.kind == "boolean"


def test_a_text_of_many_values_is_a_key_and_says_why():
    raw = table(b=["1", "2"], y=Y).append_column("a", pa.array([f"text {row}" for row in range(ROWS)]))
    guess = guessed(raw, "a")
    assert (guess.role, guess.column.categories) == ("key", ())
    assert "120 different values" in guess.why


def test_true_and_false_are_a_boolean():
    assert guessed(table(a=["True", "false", "TRUE"], y=Y), "a").column.kind == "boolean"


@pytest.mark.parametrize("null", ["", "NA", "?", "n/a"])
@pytest.mark.parametrize("values", [("3", "4"), ("red", "green")])
def test_what_is_missing_makes_a_column_nullable(values, null):
    column = guessed(table(a=[*values, null], y=Y), "a").column
    assert column.nullable
    assert null not in column.categories


def test_a_column_that_says_nothing_is_left_out():
    found = guess_table(table(a=["x"], b=["", "NA"], c=["1", "2"], y=Y), label="y")
    assert {guess.column.name: guess.role for guess in found.guesses} == {
        "a": "left out",
        "b": "left out",
        "c": "input",
    }
    assert found.schema.ignore == ("a", "b")


def test_a_column_that_is_called_an_id_and_never_repeats_names_the_row():
    raw = table(a=["1", "2"], y=Y).append_column("customer_id", pa.array([str(row) for row in range(ROWS)]))
    found = guess_table(raw, label="y")
    assert found.id == "customer_id"
    assert found.schema.names == ("a",)
    assert guess_table(raw, label="y", id_="").id is None


def test_a_whole_number_beyond_what_a_model_tells_apart_is_a_key():
    assert guessed(table(a=["123456789012", "123456789013"], b=["1", "2"], y=Y), "a").role == "key"


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["no", "no", "yes"], ("no", "yes")), (["1", "0"], ("0", "1")), (["b", "a", "b"], ("b", "a"))],
)
def test_the_class_that_says_yes_or_else_the_rarer_one_is_asked_for(values, classes):
    assert guess_table(table(a=["1", "2"], y=values), label="y").label.classes == classes


def test_a_few_values_are_classes_in_their_order_and_many_numbers_are_a_number():
    assert guess_table(table(a=["1", "2"], y=["b", "c", "a"]), label="y").label == ClassLabel("y", ("a", "b", "c"))
    assert guess_table(table(a=["1", "2"], y=["10", "9", "1"]), label="y").label.classes == ("1", "9", "10")
    numbers = [f"{n / 4}" for n in range(ROWS)]
    assert guess_table(table(a=["1", "2"], y=numbers), label="y").label == NumberLabel("y", minimum=0)
    below = [*numbers[1:], "-3"]
    assert guess_table(table(a=["1", "2"], y=below), label="y").label == NumberLabel("y")


def test_the_class_that_is_asked_for_can_be_named():
    assert guess_table(table(a=["1", "2"], y=Y), label="y", positive="no").label.classes == ("yes", "no")


def test_the_likeliest_label_comes_first():
    assert likely_labels(table(sex=["m", "f"], Target=["0", "1"], a=["1", "2", "3"], z=["x", "y"])) == [
        "Target",
        "z",
        "sex",
    ]


def test_a_column_that_gives_the_answer_away_is_warned_of():
    found = guess_table(table(alive=["dead", "dead", "dead", "alive"], a=["1", "2", "3"], y=Y), label="y")
    assert [warning.partition(":")[0] for warning in found.warnings] == ["column alive tells y exactly"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"label": "x"}, "column x: there is no such column; there are a, y"),
        ({"label": "a", "positive": "1"}, "column a: holds 3 values: only of two one is asked for"),
        ({"label": "one"}, "column one: holds 'x' alone: nothing can be learned of it"),
        ({"label": "texts"}, r"column texts: holds 1,500 different texts \(.*\), 1,000 classes at most can be learned"),
        ({"label": "y", "positive": "maybe"}, "'maybe' is none of its values 'no' and 'yes'"),
        ({"label": "y", "left_out": ["a"]}, "no column is left"),
    ],
)
def test_what_cannot_be_is_said_with_the_column(arguments, sentence):
    raw = pa.table({"texts": [f"t{n}" for n in range(1_500)], "one": ["x"] * 1_500})
    if arguments["label"] not in raw.column_names:
        raw = table(a=["1", "2", "3"], y=Y)
    with pytest.raises(DataError, match=sentence):
        guess_table(raw, **arguments)


def test_the_schema_has_nothing_against_its_own_table():
    raw = table(a=["1", "2", "NA"], b=["x", "y", ""], c=["1.5", "-2"], d=["True", "False"], y=Y)
    assert not advise(raw, guess_table(raw, label="y").schema, "it")


def test_a_typed_table_is_guessed_as_its_text_is():
    raw = pa.table({"a": [1, 2, None] * 40, "b": [0.5, 1.5] * 60, "c": [True, False] * 60, "y": [0, 0, 1] * 40})
    schema = guess_table(raw, label="y").schema
    assert [(column.kind, column.nullable) for column in schema.columns] == [
        ("integer", True), ("float", False), ("boolean", False)
    ]  # fmt: skip
    assert schema.label.classes == ("0", "1")
    assert not advise(raw, schema, "it")


@pytest.mark.parametrize("texts", [["2026-01-01", "2026-05-07 10:30", "NA"], ["2026-01-01T10:00:00Z", "2025-01-01"]])
def test_moments_are_datetimes_and_learned_from(texts):
    found = guessed(table(a=texts, y=Y), "a")
    assert (found.role, found.column.kind, found.column.nullable) == ("input", "datetime", "NA" in texts)
    raw = pa.table({"a": [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(20)], "y": [0, 1] * 10})
    schema = guess_table(raw, label="y").schema
    assert [column.kind for column in schema.columns] == ["datetime"]
    assert not advise(raw, schema, "it")


def test_eight_digits_are_a_number_and_a_word_no_moment():
    digits, words = ["20260101", "20260102", "20260103"], ["2026-01-01", "soon", "2026-01-02"]
    raw = table(digits=digits, words=words, b=["1", "2", "4"], y=Y)
    assert (guessed(raw, "digits").column.kind, guessed(raw, "words").column.kind) == ("integer", "string")
