import csv
import gzip
import json
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sites.data.source import SqlQuery, TableFile
from sites.data.tables import (
    BadTexts,
    BrokenFile,
    EmptyTable,
    MissingFile,
    QueryFailed,
    UnknownFormat,
    UnreadableSource,
    WrongSeparator,
    read_table,
)

CSV = "patient,age,note\n1,63,007\n\n2,,NA\n"


def written(path: Path, text: str) -> TableFile:
    path.write_text(text, encoding="utf-8")
    return TableFile(path=path)


def test_a_text_file_is_read_without_changes(tmp_path: Path) -> None:
    """No cell is interpreted: leading zeros, empty cells and the word NA are kept."""
    frame = read_table(written(tmp_path / "a.csv", CSV))
    assert frame.to_dict("list") == {
        "patient": ["1", "2"],
        "age": ["63", ""],
        "note": ["007", "NA"],
    }


def test_rows_are_numbered_by_the_lines_of_the_file(tmp_path: Path) -> None:
    """A header is line 1, and a blank line counts without being a row."""
    assert list(read_table(written(tmp_path / "a.csv", CSV)).index) == [2, 4]


def test_a_blank_line_within_a_single_column_is_refused_as_it_may_be_a_row(tmp_path: Path) -> None:
    """A spreadsheet writes a missing value so; after the last row, nothing is lost."""
    with pytest.raises(BrokenFile, match=r"lines 3 \(has 0\), 4 \(has 0\).*NA in a single"):
        read_table(written(tmp_path / "a.csv", "age\n1\n\n\n2\n"))
    assert list(read_table(written(tmp_path / "a.csv", 'age\n1\n""\n2\n\n')).index) == [2, 3, 4]


def test_a_row_begins_in_the_line_of_the_file_also_after_cells_with_line_breaks(
    tmp_path: Path,
) -> None:
    frame = read_table(written(tmp_path / "a.csv", 'age,note\n1,"a\n\nb"\n\n2,c\n'))
    assert frame["note"].to_dict() == {2: "a\n\nb", 6: "c"}


def test_a_row_of_empty_values_is_a_row(tmp_path: Path) -> None:
    """Only a blank line is none; the one value of a single column is empty if it is quoted."""
    assert list(read_table(written(tmp_path / "a.csv", "a,b\n1,2\n,\n\n3,4\n,\n")).index) == [
        *(2, 3),
        *(5, 6),
    ]
    assert list(read_table(written(tmp_path / "b.csv", 'a\n1\n""\n2\n')).index) == [2, 3, 4]


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_default(tmp_path: Path) -> None:
    text = "x" * 200_000
    frame = read_table(written(tmp_path / "a.csv", f"note,age\n{text},1\n"))
    assert frame["note"].tolist() == [text]


CHARACTERS = st.sampled_from(["a", "1", ",", '"', "\n", "\r", " ", "\u00e9", "\u2028"])


@given(st.lists(CHARACTERS, max_size=30).map("".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_delimited_file_is_read_as_it_is_written_or_refused(tmp_path: Path, text: str) -> None:
    """Each row has all its values, in the order of the file; no value is added or left out."""
    path = tmp_path / "a.csv"
    path.write_text(f"x,y\n{text}", encoding="utf-8", newline="")
    try:
        frame = read_table(TableFile(path=path))
    except (BrokenFile, EmptyTable):
        return
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert frame.to_numpy().tolist() == [row for row in rows if row]


@given(st.integers(1, 30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_within_a_row_is_refused(tmp_path: Path, n_lost: int) -> None:
    """Unless it is cut off within the last value of a row, where nothing shows it."""
    text = 'a,b,c\n1,2,3\n4,"5\n,",6\n'
    path = tmp_path / "a.csv"
    path.write_text(text[:-n_lost])
    expected = [["1", "2"], ["4", "5\n,"]]
    try:
        found = read_table(TableFile(path=path)).to_numpy().tolist()
    except (BrokenFile, EmptyTable):
        return
    assert [row[:2] for row in found] == expected[: len(found)]


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV, encoding="utf-8-sig")
    assert list(read_table(TableFile(path=path)).columns) == ["patient", "age", "note"]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.jsonl.gz"])
def test_text_files_may_be_compressed(tmp_path: Path, name: str) -> None:
    text = {"csv": "age\n63\n", "tsv": "age\n63\n", "jsonl": '{"age": "63"}\n'}[name.split(".")[1]]
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert read_table(TableFile(path=tmp_path / name))["age"].tolist() == ["63"]


def test_every_format_gives_the_same_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": [63, 41], "sex": ["f", "m"]})
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "a.parquet")
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    with sqlite3.connect(tmp_path / "a.db") as database:
        table.to_sql("patients", database, index=False)
    database.close()
    sources = [TableFile(path=tmp_path / f"a.{end}") for end in ("csv", "tsv", "parquet", "jsonl")]
    url = f"sqlite:///{tmp_path / 'a.db'}"
    frames = [read_table(source) for source in sources]
    frames.append(read_table(SqlQuery(url=url, query="SELECT age, sex FROM patients")))
    for frame in frames:
        assert frame.astype(str).to_dict("list") == {"age": ["63", "41"], "sex": ["f", "m"]}


def test_another_separator_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age;sex\n1,5;f\n")
    frame = read_table(TableFile(path=tmp_path / "a.csv", separator=";"))
    assert frame.to_dict("list") == {"age": ["1,5"], "sex": ["f"]}


@pytest.mark.parametrize(
    ("name", "text", "other"),
    [
        ("a.csv", "age;sex\n63;f\n", "semicolon"),
        ("a.csv", "age\tsex\n", "tab"),
        ("a.tsv", "a,b\n", "comma"),
    ],
)
def test_a_wrong_separator_is_named(tmp_path: Path, name: str, text: str, other: str) -> None:
    with pytest.raises(WrongSeparator, match=f"say separator:{other}"):
        read_table(written(tmp_path / name, text))


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text(CSV)
    with pytest.raises(MissingFile, match=r"did you mean 'patients\.csv'"):
        read_table(TableFile(path=tmp_path / "patient.csv"))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="check the path"):
        read_table(TableFile(path=tmp_path / "nowhere" / "patients.csv"))


def test_json_lines_are_numbered_by_line(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path / "a.jsonl", '{"age": 63}\n\n{"age": [1]}\n'))
    assert list(frame.index) == [1, 3]
    assert frame["age"].tolist() == [63, [1]]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize(
    "half", [{"text": "pain \ud83d"}, {"x": "\ude00"}, {"tokens": ["a", "\udfff"]}, {"\ud800": 1}]
)
def test_half_a_character_in_json_is_refused_by_its_lines(
    tmp_path: Path, name: str, half: dict[str, object]
) -> None:
    """In whatever column; a whole character outside the basic plane is fine."""
    path = tmp_path / name
    whole = {"text": "\U0001f600"}
    lines = "\n".join(map(json.dumps, (whole, half, whole, half))).encode()
    path.write_bytes(gzip.compress(lines, mtime=0) if path.suffix == ".gz" else lines)
    with pytest.raises(BadTexts, match="half a character in 2 lines: 2, 4") as caught:
        read_table(TableFile(path=path))
    assert caught.value.counts == {"rows": 2}
    assert "pain" not in str(caught.value)


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_whole_text_in_json_is_read_unchanged(tmp_path: Path, text: str) -> None:
    """Escaped or not."""
    both = (json.dumps({"text": text}, ensure_ascii=one) for one in (True, False))
    (tmp_path / "a.jsonl").write_text("\n".join(both), encoding="utf-8", newline="")
    assert read_table(TableFile(path=tmp_path / "a.jsonl"))["text"].tolist() == [text] * 2


def test_positions_of_a_parquet_file_start_at_one(tmp_path: Path) -> None:
    pd.DataFrame({"age": [63, 41]}, index=[9, 9]).to_parquet(tmp_path / "a.parquet")
    assert list(read_table(TableFile(path=tmp_path / "a.parquet")).index) == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "name\nJosé\n".encode("latin-1"), "in line 2: save it as UTF-8"),
        ("a.jsonl", '{"n": "x"}\n\n{"n": "é"}'.encode("latin-1"), "in line 3: save it as UTF-8"),
        (
            "a.csv.gz",
            gzip.compress("n\né".encode("latin-1"), mtime=0),
            "in line 2: save it as UTF-8",
        ),
        ("a.csv", b"age,age\n1,2\n", r"\['age'\] more than once"),
        ("a.csv", b"Export 2024,,\n\na,b,c\n1,2,3\n", "remove the lines above the header"),
        ("a.csv", b"age,sex\n1,2,3\n", r"in line 2 \(has 3\)"),
        (
            "a.csv",
            b"age,sex\n1,2\n1,2,3\n",
            r"needs 2 values; not so in line 3 \(has 3\)",
        ),
        ("a.csv", b"age,sex\n1\n\n1,2\n3\n", r"in 2 rows, in lines 2 \(has 1\), 5 \(has 1\)"),
        ("a.tsv", b"age\tsex\n1\n", r"in line 2 \(has 1\)"),
        ("a.csv.gz", gzip.compress(b"age,sex\n1\n", mtime=0), r"in line 2 \(has 1\)"),
        ("a.csv", b'age,sex\n1,"f\n"\n2\n', r"in line 4 \(has 1\)"),
        ("a.csv", b'age,sex\n1,f\n2,"', "ends within quotes, in the row that begins in line 3"),
        ("a.csv", b'age,sex\n1,"f\n2,m\n', "ends within quotes, in the row that begins in line 2"),
        ("a.csv", b'age\n1\n"', "ends within quotes, in the row that begins in line 3"),
        ("a.csv", b'a,b\n1,"x\n2,y\n3,"z"\n', "closing quote, in the row that begins in line 2"),
        ("a.csv", b'a,b\n1,x\n2,"5" tall\n', "closing quote, in the row that begins in line 3"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), "not UTF-8 text in line 1"),
        ("a.csv", b"Export\n\na,b\n1,2\n", "no row has; if lines stand above the header"),
        ("a.jsonl", b"[" * 100_000, "line 1 is nested too deeply"),
        ("a.jsonl", b'{\n"a": 1}\n', "line 1 is not JSON.*one object on one line"),
        ("a.csv.gz", b"age,sex\n", r"cannot be read as \.csv"),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:-9], "export or copy the file again"),
        ("a.jsonl", b'{"age": 63}\n{"age": \n', "line 2 is not JSON"),
        (
            "a.jsonl",
            b'{"a": 1}\n{"a": 2, "b": 1, "a": 3}\n',
            r"line 2 names \['a'\] more than once",
        ),
        ("a.jsonl", b"63\n", "line 1 must be an object"),
        ("a.parquet", b"PAR1", r"cannot be read as \.parquet"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenFile, match=message):
        read_table(TableFile(path=tmp_path / name))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "punycode"])
def test_a_file_that_is_not_in_the_encoding_that_was_said_is_refused(
    tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BrokenFile, match=f"is not written in {encoding}"):
        read_table(TableFile(path=tmp_path / "a.csv", encoding=encoding))


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.ods", b"PK\x03\x04", "save its sheet as .xlsx or CSV"),
        ("a.db", b"SQLite format 3\0", "give its URL"),
        ("a.txt", b"age\tsex\n1\tf\n", "let its name end in .csv, or in .tsv"),
        ("a.dat.gz", gzip.compress(b"age,sex\n", mtime=0), "let its name end in .csv"),
    ],
)
def test_a_file_with_another_ending_is_refused_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, advice: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownFormat, match=advice):
        read_table(TableFile(path=tmp_path / name))


def test_a_column_that_stands_twice_in_a_parquet_file_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table([[1], [2]], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(BrokenFile, match=r"names the columns \['a'\] more than once"):
        read_table(TableFile(path=tmp_path / "a.parquet"))


def test_what_pandas_kept_as_an_index_is_a_column_of_the_file(tmp_path: Path) -> None:
    table = pd.DataFrame({"patient": ["p1", "p2"], "visit": [1, 2], "age": [63, 41]})
    table.set_index(["patient", "visit"]).to_parquet(tmp_path / "a.parquet")
    frame = read_table(TableFile(path=tmp_path / "a.parquet"))
    assert frame.to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize("n_digits", [1, 20, 308, 309, 10_000])
def test_a_whole_number_in_json_is_itself_or_in_no_bounds(tmp_path: Path, n_digits: int) -> None:
    number = "9" * n_digits
    (value,) = read_table(written(tmp_path / "a.jsonl", f'{{"n": {number}}}'))["n"]
    assert value == (int(number) if n_digits <= 308 else float("inf"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "\nage,sex\n1,2\n"),
        ("a.csv", "age,sex\n"),
        ("a.csv", "age\n\n"),
        ("a.jsonl", ""),
    ],
)
def test_an_empty_table_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(EmptyTable):
        read_table(written(tmp_path / name, text))


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=r"\.csv, \.tsv, \.jsonl, \.parquet"):
        read_table(written(tmp_path / "a.xls", ""))


@pytest.mark.parametrize(
    ("url", "query", "message"),
    [
        ("nonsense", "SELECT 1", "not one of SQLAlchemy"),
        ("unheard+of://me:secret@db/x", "SELECT 1", "not one of SQLAlchemy"),
        ("postgresql://me:secret@db:port/x", "SELECT 1", "not one of SQLAlchemy"),
        ("sqlite://me:secret@db/x", "SELECT 1", "not one of SQLAlchemy"),
        ("mysql+pymysql://me:secret@db/x", "SELECT 1", "driver of this database is not installed"),
        ("sqlite://", "SELECT * FROM nowhere", "no such table"),
        ("sqlite://", "SELECT :x AS a", "value is required for bind parameter 'x'$"),
        ("sqlite://", "SELECT 1 AS a, 2 AS b, 3 AS a", r"the columns \['a'\] more than once"),
    ],
)
def test_a_failed_query_says_why_and_shows_no_password(url: str, query: str, message: str) -> None:
    with pytest.raises(QueryFailed, match=message) as refusal:
        read_table(SqlQuery(url=url, query=query))
    assert "secret" not in "".join(traceback.format_exception(refusal.value))
    assert "https:" not in str(refusal.value)


def test_a_query_does_not_change_the_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE patients (age INTEGER)")
        database.execute("INSERT INTO patients VALUES (63)")
    database.close()
    url = f"sqlite:///{tmp_path / 'a.db'}"
    read_table(SqlQuery(url=url, query="DELETE FROM patients RETURNING age"))
    assert len(read_table(SqlQuery(url=url, query="SELECT * FROM patients"))) == 1


@pytest.mark.parametrize(
    "provoke",
    [
        lambda folder: read_table(TableFile(path=folder / "a.csv")),
        lambda folder: read_table(written(folder / "b.csv", "a;b\n")),
        lambda folder: read_table(SqlQuery(url="sqlite://", query="SELECT * FROM nowhere")),
    ],
)
def test_an_error_carries_counts_only(tmp_path: Path, provoke: Callable[[Path], object]) -> None:
    with pytest.raises(UnreadableSource) as refusal:
        provoke(tmp_path)
    assert all(type(count) is int for count in refusal.value.counts.values())


@pytest.mark.parametrize("name", ["patiens.db", "nowhere/patients.db"])
def test_a_mistyped_database_is_not_created(name: str, tmp_path: Path) -> None:
    (tmp_path / "patients.db").touch()
    with pytest.raises(MissingFile, match="there is no database") as refused:
        read_table(SqlQuery(url=f"sqlite:///{tmp_path / name}", query="SELECT 1"))
    assert not (tmp_path / name).exists()
    assert ("did you mean 'patients.db'" in str(refused.value)) == (name == "patiens.db")
