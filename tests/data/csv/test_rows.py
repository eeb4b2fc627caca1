"""No row of a CSV file is lost, added or changed in silence: quotes, empty lines, encodings, packed files."""

import bz2
import csv
import gzip
import io
import lzma
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.errors import DataError
from lifeboat.data import reading
from lifeboat.data.csv import parser as csv_parser
from lifeboat.data.csv.dialect import Csv
from lifeboat.data.reading import read_table
from tests.data.csv.files import read, refused, written

REMEDY = "; close it, double a quote that is part of the text, or declare Csv(quote='') where quotes are ordinary text"
OPEN = f"a quote that opens here is never closed{REMEDY}"
BEHIND = f"text stands behind the quote that closes this field of several lines{REMEDY}"


@pytest.fixture(params=[9, 1 << 20])
def blocks(request, monkeypatch):
    """Pieces of a row or two, and one that holds the whole file."""
    monkeypatch.setattr(reading, "_CSV_BLOCK", request.param)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_is_read_and_the_last_may_be_missing(tmp_path, ending, last):
    lines = ["a,b", "1,x y", '2,"z, ""q"""', "3,", "4,5' 6\" pipe", f'5,"two{ending}lines"', "6,é"]
    found = read(tmp_path, ending.join(lines) + (ending if last else ""))
    texts = ["x y", 'z, "q"', "", "5' 6\" pipe", f"two{ending}lines", "é"]
    assert found == ({"a": list("123456"), "b": texts}, [])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("rows", "row", "column", "problem"),
    [
        ('1,a\n2,"5 inch\n3,b\n4,c\n', 2, "y", OPEN),
        ('1,"a\nb"\n\n2,"5 inch\n3,b\n4,c', 2, "y", OPEN),
        ('"1,a', 1, "x", OPEN),
        ('1,a\n2,"', 2, "y", OPEN),
        ('1,a\n2,"b""\n', 2, "y", OPEN),
        ('1,a\n2,"5 inch\n3,b\n4,"6 inch\n5,c\n', 2, "y", BEHIND),
        ('1,5" pipe\n2,"5 inch\n3,b\n4,"6 inch\n5,c\n', 2, "y", BEHIND),
    ],
)
def test_a_quote_that_would_swallow_rows_is_an_error_at_its_row(tmp_path, rows, row, column, problem):
    error = refused(tmp_path, f"x,y\n{rows}")
    assert (error.row, error.column, error.problem) == (row, column, problem)


def test_an_unclosed_quote_before_a_long_rest_is_found_at_its_row(tmp_path):
    rows = 20_000
    error = refused(tmp_path, "x,y\n" + "1,a\n" * rows + '2,"b\n' + "3,c\n" * 1_000_000)
    assert (error.row, error.problem) == (rows + 1, OPEN)


def test_a_row_longer_than_any_row_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_parser, "_LONGEST_ROW", 1000)
    monkeypatch.setattr(reading, "_CSV_BLOCK", 100)
    assert len(read(tmp_path, "x,y\n1," + "a" * 900 + "\n")[0]["y"][0]) == 900
    error = refused(tmp_path, "x,y\n1,a\n2," + "a" * 2000 + "\n")
    assert (error.row, error.problem) == (2, "is longer than 1,000 bytes")


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_an_empty_line_of_one_column_is_a_row(tmp_path, ending):
    found, said = read(tmp_path, ending.join(["x", "1.5", "", "-2.5", "", ""]))
    assert found == {"x": ["1.5", "", "-2.5", ""]}
    assert said == ["empty lines are rows without a value (2)"]


def test_nulls_of_one_column_come_back_as_arrow_writes_them(tmp_path):
    pa.csv.write_csv(pa.table({"x": [None, 1.5, None, None]}), tmp_path / "rows.csv")
    assert read_table(tmp_path / "rows.csv")["x"].to_pylist() == ["", "1.5", "", ""]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_empty_lines_of_a_wider_table_are_left_out_and_counted_between_rows(tmp_path, ending):
    lines = ["x,y", "", "1,a", "", "", '2,"b', "", 'c"', "", "3,d", "", "", ""]
    found, said = read(tmp_path, ending.join(lines))
    assert found == {"x": ["1", "2", "3"], "y": ["a", f"b{ending}{ending}c", "d"]}
    assert said == ["empty lines are left out (4)"]


@pytest.mark.parametrize("text", ["x,y\n1,a\n\n\n", "x,y\n1,a\r\n\r\n", "x,y\n1,a\n" + "\n" * 3_000_000])
def test_empty_lines_at_the_end_of_a_wider_table_are_nothing(tmp_path, text):
    assert read(tmp_path, text) == ({"x": ["1"], "y": ["a"]}, [])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("rows", ["1,a\n\n2\n", '1,"a\nb"\n\n2\n', "1,a\n2,b,c\n"])
def test_a_row_with_a_wrong_number_of_fields_is_named(tmp_path, rows):
    error = refused(tmp_path, f"x,y\n{rows}")
    assert error.row == 2
    assert error.problem in ("has 1 fields, the header has 2", "has 3 fields, the header has 2")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x,y", "has a header but no rows"),
        ("x,y\n\n\n", "has a header but no rows"),
        ("\nx,y\n", "its first line is empty and should be the header"),
        ('x,"y\n1,2\n', 'has no readable header: a quote (") in it is never closed'),
        ("x" * 5_000_000, "has no readable header: no line ends in its first 4,"),
    ],
)
def test_a_file_without_a_header_or_rows_is_refused(tmp_path, text, sentence):
    assert refused(tmp_path, text).problem.startswith(sentence)


def test_a_header_longer_than_the_first_rows_that_are_looked_at_is_read(tmp_path):
    names = [f"column {number}" for number in range(20_000)]
    found, said = read(tmp_path, ",".join(names) + "\n" + ",".join("1" * 20_000) + "\n")
    assert list(found) == names
    assert said == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding):
    found, said = read(tmp_path, "x;y\n1;é€𝄞\n".encode(encoding))
    assert found == {"x": ["1"], "y": ["é€𝄞"]}
    name = encoding.upper()
    mark = [] if encoding == "utf-8-sig" else [f"read as {name}, as its byte order mark says"]
    assert said == [*mark, "fields are separated by ';'"]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("encoding", ["cp1250", "shift_jis", "utf-16-le", "latin-1", "utf-8"])
def test_a_declared_encoding_is_read(tmp_path, encoding):
    texts = [text.encode(encoding, "ignore").decode(encoding) for text in ("Łódź", "日本", "é,ß", "x")]
    content = "x,y\n" + "".join(f'{row},"{text}"\n' for row, text in enumerate(texts))
    found, said = read(tmp_path, content.encode(encoding), Csv(encoding=encoding))
    assert found["y"] == texts
    assert said == []


@pytest.mark.parametrize(
    ("csv_", "rows", "byte", "name"),
    [
        (Csv(), b"1,a\n\n2,\xe9\n", "0xe9", "UTF-8"),
        (Csv(), b"1,a\n" * 40_000 + b'2,"b\n\xff"\n', "0xff", "UTF-8"),
        (Csv(encoding="cp1252"), b'1,"a\nb"\n2,\x81\n', "0x81", "cp1252"),
        (Csv(encoding="ascii"), b"1,a\n" * 40_000 + b"2,\xc3\xa9", "0xc3", "ascii"),
    ],
)
def test_a_byte_of_another_encoding_is_named_with_its_row_and_the_remedy(tmp_path, csv_, rows, byte, name):
    error = refused(tmp_path, b"x,y\n" + rows, csv_)
    assert error.problem == (
        f"byte {byte} is not {name}; save the file as UTF-8 or declare its encoding in the use case, "
        'such as Csv(encoding="cp1252")'
    )
    assert (error.row, error.column) == (rows.count(b"\n1,") + 2, "y" if rows.count(b"\n") > 9 else error.column)


PACKERS = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def packed(kind, data):
    if kind in PACKERS:
        return PACKERS[kind](data)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz", "zstd", "lz4"])
def test_a_packed_file_is_read_whatever_its_name(tmp_path, kind):
    content = "x;y\n" + "".join(f"{row};é{row}\n" for row in range(50_000))
    found, said = read(tmp_path, packed(kind, content.encode()))
    assert found["y"] == [f"é{row}" for row in range(50_000)]
    assert said == [f"read as {kind}", "fields are separated by ';'"]


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz", "zstd", "lz4"])
def test_a_torn_packed_file_is_refused(tmp_path, kind):
    content = "x,y\n" + "".join(f"{row},{row * row % 977}\n" for row in range(50_000))
    torn = packed(kind, content.encode())[:-40]
    assert refused(tmp_path, torn).problem.startswith(f"is not a whole {kind} file: ")


def test_two_packed_files_in_one_are_read_as_one(tmp_path):
    assert read(tmp_path, gzip.compress(b"x,y\n1,2\n") + gzip.compress(b"3,4\n"))[0]["x"] == ["1", "3"]


@pytest.mark.parametrize("name", ["rows.tsv", "rows.txt", "rows.data", "rows"])
def test_the_content_says_what_a_file_is(tmp_path, name):
    assert read_table(written(tmp_path, "x\ty\n1\t2\n", name)).to_pydict() == {"x": ["1"], "y": ["2"]}
    pq.write_table(pa.table({"x": [1]}), tmp_path / name)
    assert read_table(tmp_path / name).to_pydict() == {"x": [1]}


def test_an_office_file_is_refused_by_what_it_is(tmp_path):
    with zipfile.ZipFile(tmp_path / "rows.csv", "w") as archive:
        archive.writestr("sheet", "x")
    with pytest.raises(DataError, match=r"is a zip archive, as a \.xlsx workbook is; save or unpack it as CSV"):
        read_table(tmp_path / "rows.csv")
    assert "is an old Office file" in refused(tmp_path, b"\xd0\xcf\x11\xe0" + b"\0" * 99).problem


def test_a_reader_that_is_left_early_ends_its_process_well(tmp_path):
    written(tmp_path, "x,y\n" + '1,"a\nb"\n' * 600_000)
    code = "import sys; from pathlib import Path; from lifeboat.data.reading import read_batches"
    for rest in ("next(read_batches(Path(sys.argv[1])))", "list(read_batches(Path(sys.argv[1])))"):
        subprocess.run([sys.executable, "-c", f"{code}; {rest}", str(tmp_path / "rows.csv")], check=True, timeout=60)


TEXT = st.text(st.sampled_from(list("ab1. ,;\t|'\"\n\r~é0-")), max_size=7)
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1))
WRITTEN = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
    }
)


def write(rows, **style):
    """The text, and the columns that it holds. Python quotes a line end only where it is the file's own."""
    ends = "\r\n" if style["quoting"] == csv.QUOTE_ALL else style["lineterminator"]
    rows = [["".join(c for c in cell if c not in "\r\n" or c in ends) for cell in row] for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, **style)
    writer.writerow([f"c{number}" for number in range(len(rows[0]))])
    writer.writerows(rows)
    return text.getvalue(), {f"c{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}


@given(
    rows=ROWS,
    style=WRITTEN,
    block=st.sampled_from([5, 16, 64, 1 << 20]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
def test_what_python_writes_is_read_back_where_it_is_declared(tmp_path_factory, rows, style, block, encoding):
    text, columns = write(rows, **style)
    folder = tmp_path_factory.mktemp("rows")
    declared = Csv(style["delimiter"], ".", encoding, style["quotechar"], trim=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CSV_BLOCK", block)
        assert read(folder, text.encode(encoding), declared)[0] == columns


@given(rows=ROWS, style=WRITTEN, block=st.sampled_from([5, 64, 1 << 20]))
def test_what_python_writes_is_recognised_or_refused_or_changed_only_as_said(tmp_path_factory, rows, style, block):
    text, columns = write(rows, **style | {"quotechar": '"'})
    folder = tmp_path_factory.mktemp("rows")
    usual = {f"fields are separated by {name}" for name in ("';'", "tabs", "'|'")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CSV_BLOCK", block)
        found, said = read_or_refuse(folder, text)
    if isinstance(found, DataError):
        # One column whose header has no delimiter, apostrophes around all of a column, points beside commas.
        assert len(columns) == 1 or "'" in text or "points between its thousands" in str(found)
        return
    assert {len(column) for column in found.values()} == {len(rows)}
    assert found == columns or [sentence for sentence in said if sentence not in usual]


def read_or_refuse(folder, text):
    try:
        return read(folder, text)
    except DataError as error:
        return error, []
