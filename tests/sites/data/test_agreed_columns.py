"""A file is read as somebody says, and what is written otherwise is refused by its rows."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from sites.data.agreed_columns import agreed_columns
from sites.data.reading import BadReading, parsed_words
from sites.data.source import SqlQuery, TableFile, with_words
from sites.data.validation import BadTable, MissingColumns, validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.schema.texts import NotesSchema
from sites.tasks.tabular.loading import load_columns, load_table, read_agreed_table
from tests.sites.sides import keyed

WARD = Schema(
    name="ward",
    person="patient",
    features=(
        Number(name="age", low=0, high=120, missing=True),
        Number(name="salary", low=-1e9, high=1e9, missing=True),
        Number(name="admitted", low=-40_000, high=40_000, unit="days since 1970-01-01"),
        Category(name="stage", values=("1", "2", "3"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
GERMAN = (
    "ALTER;Gehälter;AUFN;V1;V2\n"
    "63;1.234,5;01.03.2024;1;no\n"
    "-9;12.000;15.12.2023;.;yes\n"
    "50;999,99;2.1.2020;3;no\n"
)
NAMES = ("age=ALTER", "salary=Gehälter", "admitted=AUFN", "stage=V1", "ill=V2")
WORDS = (
    "encoding:cp1252",
    "separator:semicolon",
    "decimal:comma",
    "thousands:point",
    "missing:.",
    "missing:age=-9",
    "date:admitted=DD.MM.YYYY",
    "persons:rows",
    *(f"column:{name}" for name in NAMES),
)


def german(folder: Path, words: Sequence[str] = WORDS) -> TableFile:
    path = folder / "export.csv"
    path.write_bytes(GERMAN.encode("cp1252"))
    source = with_words(TableFile(path=path), words)
    assert isinstance(source, TableFile)
    return source


def without(*left_out: str) -> list[str]:
    return [word for word in WORDS if word not in left_out]


def read(frame: pd.DataFrame, *words: str, labelled: bool = True) -> pd.DataFrame:
    return agreed_columns(frame, parsed_words(words)[1], WARD, labelled=labelled)


def test_a_german_export_is_read_as_it_was_said(tmp_path: Path) -> None:
    columns = load_columns(german(tmp_path), WARD)
    np.testing.assert_array_equal(columns["age"], [63, np.nan, 50])
    np.testing.assert_array_equal(columns["salary"], [1234.5, 12000, 999.99])
    np.testing.assert_array_equal(columns["admitted"], [19783, 19706, 18263])
    np.testing.assert_array_equal(columns["stage"], [0, -1, 2])
    data = load_table(german(tmp_path), WARD, n_classes=2, sides=keyed(1))
    assert data.train_examples + data.held_out_examples == 3


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("encoding:cp1252", "such as encoding:cp1252"),
        ("separator:semicolon", "say separator:semicolon"),
        ("decimal:comma", "sign|check-data says what to type"),
        ("thousands:point", r"decimal comma, not so in 2 rows: 2 \('1.234,5'\), 3 \('12.000'\)"),
        ("missing:.", "stage: expected one of 1, 2, 3, not so in row 3"),
        ("missing:age=-9", r"say missing:age=-9 if that stands for a missing value"),
        ("date:admitted=DD.MM.YYYY", "admitted: expected a number"),
        ("persons:rows", "persons:rows if each row is a person"),
        ("column:age=ALTER", "'age'.*say column:OURS=THEIRS"),
    ],
)
def test_nothing_is_guessed_and_what_to_type_is_said(
    left_out: str, said: str, tmp_path: Path
) -> None:
    words = without(left_out)
    if left_out == "decimal:comma":
        words.remove("thousands:point")
    with pytest.raises(ConsortiumError, match=said):
        load_table(german(tmp_path, words), WARD, n_classes=2, sides=keyed(1))


NUMBERS = st.floats(-1e8, 1e8).map(lambda number: round(number, 3))


@given(
    st.lists(NUMBERS, min_size=1, max_size=8),
    st.sampled_from([(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", "'")]),
)
def test_a_number_is_the_same_however_its_signs_are(
    numbers: list[float], signs: tuple[str, str | None]
) -> None:
    decimal, thousands = signs
    written = [
        f"{number:,.3f}".translate({ord(","): thousands or "", ord("."): decimal})
        for number in numbers
    ]
    words = [f"decimal:{decimal}", *([f"thousands:{thousands}"] if thousands else [])]
    frame = pd.DataFrame({"salary": pd.Series(written, dtype="str")})
    found = read(frame, *words, "persons:rows")["salary"].astype(float)
    assert found.tolist() == numbers


@pytest.mark.parametrize("text", ["1.5", "12.34,5", "1.2345", "1,2,3", "1 234", "1.234.56", "x,1"])
def test_a_number_with_other_signs_than_were_said_is_refused(text: str) -> None:
    frame = pd.DataFrame({"salary": ["1.234,5", text]}, index=[2, 3])
    with pytest.raises(BadTable, match=r"not so in row 3 \(") as refused:
        read(frame, "decimal:comma", "thousands:point")
    assert "decimal comma" in str(refused.value)


@given(st.dates(date(1900, 3, 1), date(2100, 12, 31)))
def test_a_date_is_the_same_day_in_every_form(day: date) -> None:
    days = (day - date(1970, 1, 1)).days
    serial = (day - date(1899, 12, 30)).days
    forms = {
        "YYYY-MM-DD": f"{day:%Y-%m-%d}",
        "DD.MM.YYYY": f"{day.day}.{day.month}.{day:%Y}",
        "DD/MM/YYYY": f"{day:%d/%m/%Y}",
        "MM/DD/YYYY": f"{day:%m/%d/%Y}",
        "YYYYMMDD": f"{day:%Y%m%d}",
        "excel": str(serial),
        "excel-1904": str((day - date(1904, 1, 1)).days) if day.year >= 1904 else None,
    }
    for form, text in forms.items():
        if text is not None:
            frame = pd.DataFrame({"admitted": [text]})
            assert read(frame, f"date:admitted={form}")["admitted"].tolist() == [days]


def test_a_time_of_the_day_is_a_part_of_it() -> None:
    frame = pd.DataFrame({"admitted": ["1970-01-02 06:00:00", "1970-01-02T12:00", "1970-01-02"]})
    found = read(frame, "date:admitted=YYYY-MM-DD")["admitted"]
    assert found.tolist() == [1.25, 1.5, 1.0]
    serial = read(pd.DataFrame({"admitted": ["25569,5"]}), "date:admitted=excel", "decimal:comma")
    assert serial["admitted"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("DD.MM.YYYY", "2024-03-01"),
        ("DD.MM.YYYY", "31.02.2024"),
        ("DD.MM.YYYY", "01.03.24"),
        ("MM/DD/YYYY", "31/12/2024"),
        ("YYYY-MM-DD", "2024-03-01 25:00"),
        ("excel", "59"),  # on which day Excel means another than it counts
        ("excel", "2024-03-01"),
    ],
)
def test_a_date_in_another_form_is_refused_with_its_row(form: str, text: str) -> None:
    frame = pd.DataFrame({"admitted": [text, ""]}, index=[2, 3])
    with pytest.raises(BadTable, match=f"a date as {form}, not so in row 2"):
        read(frame, f"date:admitted={form}")


def test_a_database_says_itself_what_is_a_date() -> None:
    days = [date(2024, 3, 1), date(1970, 1, 1) - timedelta(days=1)]
    for column in (pd.Series(days, dtype=object), pd.Series(pd.to_datetime(days))):
        found = read(pd.DataFrame({"admitted": column}), "date:admitted=YYYY-MM-DD")
        assert found["admitted"].tolist() == [19783, -1]


def test_a_code_that_a_column_could_hold_means_missing_only_where_it_was_said() -> None:
    frame = pd.DataFrame({"age": ["99", "12"], "stage": ["1", "9"], "salary": ["99", "1"]})
    with pytest.raises(BadReading, match=r"missing:99 may be a value of age.*missing:age=99"):
        read(frame, "missing:99")
    found = read(frame, "missing:age=99", "missing:9")
    assert found.replace({"": None}).isna().to_numpy().tolist() == [
        [True, False, False],
        [False, True, False],
    ]


@pytest.mark.parametrize("cells", [[-9, 3], [-9.0, 3.0], ["-9", "3"]])
def test_a_code_is_the_same_in_every_type(cells: list[object]) -> None:
    found = read(pd.DataFrame({"age": cells}), "missing:age=-9")["age"]
    assert found.replace({"": None}).isna().tolist() == [True, False]


def test_a_word_for_a_column_that_the_schema_does_not_know_is_refused() -> None:
    """Else every note became a person of its own, and patients stood on both sides."""
    notes = NotesSchema(name="n", person="patient", label=WARD.label)
    frame = pd.DataFrame({"text": ["a"], "ill": ["no"], "mrn": ["7"]})
    for word in ("column:patiant=mrn", "missing:patiant=7", "date:patiant=excel"):
        with pytest.raises(BadReading, match="did you mean 'patient'"):
            agreed_columns(frame, parsed_words([word])[1], notes)


def test_a_word_for_a_column_that_the_file_lacks_is_refused() -> None:
    frame = pd.DataFrame({"ALTER": ["1"]})
    with pytest.raises(MissingColumns, match="column:age=ALTRE; they have ALTER"):
        read(frame, "column:age=ALTRE")
    assert list(read(frame, "column:age=ALTER", "column:ill=V2", labelled=False)) == ["age"]


def test_a_named_column_goes_before_one_that_has_the_name_already() -> None:
    frame = pd.DataFrame({"age": ["1"], "ALTER": ["2"]})
    assert read(frame, "column:age=ALTER").to_dict("list") == {"age": ["2"]}
    swapped = read(
        frame.rename(columns={"ALTER": "salary"}), "column:age=salary", "column:salary=age"
    )
    assert swapped.to_dict("list") == {"salary": ["1"], "age": ["2"]}


ROWS = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from(["no", "yes"])), max_size=12)


@given(ROWS, st.randoms())
def test_a_person_made_up_for_a_row_does_not_depend_on_where_it_stands(
    rows: list[tuple[str, str]], random: "np.random.Generator"
) -> None:
    """So the same person stays on the same side when the file is sorted, or grows."""
    frame = pd.DataFrame(rows, columns=["stage", "ill"])
    shuffled = [*rows]
    random.shuffle(shuffled)
    again = pd.DataFrame([*shuffled, ("1", "no")], columns=["stage", "ill"])
    persons, later = (read(one, "persons:rows")["patient"] for one in (frame, again))
    assert persons.nunique() == len(rows)
    assert set(persons) <= set(later)


def test_persons_are_not_made_up_beside_a_column_of_them() -> None:
    with pytest.raises(BadReading, match="there is a column 'patient'"):
        read(pd.DataFrame({"patient": ["1"]}), "persons:rows")


def test_a_query_is_read_as_it_was_said(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute(
            "CREATE TABLE t (ALTER_ INTEGER, GEHALT TEXT, AUFN TEXT, V1 INTEGER, V2 TEXT)"
        )
        database.execute("INSERT INTO t VALUES (-9, '1,5', '2024-03-01', 2, 'yes')")
    database.close()
    names = ("age=ALTER_", "salary=GEHALT", "admitted=AUFN", "stage=V1", "ill=V2")
    words = [f"column:{name}" for name in names]
    words += ["decimal:comma", "missing:age=-9", "date:admitted=YYYY-MM-DD", "persons:rows"]
    source = with_words(
        SqlQuery(url=f"sqlite:///{tmp_path / 'a.db'}", query="SELECT * FROM t"), words
    )
    frame = validate_table(read_agreed_table(source, WARD), WARD)
    assert frame["salary"].tolist() == [1.5]
    assert frame["age"].isna().tolist() == [True]
    assert frame["stage"].tolist() == ["2"]


def test_values_of_categories_are_declared_in_any_type() -> None:
    told = {
        "kind": "category",
        "name": "stage",
        "values": [0, 1.0, True, "x", 2.5],
    }
    assert Category.model_validate(told).values == ("0", "1", "True", "x", "2.5")
    label = ClassLabel.model_validate({"column": "ill", "classes": [0, 1]})
    assert label.classes == ("0", "1")


VALUES = ("values:ill:0=no;1=yes", "values:stage:I=1", "values:stage:II=2;III=3")


@pytest.mark.parametrize("cells", [["0", "1"], [0, 1], [0.0, 1.0], [False, True], ["0.0", " 1 "]])
def test_values_mean_what_was_said_in_whatever_form_they_stand(cells: list[object]) -> None:
    frame = pd.DataFrame({"ill": pd.Series(cells, dtype=object), "stage": ["II", "?"]})
    read_so = read(frame, *VALUES)
    assert read_so["ill"].tolist() == ["no", "yes"]
    assert read_so["stage"].tolist() == ["2", "?"]


def test_values_may_change_places_and_what_was_not_said_stays() -> None:
    frame = pd.DataFrame({"stage": ["1", "2", "3", "4"]})
    assert read(frame, "values:stage:1=2;2=1")["stage"].tolist() == ["2", "1", "3", "4"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("values:ill:0=nope", r"values:ill:0=nope: there is no value 'nope': did you mean 'no'\?"),
        ("values:ill:0=x", "the values are no, yes"),
        ("values:age:x=1", "values:age says what values mean, but in the schema age declares none"),
        ("values:il:0=no", "there is no column 'il': did you mean 'ill'"),
        ("values:ill", "values:COLUMN:THEIRS=OURS, several with ; between them is the form"),
        ("values:ill:0", "is the form"),
        ("values:ill:0=no;", "is the form"),
        ("values::0=no", "is the form"),
    ],
)
def test_a_word_for_values_that_cannot_be_meant_is_refused(word: str, said: str) -> None:
    with pytest.raises(BadReading, match=said):
        read(pd.DataFrame({"ill": ["0"]}), word)


def test_one_value_does_not_mean_two() -> None:
    with pytest.raises(BadReading, match="contradicts another word"):
        parsed_words(["values:ill:0=no", "values:ill:0=yes"])


TRUTHS = [[True, 2.5], ["True", "2"], [np.True_, 1], [True, False]]


@pytest.mark.parametrize("cells", TRUTHS)
@pytest.mark.parametrize("words", [(), ("decimal:comma",), ("column:age=ALTER",)])
def test_a_truth_value_is_no_number_whatever_was_said(
    cells: list[object], words: tuple[str, ...]
) -> None:
    """As text it never was one; and a column of yes and no is no column of numbers."""
    numbers = Schema(name="n", person="p", features=(WARD.features[0],), label=WARD.label)
    named = "ALTER" if "column:age=ALTER" in words else "age"
    for kind in (object, None):
        column = pd.Series(cells, dtype=kind)
        frame = pd.DataFrame({"p": ["1", "2"], named: column, "ill": ["no", "yes"]})
        with pytest.raises(BadTable, match=r"age: expected a number.* \((np\.)?'?True_?'?\)"):
            validate_table(agreed_columns(frame, parsed_words(words)[1], numbers), numbers)


@pytest.mark.parametrize(("words", "row"), [((), 1), (("decimal:comma",), 0)])
def test_a_column_of_decimal_commas_and_points_is_refused_by_its_rows_with_what_to_type(
    words: tuple[str, ...], row: int
) -> None:
    numbers = Schema(name="n", person="p", features=(WARD.features[0],), label=WARD.label)
    frame = pd.DataFrame({"p": ["1", "2"], "age": ["63.5", "41,25"], "ill": ["no", "yes"]})
    said = rf"not so in row {row} \('.*'\); some numbers .* decimal:comma if it is the comma"
    with pytest.raises(BadTable, match=said):
        validate_table(agreed_columns(frame, parsed_words(words)[1], numbers), numbers)
