"""Each transformer alone, in scikit-learn and as an ONNX graph, on values that nobody would expect."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import clone

from lifeboat.model.onnx.onnx_export import OPSETS, register_converters
from lifeboat.usecase.transformers import (
    CategoryCodes,
    CategoryFlags,
    Floats32,
    MissingFlag,
    Quotient,
    RegexFlags,
    RowSum,
    TextBetween,
)

ODD = [
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "C\n",
    "C85",
    "C85\n",
    "\x0b",
    "\u2028",
    "\x85",
    "ſ",
    "K",
    "İ",
    "é",
    "e\u0301",
    "😀",
]
ODD += ["Braund, Mr. Owen", "no title", ", .", ",", ".", ", ", "a, b, c. d. e", ", , x.y.", "female", "FEMALE", "\r\n"]
TEXTS = st.text(max_size=8) | st.sampled_from(ODD) | st.text("CABT, .\nm", max_size=8)
FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e-45, 3.4e38])
PATTERNS = {
    "deck": "[ABCT].*",
    "newline": "C.",
    "not A": "[^A]+",
    "digit": r"\w*\d+",
    "dot": r"(?s)C.*",
    "boundary": r"C\b.*",
    "dollar": r"[$]?\$*",
    "empty": "",
    "unicode": "é|😀|[à-ü]+",
    "either": "(Mr|Mrs)[.]?",
    "blank": "[ \t]*",
}
OF_TEXT = {
    "flags": CategoryFlags(("female", "", "é", "C\n", "a\0b")),
    "regex": RegexFlags(PATTERNS),
    "title": TextBetween(", ", "."),
    "same": TextBetween(",", ","),
    "one letter": TextBetween("m", "😀"),
    "missing": MissingFlag(),
}
OF_NUMBERS = {"sum": RowSum(0.1), "quotient": Quotient(1.5), "missing": MissingFlag(), "floats": Floats32()}
SESSIONS = {}


def session(name, transformer, kind, width):
    """The ONNX graph of a transformer, made once."""
    if (name, kind) not in SESSIONS:
        register_converters()
        graph = convert_sklearn(transformer, initial_types=[("x", kind([None, width]))], target_opset=OPSETS)
        SESSIONS[name, kind] = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return SESSIONS[name, kind]


@pytest.mark.parametrize("name", OF_TEXT)
@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
@example(texts=ODD)
@example(texts=[""])
def test_text_gives_the_same_in_both_worlds(name, texts):
    X = np.array(texts, dtype=object).reshape(-1, 1)
    transformer = clone(OF_TEXT[name]).fit(X)
    (found,) = session(name, transformer, StringTensorType, 1).run(None, {"x": X})
    assert np.array_equal(found, transformer.transform(X))


@pytest.mark.parametrize("name", OF_NUMBERS)
@given(rows=st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=1, max_size=6))
def test_numbers_give_the_same_in_both_worlds(name, rows):
    X = np.array(rows, dtype=np.float32)
    transformer = clone(OF_NUMBERS[name]).fit(X)
    (found,) = session(name, transformer, FloatTensorType, 3).run(None, {"x": X})
    with np.errstate(all="ignore"):
        expected = transformer.transform(X)
    assert found.dtype == expected.dtype == np.float32
    assert np.array_equal(found, expected, equal_nan=True)


@given(known=st.lists(TEXTS, min_size=1, max_size=20), texts=st.lists(TEXTS, min_size=1, max_size=6))
@example(known=ODD, texts=[*ODD, "unseen"])
def test_codes_of_categories_are_the_same_in_both_worlds(known, texts):
    register_converters()
    transformer = CategoryCodes().fit(np.array(known, dtype=object).reshape(-1, 1))
    graph = convert_sklearn(transformer, initial_types=[("x", StringTensorType([None, 1]))], target_opset=OPSETS)
    made = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    X = np.array(texts, dtype=object).reshape(-1, 1)
    assert np.array_equal(made.run(None, {"x": X})[0], transformer.transform(X))


def test_the_most_frequent_category_is_first_and_rare_ones_are_any_other():
    X = np.array([["a", "x"], ["b", "x"], ["b", "y"], ["", "y"], ["", "z"], ["", "z"]], dtype=object)
    asked = np.array([["", "x"], ["b", "z"], ["a", "?"]], dtype=object)
    assert CategoryCodes().fit(X).transform(asked).tolist() == [[0, 0], [1, 2], [2, -1]]
    assert CategoryCodes(fewest=2).fit(X).transform(asked).tolist() == [[0, 0], [1, 2], [-1, -1]]


def test_what_they_make():
    texts = np.array([["Braund, Mr. Owen"], ["none"], [""]], dtype=object)
    numbers = np.array([[8, 1, 2], [np.nan, 0, 0]], dtype=np.float32)
    assert TextBetween(", ", ".").transform(texts).tolist() == [["Mr"], [""], [""]]
    assert MissingFlag().transform(texts).tolist() == [[0], [0], [1]]
    assert MissingFlag().transform(numbers).tolist() == [[0, 0, 0], [1, 0, 0]]
    assert CategoryFlags(("none", "x")).transform(texts).tolist() == [[0, 0], [1, 0], [0, 0]]
    assert RegexFlags({"n": "n.*", "e": ""}).transform(texts).tolist() == [[0, 0], [1, 0], [0, 1]]
    assert RowSum(1).transform(numbers)[0].tolist() == [12]
    assert Quotient(1).transform(numbers)[0].tolist() == [2]


@pytest.mark.parametrize(
    "pattern", [r"C\s", r"[\S]", "(?i)k", "(?si)k", "C$\n", r"\\\s", "a{,3}", "[[:alpha:]]", "(a|$)b"]
)
def test_a_pattern_that_means_two_things_is_refused(pattern):
    with pytest.raises(ValueError, match="pattern 'p': .* means one thing to Python and another"):
        RegexFlags({"p": pattern}).fit(np.array([["a"]], dtype=object))


@pytest.mark.parametrize("pattern", [r"\\s", r"\$", "[$i]", r"[\]$]", "(?s).", "(?:i)", "a{1,3}", "[a:]"])
def test_a_pattern_that_only_looks_like_it_is_taken(pattern):
    RegexFlags({"p": pattern}).fit(np.array([["a"]], dtype=object))
