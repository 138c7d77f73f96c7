"""CSV and its kin: dialects, encodings, types, and every kind of malformed file."""

import numpy as np
import pandas as pd
import pytest

from clary.data.errors import DataError
from clary.data.scans import each_batch
from clary.data.sources import delimited as reader
from clary.data.sources import read, scan, types
from clary.data.sources.blocks import row_end


@pytest.fixture
def csv(tmp_path):
    def made(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return made


@pytest.fixture
def small_blocks(monkeypatch):
    """So that a small file has many blocks."""
    monkeypatch.setattr(reader, "FIRST_BYTES", 200)
    monkeypatch.setattr(reader, "MIN_BYTES", 200)
    monkeypatch.setattr(reader, "MAX_BYTES", 200)


def notes_of(frame):
    return " ".join(f"{note.column}: {note.message}" for note in frame.attrs["clary"])


def same(found, expected):
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_dtype=False)


TABLE = {"name": ["anna", "bob"], "weight": [1.5, -2.25], "age": [3, 40]}


@pytest.mark.parametrize(
    "text",
    [
        "name,weight,age\nanna,1.5,3\nbob,-2.25,40\n",
        "name,weight,age\r\nanna,1.5,3\r\nbob,-2.25,40\r\n",
        "name,weight,age\ranna,1.5,3\rbob,-2.25,40\r",
        "name,weight,age\nanna,1.5,3\nbob,-2.25,40",
        "name;weight;age\nanna;1.5;3\nbob;-2.25;40\n",
        "name;weight;age\nanna;1,5;3\nbob;-2,25;40\n",
        "name|weight|age\nanna|1.5|3\nbob|-2.25|40\n",
        "name\tweight\tage\nanna\t1.5\t3\nbob\t-2.25\t40\n",
        '"name","weight","age"\n"anna","1.5","3"\n"bob","-2.25","40"\n',
        "'name','weight','age'\n'anna',1.5,3\n'bob',-2.25,40\n",
        "name, weight, age\nanna, 1.5, 3\nbob, -2.25, 40\n",
        "\n\nname,weight,age\n\nanna,1.5,3\nbob,-2.25,40\n\n",
        "sep=;\nname;weight;age\nanna;1.5;3\nbob;-2.25;40\n",
        "name,weight,age,\nanna,1.5,3,\nbob,-2.25,40,\n".replace("age,", "age"),
    ],
)
def test_a_dialect_is_found(csv, text):
    same(read(csv(text)), TABLE)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_an_encoding_is_found(csv, encoding):
    text = "name,city\nZoë,Köln\nRené,Besançon\n" * 1
    found = read(csv(text.encode(encoding)))
    same(found, {"name": ["Zoë", "René"], "city": ["Köln", "Besançon"]})


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "koi8-r", "shift_jis"])
def test_an_encoding_that_is_named_is_used(csv, encoding):
    word = {"koi8-r": "привет", "shift_jis": "日本"}.get(encoding, "é")
    assert list(read(csv(f"a,b\n{word},1\n".encode(encoding)), encoding=encoding)["a"]) == [word]


def test_an_encoding_that_was_guessed_is_noted(csv):
    assert "cp1252" in notes_of(read(csv("a\nélan\n".encode("cp1252"))))


def test_an_unknown_encoding_is_an_error(csv):
    with pytest.raises(DataError, match="encoding='klingon'"):
        read(csv("a\n1\n"), encoding="klingon")


def test_a_wrong_encoding_is_an_error(csv):
    with pytest.raises(DataError, match="not utf-16"):
        read(csv(b"a,b\n1,2"), encoding="utf-16-le")


def test_quoted_fields_hold_delimiters_quotes_and_newlines(csv):
    found = read(csv('a,b\n"x,y","say ""hi"""\n"two\nlines",z\n'))
    same(found, {"a": ["x,y", "two\nlines"], "b": ['say "hi"', "z"]})


def test_rows_of_many_lines_are_never_cut(csv, small_blocks):
    values = [f'first {number}\nsecond, "{"x" * (number % 37)}"\n\nlast' for number in range(300)]
    frame = pd.DataFrame({"text": values, "number": range(300)})
    path = csv("")
    frame.to_csv(path, index=False)
    same(read(path), frame)


def test_quotes_amid_words_are_letters(csv, small_blocks):
    rows = [f'{number}" wide,{number}' for number in range(200)]
    same(read(csv("size,n\n" + "\n".join(rows))), {"size": [f'{n}" wide' for n in range(200)], "n": range(200)})


def test_a_block_ends_outside_of_quotes():
    assert row_end(b'a,"x\ny",b\nc,"z\n', b"\n", '"', ",") == 10
    assert row_end(b'a,"x\n', b"\n", '"', ",") == 0
    assert row_end(b'5" pipe,1\n6" pipe,2\n7"', b"\n", '"', ",") == 20


def test_without_a_header_columns_are_numbered(csv):
    found = read(csv("1,2.5\n3,4.5\n"))
    same(found, {"column_1": [1, 3], "column_2": [2.5, 4.5]})
    assert "first line is data" in notes_of(found)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n1,2\n", True),
        ("1,2\n3,4\n", False),
        ("a,b\nx,y\nz,w\n", True),
        ("x,1\ny,2\nz,3\n", False),
        ("a\n2020-01-01\n", True),
        ("id,2019,2020\nx,1,2\ny,3,4\n", False),  # in doubt numbers are data: header=True overrides this
    ],
)
def test_a_header_is_recognized_by_its_fields(csv, text, header):
    assert (read(csv(text)).columns[0] != "column_1") is header


def test_a_header_that_is_in_doubt_is_noted(csv):
    assert "taken for names" in notes_of(read(csv("a,b\nx,y\nz,w\n")))
    assert "taken for names" not in notes_of(read(csv("a,b\nx,1\nz,2\n")))


def test_header_and_names_are_as_the_caller_gives_them(csv):
    path = csv("1,2\n3,4\n")
    same(read(path, header=True), {"1": [3], "2": [4]})
    same(read(path, names=["x", "y"]), {"x": [1, 3], "y": [2, 4]})
    same(read(path, names=["x", "y"], header=True), {"x": [3], "y": [4]})
    same(read(path, skip=1), {"column_1": [3], "column_2": [4]})
    with pytest.raises(DataError, match="3 names"):
        read(path, names=["x", "y", "z"])


def test_a_header_only_is_a_table_without_rows(csv):
    found = read(csv("a,b\n"))
    assert list(found.columns) == ["a", "b"]
    assert len(found) == 0
    with scan(csv("a,b\n")) as table:
        assert (table.rows, list(table.parts())) == (0, [])


def test_one_row(csv):
    same(read(csv("a,b\n1,x\n")), {"a": [1], "b": ["x"]})


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(csv, content):
    with pytest.raises(DataError, match="is empty"):
        read(csv(content))


def test_names_that_are_there_twice_or_empty_are_noted(csv):
    found = read(csv("a,a,,a\n1,2,3,4\n"))
    assert list(found.columns) == ["a", "a.1", "column_3", "a.2"]
    assert "'a', which is there twice; it is now 'a.1'" in notes_of(found)
    assert "was empty; it is now 'column_3'" in notes_of(found)


def test_row_names_without_a_name_become_a_column(csv):
    found = read(csv("a,b\nx,1,2\ny,3,4\n"))
    same(found, {"index": ["x", "y"], "a": [1, 3], "b": [2, 4]})
    assert "named 'index'" in notes_of(found)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", "2.5"], "double"),
        (["1", ""], "int64"),
        (["-1", "+2"], "int64"),
        (["1e3", "-.5"], "double"),
        (["inf", "-Infinity"], "double"),
        (["true", "False"], "bool"),
        (["2020-01-01", "2020-02-03 04:05:06.789"], "timestamp[us]"),
        (["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00"], "timestamp[us, tz=UTC]"),
        (["2020-01-01", "2020-13-01"], "string"),
        (["01/02/2020", "02/02/2020"], "string"),
        (["12:30", "13:00"], "string"),
        (["1,5", "2,5"], "string"),
        (["007", "123"], "string"),
        (["-007", "1"], "string"),
        (["00.5", "1"], "string"),
        (["0x1F", "1"], "string"),
        (["0", "0.5"], "double"),
        (["12345678901234567890", "1"], "string"),
        (["1", "x"], "string"),
        (["yes", "no"], "string"),
        (["1_000", "2"], "string"),
        (["NA", "?"], "null"),
    ],
)
def test_types_depend_on_all_values(csv, words, kind):
    text = "id;x\n" + "".join(f"{place};{word}\n" for place, word in enumerate(words))
    with scan(csv(text), header=True, decimal=".") as table:
        assert str(table.arrow_schema.field("x").type).replace("large_", "") in (
            kind,
            f"dictionary<values={kind}, indices=int32, ordered=0>",
        )


def test_words_of_text_stay_as_they_were_written(csv):
    words = ["007", " 1.50", "1e5", "+3", "x"]
    found = read(csv("id,x\n" + "".join(f"1,{word}\n" for word in words)))
    assert list(found["x"]) == words


def test_leading_zeros_are_noted(csv):
    assert "'007' begin with zeros" in notes_of(read(csv("zip,a\n007,1\n123,2\n")))


def test_numbers_mixed_with_text_are_noted(csv):
    assert "mixes numbers (50%" in notes_of(read(csv("x,a\n1,1\nabc,2\n")))


def test_missing_markers_are_counted(csv):
    found = read(csv("a,b\n1,x\n?,\nNA,y\n,z\n"))
    assert found["a"].isna().tolist() == [False, True, True, True]
    assert "a: Read as missing: " in notes_of(found)
    assert "'?' 1 time" in notes_of(found)
    assert "b: Read as missing: '' 1 time" in notes_of(found)


def test_missing_markers_are_the_callers_choice(csv):
    found = read(csv("a,b\n-9,NA\n1,none given\n"), missing=["-9"])
    assert found["a"].isna().tolist() == [True, False]
    assert list(found["b"]) == ["NA", "none given"]


def test_marks_in_numbers_are_read_where_they_are_given(csv):
    path = csv('a;b\n"1,234.5";$3\n"2,000";$ 4.5\n')
    found = read(path, thousands=",", currency="$", decimal=".")
    same(found, {"a": [1234.5, 2000], "b": [3, 4.5]})
    assert list(read(path, decimal=".")["a"]) == ["1,234.5", "2,000"]


def test_groups_that_are_no_thousands_are_text(csv):
    assert list(read(csv("a;b\n1,2;1\n3,4,5;2\n"), thousands=",", decimal=".")["a"]) == ["1,2", "3,4,5"]


def test_a_decimal_comma_is_noted(csv):
    found = read(csv("a;b\n1,5;x\n2;y\n"))
    assert list(found["a"]) == [1.5, 2]
    assert "decimal comma" in notes_of(found)


def test_a_point_is_no_number_where_the_comma_is_the_mark(csv):
    assert list(read(csv("a;b\n1.5;2,5\n2.5;3,5\n"), decimal=",")["a"]) == ["1.5", "2.5"]


def test_a_word_in_the_last_row_makes_the_column_text(csv, small_blocks):
    words = [f"{number / 8:.3f}" for number in range(500)] + ["abc"]
    found = read(csv("id,x\n" + "".join(f"{place},{word}\n" for place, word in enumerate(words))))
    assert list(found["x"]) == words
    assert "begins as number" in notes_of(found)
    assert "'abc'" in notes_of(found)


def test_leading_zeros_in_the_last_row_make_the_column_text(csv, small_blocks):
    words = [str(number) for number in range(100, 500)] + ["0123"]
    assert list(read(csv("id,x\n" + "".join(f"1,{word}\n" for word in words)))["x"]) == words


def test_a_fraction_in_the_last_row_makes_integers_numbers(csv, small_blocks):
    words = [str(number) for number in range(500)] + ["0.5"]
    with scan(csv("id,x\n" + "".join(f"1,{word}\n" for word in words))) as table:
        assert str(table.arrow_schema.field("x").type) == "double"
        values = np.concatenate(list(each_batch(table, ["x"], lambda batch: batch["x"])))
    assert values.tolist() == [float(word) for word in words]


def test_a_column_that_begins_empty_is_what_comes_later(csv, small_blocks):
    text = "id,x,y,z\n" + "".join(f"{n},,,\n" for n in range(200)) + "200,1.5,2020-01-01,w\n"
    found = read(csv(text))
    assert found["x"].iloc[-1] == 1.5
    assert found["y"].iloc[-1] == pd.Timestamp("2020-01-01")
    assert found["z"].iloc[-1] == "w"
    assert found[["x", "y", "z"]].isna().sum().tolist() == [200, 200, 200]


def test_booleans_with_missing_values_stay_booleans(csv):
    found = read(csv("id,x\n1,true\n2,\n3,false\n"))
    assert found["x"].dtype == "boolean"
    assert found["x"].tolist() == [True, pd.NA, False]


def test_ragged_rows_are_an_error_that_shows_them(csv):
    path = csv("a,b\n1,2\n3\n4,5,6\n7,8\n")
    with pytest.raises(
        DataError, match=r"2 rows are bad.*line 3: 1 fields instead of 2: '3'; line 4.*bad_rows=\"skip\""
    ):
        read(path)


def test_bad_rows_are_left_out_and_noted_where_that_is_wanted(csv):
    found = read(csv("a,b\n1,2\n3\n4,5,6\n7,8\n"), bad_rows="skip")
    same(found, {"a": [1, 7], "b": [2, 8]})
    assert "2 rows are bad" in notes_of(found)


def test_bad_rows_are_written_aside(csv, tmp_path):
    aside = tmp_path / "bad.csv"
    found = read(csv("a,b\n1,2\n3\n4,5,6\n7,8\n"), bad_rows=aside)
    assert len(found) == 2
    written = pd.read_csv(aside)
    assert written["line"].tolist() == [3, 4]
    assert written["row"].tolist() == ["3", "4,5,6"]
    assert str(aside) in notes_of(found)


def test_bad_rows_of_several_files_stand_in_one(csv, tmp_path, small_blocks):
    words = [str(number) for number in range(200)] + ["late word"] * 50
    first = csv("a,b\n1,2\n3\n", "in-1.csv")
    second = csv("a,b\n" + "".join(f"{word},1\n" for word in words) + "4\n", "in-2.csv")
    aside = tmp_path / "aside"
    for source in (first, second):
        read(source, bad_rows=aside)
    written = pd.read_csv(aside)
    assert written["row"].tolist() == [3, 4]  # those of a first pass, before the column was text, are taken back
    assert written["source"].tolist() == [str(first), str(second)]


def test_many_bad_rows_are_counted_and_the_first_ten_are_shown(csv, small_blocks):
    text = "a,b\n" + "".join(f"{n},1\nx{n}\n" for n in range(100))
    with pytest.raises(DataError, match="100 rows are bad") as caught:
        read(csv(text))
    assert str(caught.value).count("fields instead") == 10
    assert "line 3: 1 fields instead of 2: 'x0'" in str(caught.value)


def test_nul_bytes_are_bad_rows(csv):
    path = csv(b"a,b\n1,2\n3,\x004\n5,6\n")
    with pytest.raises(DataError, match="line 3: a NUL byte"):
        read(path)
    same(read(path, bad_rows="skip"), {"a": [1, 5], "b": [2, 6]})


def test_bytes_that_are_not_utf8_are_bad_rows(csv):
    rows = "".join(f"{n},größe\n" for n in range(50)).encode()
    path = csv(b"a,b\n" + rows + b"50,gr\xf6\xdfe\n51,x\n")
    with pytest.raises(DataError, match=r"line 52: byte 0xf6, which is not UTF-8.*encoding='cp1252'"):
        read(path)
    assert len(read(path, bad_rows="skip")) == 51


def test_with_types_given_words_that_do_not_fit_are_bad_rows(csv):
    path = csv("a,b\n1,2\nx,3\n4,5\n")
    with pytest.raises(DataError, match=r"line 3: column 'a' holds no number: 'x,3'"):
        read(path, types={"a": "number"})
    same(read(path, types={"a": "number"}, bad_rows="skip"), {"a": [1, 4], "b": [2, 5]})
    assert list(read(path, types={"b": "text"})["b"]) == ["2", "3", "5"]


@pytest.mark.parametrize("types_given", [{"a": "float"}, {"z": "text"}, "text"])
def test_types_that_are_not_known_are_an_error(csv, types_given):
    with pytest.raises(DataError, match="types"):
        read(csv("a,b\n1,2\n"), types=types_given)


def test_where_bad_rows_are_skipped_a_rare_word_does_not_make_a_column_text(csv, small_blocks):
    words = [str(number) for number in range(400)]
    words[350] = "oops"
    found = read(csv("id,x\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))), bad_rows="skip")
    assert found["x"].tolist() == [n for n in range(400) if n != 350]
    assert "line 352: column 'x' holds no integer: '350,oops'" in notes_of(found)


def test_where_bad_rows_are_skipped_many_words_make_a_column_text(csv, small_blocks):
    words = [str(number) if number < 200 or number % 2 else "word" for number in range(400)]
    found = read(csv("id,x\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))), bad_rows="skip")
    assert list(found["x"]) == words


def test_a_quote_that_is_never_closed_is_an_error_or_a_letter(csv):
    path = csv('a,b\n1,2\n3,"4\n5,6\n7,8\n')
    with pytest.raises(DataError):
        read(path)
    assert list(read(path, quote="")["b"]) == ["2", '"4', "6", "8"]


def test_a_row_without_end_is_an_error(csv, monkeypatch, small_blocks):
    monkeypatch.setattr("clary.data.sources.blocks.MAX_ROW_BYTES", 1000)
    text = 'a,b\n1,"' + "x\n" * 2000
    with pytest.raises(DataError, match="does not end within"):
        read(csv("a,b\n" + "1,2\n" * 100 + text[4:]))


def test_a_huge_field_is_read(csv):
    big = "x" * 5_000_000
    found = read(csv(f"a,b\n1,{big}\n2,y\n"))
    assert found["b"].str.len().tolist() == [5_000_000, 1]


def test_a_single_column(csv):
    same(read(csv("a\n1\n2\n")), {"a": [1, 2]})


def test_columns_and_rows_are_chosen(csv, small_blocks):
    path = csv("a,b,c\n" + "".join(f"{n},{n * 2},x\n" for n in range(300)))
    found = read(path, columns=["c", "a"], rows=7)
    same(found, {"c": ["x"] * 7, "a": range(7)})
    assert len(read(path, rows=0)) == 0
    with pytest.raises(DataError, match="no column 'z'; it has 'a', 'b', 'c'"):
        read(path, columns=["z"])


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ",,"},
        {"delimiter": "\n"},
        {"quote": "''"},
        {"header": "yes"},
        {"names": "ab"},
        {"skip": -1},
        {"skip": 100},
        {"decimal": "x"},
        {"missing": "NA"},
        {"thousands": 3},
        {"rows": -1},
        {"rows": True},
        {"columns": "a"},
        {"columns": ["a", "a"]},
        {"bad_rows": ""},
        {"no_such_option": 1},
        {"format": "no_such_format"},
        {"member": "x"},
    ],
)
def test_options_that_make_no_sense_are_errors_that_name_them(csv, options):
    (name,) = options
    with pytest.raises(DataError, match=name if name != "format" else "no_such_format"):
        read(csv("a,b\n1,2\n"), **options)


def test_a_scan_gives_what_read_gives(csv, small_blocks):
    path = csv("a,b,c\n" + "".join(f"{n},w{n % 3},{n / 7}\n" for n in range(1000)))
    with scan(path) as table:
        assert table.rows == 1000
        assert len(table.parts()) > 1
        frames = list(each_batch(table, ["c", "a", "b"], lambda batch: batch.to_pandas(), rows=17))
        counts = list(each_batch(table, [], lambda batch: batch.rows))
        firsts = list(each_batch(table, ["a"], lambda batch: batch.first_row == batch["a"][0]))
    assert all(firsts)
    assert sum(counts) == 1000
    assert max(len(frame) for frame in frames) <= 17
    same(pd.concat(frames, ignore_index=True).astype({"b": "str"}), read(path)[["c", "a", "b"]])


def test_words_that_repeat_are_dictionaries_in_a_scan(csv):
    with scan(csv("a,b\n" + "".join(f"w{n % 5},u{n}\n" for n in range(100)))) as table:
        assert [str(field.type)[:10] for field in table.arrow_schema] == ["dictionary", "string"]


def test_a_scan_removes_its_rows_when_it_is_closed_or_dropped(csv, tmp_path):
    spill = tmp_path / "spill"
    spill.mkdir()
    path = csv("a\n1\n2\n")
    with scan(path, spill=spill) as table:
        assert len(list(spill.iterdir())) == 1
    assert not list(spill.iterdir())
    with pytest.raises(DataError, match="closed"):
        list(each_batch(table, ["a"], lambda batch: batch))
    table = scan(path, spill=spill)
    parts = table.parts()
    del table
    assert sum(batch.num_rows for part in parts for batch in part.batches(["a"], 10)) == 2
    del parts
    assert not list(spill.iterdir())


def test_a_scan_that_fails_leaves_nothing(csv, tmp_path):
    spill = tmp_path / "spill"
    spill.mkdir()
    with pytest.raises(DataError):
        scan(csv("a,b\n1\n"), spill=spill)
    assert not list(spill.iterdir())
    with pytest.raises(DataError, match="is not a folder"):
        scan(csv("a\n1\n"), spill=tmp_path / "nowhere")


def test_types_are_shown(csv):
    found = types(read(csv("a,b,c\n1,x,2020-01-01\n2,y,2020-01-02\n")))
    assert found["column"].tolist() == ["a", "b", "c"]
    assert found["kind"].tolist() == ["number", "text", "time"]


def test_numbers_beyond_what_a_float_holds_are_noted(csv, small_blocks):
    text = "id,x\n" + f"0,{2**53 + 1}\n" + "".join(f"{n},{n}\n" for n in range(100)) + "1,0.5\n"
    assert "more digits than a float holds" in notes_of(read(csv(text)))
