import dataclasses
import re
from html.parser import HTMLParser

import pytest

from lifeboat.evaluate.card import escape_markdown, model_card
from lifeboat.evaluate.card_text import card_content
from lifeboat.evaluate.step import evaluate
from lifeboat.usecase.gates import AtLeast, AtMost, BeatsChampion, NoSliceWorse
from lifeboat.usecase.usecase import Slice
from tests.evaluate.world import make_bundle, make_usecase, quiet, rows, write_rows

HOSTILE = "<script>alert(1)</script>|[x](javascript:y)`$\\frac"


def carded(tmp_path, columns=None, *, champion=None, usecase=None):
    usecase = usecase or make_usecase(slices=(Slice("sex"), Slice("age", edges=(16,))))
    bundle = make_bundle(tmp_path / "bundle")
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet", columns), champion=champion, say=quiet)
    return model_card(found, bundle, usecase), found


class Tags(HTMLParser):
    """Counts the tags and keeps the addresses of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_is_complete_in_itself(tmp_path):
    card, _ = carded(tmp_path)
    page = Tags(card.html)
    assert page.tags.count("img") == len(card.plots) == 6
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_plots_are_png_and_named_in_the_markdown(tmp_path):
    card, _ = carded(tmp_path)
    assert list(card.plots) == ["roc", "precision_recall", "calibration", "scores", "confusion", "slices"]
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
    card, _ = carded(tmp_path, columns, usecase=usecase)
    assert "script" not in Tags(card.html).tags
    assert "&lt;script&gt;" in card.html
    assert "<script" not in card.markdown
    assert not re.search(r"(?<!\\)\]\(javascript", card.markdown)
    rows_of_table = [line for line in card.markdown.splitlines() if line.startswith("| sex = ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows_of_table} == {7}


def test_names_that_no_font_has_or_that_are_endless_can_be_drawn(tmp_path, recwarn):
    columns = rows(200)
    columns["sex"][:40], columns["sex"][40:80] = "𓀀" * 5, "long " * 40
    columns["sex"][80:120] = r"$\nonsense{$"
    card, _ = carded(tmp_path, columns, usecase=make_usecase(slices=(Slice("sex"),)))
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


def test_lineage_is_shown_however_nested(tmp_path):
    usecase, bundle = make_usecase(), make_bundle(tmp_path / "b")
    found = evaluate(usecase, bundle, write_rows(tmp_path / "t.parquet"), say=quiet)
    trials = [{"candidate": f"model {number}", "parameters": {"depth": None}} for number in range(20)]
    lineage = {"data": {"digest": "abc"}, "seed": 0}
    manifest = bundle.manifest | {"lineage": lineage, "training": {"trials": trials}}
    sections = card_content(found, dataclasses.replace(bundle, manifest=manifest), usecase)["sections"]
    assert sections["Lineage"] == [("data, digest", "abc"), ("seed", "0")]
    assert sections["Training"][0] == ("trials 1", "candidate: model 0, parameters: depth: none")
    assert sections["Training"][-1] == ("trials", "and 8 more")
    assert sections["Held-out rows"][0] == ("file", "t.parquet")
    assert "Versions" not in sections
