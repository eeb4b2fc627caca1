from html.parser import HTMLParser

from lifeboat.preprocess.step import preprocess
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.preprocess.world import make_usecase, outputs, quiet, rows, write

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.cells = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data
        self.cells += [data.strip()] if data.strip() else []

    def after(self, cell, count):
        """So many cells that stand behind one."""
        place = self.cells.index(cell)
        return self.cells[place + 1 : place + 1 + count]


def profile(tmp_path, table, usecase):
    out = outputs(tmp_path / "out")
    preprocess(usecase, write(tmp_path / "rows.csv", table), out, say=quiet)
    text = out.profile.read_text(encoding="utf-8")
    return text, Page(text)


def test_hostile_names_and_values_are_only_text(tmp_path):
    columns = (Column(HOSTILE, "string", description=HOSTILE), Column("dose", "float", nullable=True))
    schema = Schema(columns, BinaryLabel("cured", ("ill", HOSTILE)))
    usecase = make_usecase(schema, title=HOSTILE, baseline=())
    table = [{HOSTILE: HOSTILE, "dose": n % 50, "cured": n % 2} for n in range(60)]
    text, page = profile(tmp_path, table, usecase)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script" not in text
    assert page.text.count(HOSTILE) >= 4
    labels = [attributes["aria-label"] for _, attributes in page.tags if "aria-label" in attributes]
    assert f"distribution of {HOSTILE}" in labels


def test_every_column_and_count_is_shown(tmp_path):
    table = [row | ({"dose": ""} if row["id"] <= 30 else {}) for row in rows()]
    table[0]["sex"] = "x"
    _, page = profile(tmp_path, table, make_usecase())
    assert sum(tag == "article" for tag, _ in page.tags) == 3
    for shown in ("dose", "sex", "note", "60", "in quarantine", "29 (49.2 %)", "median", "well"):
        assert shown in page.text


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    _, page = profile(tmp_path, rows(), make_usecase())
    assert not {"img", "iframe", "script"} & {tag for tag, _ in page.tags}
    addresses = [attributes[key] for _, attributes in page.tags for key in ("src", "href") if key in attributes]
    assert all(address.startswith("data:image/svg+xml,") for address in addresses), addresses


def test_no_value_of_a_free_text_is_shown_but_how_long_it_is(tmp_path):
    table = [row | {"note": "Doe, Jane"} for row in rows()]
    table[1]["sex"] = "Poe, Edgar"
    text, page = profile(tmp_path, table, make_usecase())
    assert "Doe" not in text
    assert "Poe" not in text
    assert "9 characters" in page.text


def test_why_rows_are_in_quarantine_is_counted_by_column(tmp_path):
    table = [row | ({"dose": "900"} if row["id"] <= 4 else {}) for row in rows()]
    table[10]["sex"] = "x"
    _, page = profile(tmp_path, table, make_usecase())
    assert page.after("cells of the table", 6) == [
        "dose", "is outside 0 to 100", "4", "sex", "is none of the categories", "1",
    ]  # fmt: skip


def test_a_key_that_keeps_rows_together_is_on_one_side(tmp_path):
    _, page = profile(tmp_path, rows(), make_usecase())
    assert page.after("values on both sides of the split", 14) == [
        "id", "identifies a row", "60", "0", "0", "1", "0",
        "family", "keeps rows together", "30", "0", "60", "2", "0",
    ]  # fmt: skip
