import dataclasses
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from lifeboat.evaluate.card import escape_markdown, model_card
from lifeboat.evaluate.card_text import card_content
from lifeboat.evaluate.card_training import training_content
from lifeboat.evaluate.reports.report import report_of
from lifeboat.evaluate.step import evaluate
from lifeboat.usecase.gates import AtLeast, AtMost, BeatsBaseline, BeatsChampion, NoSliceWorse
from lifeboat.usecase.schema import Column, Schema
from lifeboat.usecase.usecase import Slice
from tests.evaluate.world import BASELINE, SCHEMA_OF_ALL, make_bundle, make_usecase, quiet, rows, write_rows

HOSTILE = "<script>alert(1)</script>|[x](javascript:y)`$\\frac"


def carded(tmp_path, columns=None, *, champion=None, usecase=None, drawn=False):
    """A card, without its plots unless these are asked for: drawing them takes seconds."""
    usecase = usecase or make_usecase(slices=(Slice("sex"), Slice("age", edges=(16,))))
    bundle = make_bundle(tmp_path / "bundle")
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet", columns), champion=champion, say=quiet)
    return model_card(found, bundle, usecase, plots=None if drawn else {}), found


_usual = []


@pytest.fixture
def usual(tmp_path_factory):
    """A card with all its plots, of a usual model, and what it was evaluated to; made once, which takes seconds.

    Not by a fixture of the module: what is patched for each test (see conftest.py) would be as it is for users.
    """
    if not _usual:
        _usual.append(carded(tmp_path_factory.mktemp("usual"), drawn=True))
    return _usual[0]


class Tags(HTMLParser):
    """Counts the tags and keeps the addresses of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses, self.attributes = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_is_complete_in_itself(usual):
    card, _ = usual
    page = Tags(card.html)
    assert page.tags.count("svg") == len(card.plots) == 12
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not {"script", "iframe", "img"} & set(page.tags)


def test_what_a_plot_refers_to_is_its_own(usual):
    """Ids are those of one plot: a browser takes the first of two."""
    card, _ = usual
    defined = re.findall(r'\bid="([^"]+)"', card.html)
    used = {address[1:] for address in Tags(card.html).addresses if address.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", card.html))
    assert used
    assert used <= set(defined)
    assert len(defined) == len(set(defined))


def test_plots_are_png_and_named_in_the_markdown(usual):
    card, _ = usual
    explained = ["importance", "contributions", *(f"dependence_{place}" for place in range(1, 5))]
    assert list(card.plots) == [
        *explained, "roc", "precision_recall", "calibration", "scores", "confusion", "slices",
    ]  # fmt: skip
    assert all(image.startswith(b"\x89PNG") for image in card.plots.values())
    assert re.findall(r"\((\w+)\.png\)", card.markdown) == list(card.plots)


def test_every_reason_and_every_criterion_is_shown(tmp_path):
    gates = (AtLeast("roc_auc", 0.999), AtMost("log_loss", 0.001), BeatsChampion("roc_auc"), NoSliceWorse())
    card, found = carded(tmp_path, usecase=make_usecase(*gates, slices=(Slice("sex"),)))
    assert len(found.verdict.reasons) == 2
    assert "does not ship" in card.html
    assert "does not ship" in card.markdown
    for item in found.verdict.criteria:
        assert item.why in card.html
        assert str(escape_markdown(item.why)) in card.markdown
    for text in (card.html, card.markdown):
        assert "ROC AUC at least 0.999" in text
        assert "Log loss at most 0.001: 0." in text
    assert card.html.count("✗") == 2
    assert card.html.count("✓") == 2


def test_a_passed_gate_is_said(tmp_path):
    card, _ = carded(tmp_path)
    assert "The gate is passed" in card.html
    assert "There is no champion yet" in card.markdown


def test_the_comparison_with_the_champion_is_shown(tmp_path):
    champion = make_bundle(tmp_path / "champion", {"dose": 1.0})
    card, found = carded(tmp_path, champion=champion)
    assert f"Compared with the champion {champion.digest[:12]} on 400 rows" in card.html
    assert "gain on champion" in card.html
    lost = found.evidence.champion.slices["sex = male"]
    assert f"{lost.won} : {lost.lost}" in card.markdown


@pytest.mark.parametrize("below", [0.01, 0.2])
def test_why_there_was_no_comparison_is_shown(tmp_path, below):
    salt = "s" if below < 0.1 else "t"
    champion = make_bundle(tmp_path / "champion", {"dose": 1.0}, split={"salt": salt, "below": below})
    card, found = carded(tmp_path, champion=champion)
    assert found.evidence.note.split("(")[0].strip() in card.html


def test_hostile_strings_are_text(tmp_path):
    columns = rows(200)
    columns["sex"][:40] = HOSTILE
    usecase = make_usecase(slices=(Slice("sex"),), title=HOSTILE)
    card, _ = carded(tmp_path, columns, usecase=usecase, drawn=True)
    assert "script" not in Tags(card.html).tags
    assert "&lt;script&gt;" in card.html
    assert "<script" not in card.markdown
    assert not re.search(r"(?<!\\)\]\(javascript", card.markdown)
    rows_of_table = [line for line in card.markdown.splitlines() if line.startswith("| sex = ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows_of_table} == {7}
    assert not any(name.startswith("on") for name in Tags(card.html).attributes)


def test_names_that_no_font_has_or_that_are_endless_can_be_drawn(tmp_path, recwarn):
    columns = rows(200)
    columns["sex"][:40], columns["sex"][40:80] = "𓀀" * 5, "long " * 40
    columns["sex"][80:120] = r"$\nonsense{$"
    card, _ = carded(tmp_path, columns, usecase=make_usecase(slices=(Slice("sex"),)), drawn=True)
    assert "𓀀𓀀" in card.html
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_markdown_is_escaped_on_one_line():
    assert str(escape_markdown("a|b\n*c* [d](e) `f` <g> & $h$")) == (r"a\|b \*c\* \[d\](e) \`f\` &lt;g&gt; &amp; \$h\$")


def test_limits_name_rows_few_slices_and_nulls(tmp_path):
    columns = rows(200)
    columns["sex"][:5] = "rare"
    columns["age"][:150] = float("nan")
    card, _ = carded(tmp_path, columns)
    assert "All figures rest on 200 held-out rows" in card.html
    assert re.search(r"Too few rows.*sex = rare \(5\)", card.html)
    assert re.search(r"Often missing in these rows: age \(\d\d%\)", card.html)


def test_a_card_says_which_model_it_is_of_and_as_of_when(tmp_path):
    usecase, bundle = make_usecase(), make_bundle(tmp_path / "b", lineage={"usecase": {"commit": "f" * 40}})
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet"), say=quiet)
    at = datetime.fromisoformat(found.evaluated_at)
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5)
    card = model_card(found, bundle, usecase, plots={}, version="12")
    for text in (card.html, card.markdown):
        assert f"{at:%Y-%m-%d %H:%M} UTC" in text
        assert "f" * 12 in text
        assert bundle.digest in text
    assert "<dt>Version:</dt> <dd>12</dd>" in card.html
    assert "- Version: 12" in card.markdown
    assert "Version:" not in model_card(found, bundle, usecase, plots={}).html


def test_no_key_of_the_platform_stands_where_a_name_should(tmp_path):
    gates = (AtLeast("roc_auc", 0.5), AtMost("ece", 1.0), AtMost("latency_p50_us", 1e9), BeatsBaseline("log_loss"))
    card, _ = carded(tmp_path, usecase=make_usecase(*gates, slices=(Slice("sex"),)))
    page = Text(card.html).words
    for text in (page, card.markdown):
        assert not re.search(r"\b(roc_auc|ece|latency_p\d+_us|log_loss|average_precision)\b", text)
    assert "Latency of a row, median (µs) at most 1e+09" in page


class Text(HTMLParser):
    """What a page says."""

    def __init__(self, page):
        super().__init__()
        self.words = ""
        self.feed(page)

    def handle_data(self, data):
        self.words += data


def test_what_explains_the_model_is_on_the_card(usual):
    card, found = usual
    skill = found.explanation.permutation.columns["skill"]
    for text in (card.html, card.markdown):
        assert f"{skill.value:+.4f}" in text
        assert f"{skill.low:+.4f} to {skill.high:+.4f}" in text
        assert "Fall of ROC AUC when shuffled" in text
        assert "Not shown to be worth anything on these rows: age, dose." in text
        assert "among 400 held-out rows" in text
    assert "Mean probability of “well”" in card.html
    assert "female  (n = " in card.html


def test_no_value_of_a_free_text_is_on_the_card(tmp_path):
    columns = (*SCHEMA_OF_ALL.columns, Column("note", "string"))
    schema = Schema(columns, SCHEMA_OF_ALL.label)
    cells = rows(200) | {"note": np.array(["Doe, Mrs. Jane"] * 200, dtype=object)}
    bundle = make_bundle(tmp_path / "b", schema=schema)
    usecase = dataclasses.replace(make_usecase(), schema=schema)
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet", cells), say=quiet)
    assert "note" in found.explanation.permutation.columns
    assert found.explanation.hidden == ("note",)
    for text in (found.to_json(), *dataclasses.astuple(model_card(found, bundle, usecase))[:2]):
        assert "Doe" not in text


def test_a_baseline_that_knows_less_than_nothing_is_told(tmp_path):
    """It says of women what holds of men."""
    groups = [{"values": ["female"], "answer": [0.9, 0.1]}, {"values": ["male"], "answer": [0.1, 0.9]}]
    usecase, test = make_usecase(), write_rows(tmp_path / "t.parquet")
    wrong = make_bundle(tmp_path / "wrong", training={"baseline": {**BASELINE, "groups": groups}})
    found = evaluate(usecase, wrong, test, say=quiet)
    assert found.uninformed["roc_auc"] == 0.5
    assert found.uninformed["log_loss"] == pytest.approx(np.log(2), abs=1e-6)
    auc, loss = (found.baseline[name].value for name in ("roc_auc", "log_loss"))
    said = f"log loss {loss:.3f} against 0.693, ROC AUC {auc:.3f} against 0.500. To beat it says little."
    assert said in " ".join(card_content(found, wrong, usecase)["baseline"])
    groups = [{"values": ["female"], "answer": [0.4, 0.6]}, {"values": ["male"], "answer": [0.5, 0.5]}]
    right = make_bundle(tmp_path / "right", training={"baseline": {**BASELINE, "groups": groups}})
    [only] = card_content(evaluate(usecase, right, test, say=quiet), right, usecase)["baseline"]
    assert only == "The baseline knows only sex: one answer for each of 2 values."


def test_a_trivial_baseline_and_a_model_worse_than_that_are_told(tmp_path):
    usecase, test = make_usecase(), write_rows(tmp_path / "t.parquet")
    trivial = {"columns": [], "overall": [0.5, 0.5], "groups": []}
    bundle = make_bundle(tmp_path / "b", {"skill": -2.0}, training={"baseline": trivial})
    found = card_content(evaluate(usecase, bundle, test, say=quiet), bundle, usecase)["baseline"]
    assert "knows no column" in found[0]
    assert found[1].startswith("The model itself is no better than one answer for all rows")


TRAINING = {
    "candidate": "forest",
    "parameters": {"forest__max_depth": 5, "learning_rate": 0.05},
    "calibration": [1.25, -0.5],
    "chosen_by": "log_loss",
    "cross_validation": {"rows": 700, "folds": 5, "log_loss": 0.41},
    "left_out": {"kernel": "it cannot be exported"},
    "trials": [
        {"candidate": "forest", "parameters": {"forest__max_depth": 5}, "log_loss": 0.41, "log_loss_spread": 0.02},
        {"candidate": "linear", "parameters": {}, "log_loss": 0.42, "log_loss_spread": 0.03},
        {"candidate": "linear", "parameters": {"C": 9.0}, "log_loss": 0.5, "log_loss_spread": 0.03},
    ],
    "given_up": [
        {"candidate": "linear", "parameters": {"C": 99.0}, "log_loss": 0.9, "log_loss_spread": 0.0, "folds": 1}
    ],
}


def test_every_trial_is_shown_with_its_spread_and_why_it_was_not_chosen(tmp_path):
    task = make_usecase().task
    found = training_content(TRAINING, task, report_of(task))
    assert found["parameters"] == [("max depth", "5"), ("learning rate", "0.05")]
    assert dict(found["facts"]) == {
        "Candidate": "forest",
        "Searched on": "700 training rows, cross-validated in 5 folds",
        "Chosen by": "the best mean log loss over the folds",
        "Calibration": "sigmoid of the log odds, slope 1.250, intercept -0.500",
    }
    assert found["metrics"] == ["Log loss"]
    assert [(row["candidate"], row["parameters"], row["figures"], row["outcome"]) for row in found["trials"]] == [
        ("forest", "max depth 5", ["0.410 ± 0.020"], "chosen"),
        ("linear", "its own", ["0.420 ± 0.030"], "log loss worse by 0.0100, within the spread of the folds"),
        ("linear", "C 9", ["0.500 ± 0.030"], "log loss worse by 0.0900"),
        ("linear", "C 99", ["0.900"], "given up after 1 of 5 folds: worse than most before it"),
        ("kernel", "", [""], "left out: it cannot be exported"),
    ]


def test_trials_of_a_bundle_of_before_have_no_spread(tmp_path):
    task = make_usecase().task
    before = TRAINING | {"trials": [{"candidate": "a", "parameters": {}, "log_loss": 0.4}] * 50, "given_up": []}
    found = training_content(before, task, report_of(task))
    assert found["trials"][0]["figures"] == ["0.400"]
    assert (len(found["trials"]), found["more_trials"]) == (30, "and 21 more")


def test_lineage_is_shown_by_names_for_people(tmp_path):
    usecase, bundle = make_usecase(), make_bundle(tmp_path / "b")
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet"), say=quiet)
    lineage = {"data": {"digest": "abc", "labelled_digest": ""}, "seed": 0, "split": {"share": 0.2}, "new_key": [1, 2]}
    manifest = bundle.manifest | {"lineage": lineage}
    sections = card_content(found, dataclasses.replace(bundle, manifest=manifest), usecase)["sections"]
    assert sections["Data and code"] == [
        ("Table, SHA-256", "abc"), ("Seed", "0"), ("Split, share held out", "0.2"), ("new key", "1, 2"),
    ]  # fmt: skip
    assert sections["Held-out rows"][0] == ("File", "t.parquet")
    assert "Versions" not in sections
