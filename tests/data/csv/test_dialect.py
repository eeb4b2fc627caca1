"""How a CSV file is written: recognised and said, or declared."""

import pytest

from lifeboat.config.errors import UseCaseError
from lifeboat.data.csv.dialect import Csv
from tests.data.csv.files import read, refused


@pytest.mark.parametrize(("mark", "said"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'"), (",", None)])
def test_a_delimiter_is_recognised_and_all_but_a_comma_is_said(tmp_path, mark, said):
    found = read(tmp_path, "name,age\nDoe J.,30\n".replace(",", mark))
    assert found == ({"name": ["Doe J."], "age": ["30"]}, [f"fields are separated by {said}"] if said else [])


def test_of_two_marks_in_the_header_the_one_that_splits_every_row_alike_is_taken(tmp_path):
    found, said = read(tmp_path, "name, first;age\nJon;30\n")
    assert found == {"name, first": ["Jon"], "age": ["30"]}
    assert said == ["fields are separated by ';'"]
    assert read(tmp_path, "a;b,c\n1,2\n3,4\n") == ({"a;b": ["1", "3"], "c": ["2", "4"]}, [])


def test_a_table_of_one_column_has_no_delimiter_to_recognise(tmp_path):
    assert read(tmp_path, "text\na;b\nc|d\n") == ({"text": ["a;b", "c|d"]}, [])
    assert refused(tmp_path, "x\n1,5\n").problem == "has 2 fields, the header has 1"


def test_apostrophes_around_a_whole_column_are_quotes(tmp_path):
    found, said = read(tmp_path, "id,name\n1,'Doe, J'\n2,'O''Hara'\n3,\n")
    assert found == {"id": ["1", "2", "3"], "name": ["Doe, J", "O'Hara", ""]}
    assert said == ["fields are quoted by '"]


@pytest.mark.parametrize(
    "rows", ["1,'t Hooft\n2,Ann\n", "1,'x'\n2,Ann\n", "1,'s\n2,boys'\n", "1,rock'n'roll\n", "1,\"a, 'b'\"\n"]
)
def test_apostrophes_in_a_text_are_no_quotes(tmp_path, rows):
    found, said = read(tmp_path, f"id,name\n{rows}")
    assert found["name"] == [line.partition(",")[2].strip('"') for line in rows.splitlines()]
    assert said == []


def test_decimal_commas_become_points_in_the_columns_of_numbers(tmp_path):
    rows = "7,25;1,5;;1,234;2,50 EUR;a\n-8;2;3,5E+02;NA;1,5;b\n"
    found, said = read(tmp_path, f"fare;x;late;weight;price;name\n{rows}")
    assert found == {
        "fare": ["7.25", "-8"], "x": ["1.5", "2"], "late": ["", "3.5E+02"], "weight": ["1.234", "NA"],
        "price": ["2,50 EUR", "1,5"], "name": ["a", "b"],
    }  # fmt: skip
    assert said == ["fields are separated by ';'", "decimals are written with a comma: fare, x, late, weight"]


def test_a_decimal_comma_behind_the_first_rows_is_read_too(tmp_path):
    found, _ = read(tmp_path, "a;b\n" + "1,5;\n" * 30_000 + "2;7,5\n")
    assert found["b"][-1] == "7.5"


@pytest.mark.parametrize("cell", ["1,234", "12,345", "-999,000"])
def test_a_comma_that_may_stand_between_thousands_is_no_decimal_comma(tmp_path, cell):
    assert read(tmp_path, f"a\tb\n{cell}\tx\n")[0] == {"a": [cell], "b": ["x"]}
    assert read(tmp_path, f"a\tb\n{cell}\tx\n", Csv(decimal=","))[0] == {"a": [cell.replace(",", ".")], "b": ["x"]}


@pytest.mark.parametrize("cell", ["1.234", "1.234.567"])
def test_points_between_thousands_are_refused_and_never_read_as_decimals(tmp_path, cell):
    error = refused(tmp_path, f"a;b\n1,5;x\n{cell};y\n")
    assert (error.row, error.column) == (2, "a")
    assert error.problem.startswith("a number has points between its thousands")
    late = refused(tmp_path, "a;b\n" + "1,5;x\n" * 100_000 + f"{cell};y\n")
    assert (late.row, late.column) == (100_001, "a")
    assert read(tmp_path, f"a;b\n1,5;x\n{cell};y\n", Csv(decimal="."))[0]["a"] == ["1,5", cell]


def test_a_quoted_decimal_comma_between_commas_is_read_where_it_is_declared(tmp_path):
    assert read(tmp_path, 'a,b\n"1,5",x\n') == ({"a": ["1,5"], "b": ["x"]}, [])
    assert read(tmp_path, 'a,b\n"1,5",x\n', Csv(decimal=",")) == ({"a": ["1.5"], "b": ["x"]}, [])


def test_blanks_behind_every_delimiter_are_left_out(tmp_path):
    rows = '39, State-gov, 77516\n50,  "Self, not  inc" ,\n'.replace('" ,', '",')
    found, said = read(tmp_path, f"age, work, weight\n{rows} 38, , 21\n")
    assert found == {
        "age": ["39", "50", "38"],
        "work": ["State-gov", "Self, not  inc", ""],
        "weight": ["77516", "", "21"],
    }
    assert said == ["blanks after a delimiter are left out"]


def test_blanks_behind_some_delimiters_stay(tmp_path):
    assert read(tmp_path, "a,b\n1, x\n2,y\n") == ({"a": ["1", "2"], "b": [" x", "y"]}, [])
    assert read(tmp_path, "a,b\n1, x\n2, y\n", Csv(trim=False))[0]["b"] == [" x", " y"]
    assert read(tmp_path, 'a,b\n1, x\n2," y"\n', Csv(trim=True))[0]["b"] == ["x", " y"]


def test_blanks_and_marks_around_names_are_left_out_and_dots_and_blanks_inside_stay(tmp_path):
    found, said = read(tmp_path, "\ufeff\xa0sepal.length , petal width\xa0,y\n1,2,3\n")
    assert list(found) == ["sepal.length", "petal width", "y"]
    assert said == ["blanks around a column's name are left out"]
    assert refused(tmp_path, "a,a \n1,2\n").problem == "columns named twice: a"


@pytest.mark.parametrize("name", ["", "Unnamed: 0", '""'])
@pytest.mark.parametrize("start", [0, 1])
def test_an_unnamed_first_column_that_counts_the_rows_is_left_out(tmp_path, name, start):
    rows = "".join(f"{start + row},{row * 7}\n" for row in range(3))
    assert read(tmp_path, f"{name},x\n{rows}") == (
        {"x": ["0", "7", "14"]},
        ["an unnamed first column that counts the rows is left out"],
    )


@pytest.mark.parametrize("text", [",x\n3,1\n7,2\n", ",x\na,1\n", "id,x\n0,1\n1,2\n", "Unnamed: 0\n0\n1\n"])
def test_another_first_column_stays(tmp_path, text):
    found, said = read(tmp_path, text)
    assert len(found) == text.partition("\n")[0].count(",") + 1
    assert said == []


def test_what_is_declared_is_taken_without_a_word(tmp_path):
    csv = Csv(delimiter=":", decimal=",", quote="~", trim=True, encoding="cp1250")
    found = read(tmp_path, "kraj: waga\n~Łódź: PL~: 1,5\n".encode("cp1250"), csv)
    assert found == ({"kraj": ["Łódź: PL"], "waga": ["1.5"]}, [])
    assert read(tmp_path, 'a,b\n"x,5" y"\n', Csv(quote="")) == ({"a": ['"x'], "b": ['5" y"']}, [])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"delimiter": ";;"}, "csv: delimiter is ';;', it must be one ASCII character, no letter or digit"),
        ({"delimiter": "x"}, "csv: delimiter is 'x'"),
        ({"delimiter": "\n"}, "csv: delimiter is"),
        ({"decimal": ";"}, "csv: decimal is ';', it must be '.' or ','"),
        ({"encoding": "cp-none"}, "csv: encoding is 'cp-none', it must be a text encoding that Python knows"),
        ({"encoding": "rot13"}, "csv: encoding is 'rot13'"),
        ({"quote": "ab"}, "csv: quote is 'ab'"),
        ({"trim": "yes"}, "csv: trim is 'yes', it must be True, False or None"),
        ({"quote": ";", "delimiter": ";"}, "csv: quote and delimiter are both ';', they must differ"),
        ({"trim": True, "delimiter": " "}, "csv: trim is True"),
    ],
)
def test_a_declaration_without_a_valid_value_is_refused(fields, sentence):
    with pytest.raises(UseCaseError) as error:
        Csv(**fields)
    assert str(error.value).startswith(sentence)
