"""What is understood of a file is shown with the words that say it, and a run then agrees."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from consortium.site.data_check import DataCheck, check_data, check_lines
from sites.data.reading import parsed_words
from sites.data.source import AnnotatedFiles, TableFile, TextFolder
from sites.data.tables import BrokenFile, MissingFile
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.schema.texts import AnySchema, EntitySchema, NotesSchema
from sites.tasks.tabular.loading import load_table
from tests.sites.sides import keyed

WARD = Schema(
    name="ward",
    person="patient",
    features=(
        Number(name="age", low=0, high=120, missing=True),
        Number(name="salary", low=0, high=200_000, missing=True),
        Number(name="admitted", low=0, high=40_000, missing=True, unit="days since 1970-01-01"),
        Category(name="stage", values=("1", "2", "3"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
NOTES = NotesSchema(name="notes", label=WARD.label)
PLAIN = """patient,age,salary,admitted,stage,ill
p1,63,1234.5,19783,1,no
p2,,12000,19706,,yes
p3,50,999.99,18263,3,no
"""
GERMAN = """Patient;Age;salary;ADMITTED;stage;ill
p1;63;1.234,5;01.03.2024;1;no
p2;-9;12.000,0;15.12.2023;.;yes
p3;50;999,99;2.1.2020;3;no
"""
GERMAN_WORDS = {
    "separator:semicolon",
    "column:patient=Patient",
    "column:age=Age",
    "column:admitted=ADMITTED",
    "decimal:comma",
    "thousands:point",
    "date:admitted=DD.MM.YYYY",
    "missing:age=-9",
    "missing:stage=.",
}


def checked(
    path: Path, text: str, *words: str, schema: AnySchema | None = WARD, encoding: str = "utf-8"
) -> DataCheck:
    path.write_bytes(text.encode(encoding))
    return check_data(TableFile(path=path), words, schema)


def said(check: DataCheck) -> str:
    return "\n".join(check_lines(check))


def test_records_that_fit_need_no_word(tmp_path: Path) -> None:
    check = checked(tmp_path / "a.csv", PLAIN)
    assert check.fits
    assert (check.persons, check.classes) == (3, {"no": 2, "yes": 1})
    told = said(check)
    assert "3 rows, 6 columns" in told
    assert "3 persons; records of each class: no: 2; yes: 1" in told
    assert "2: patient=p1 | age=63" in told
    assert "the records fit the schema as they were given" in told
    assert "--data" not in told


def test_a_column_that_the_schema_does_not_name_is_shown_as_not_used(tmp_path: Path) -> None:
    """A column of sides is one: a site holds out persons by a rule of its own."""
    with_side = PLAIN.replace("patient,", "Split,patient,").replace("\np", "\nTest,p")
    told = said(checked(tmp_path / "a.csv", with_side))
    assert "not used, as the schema does not name them: Split\n" in told
    assert "not used" not in said(checked(tmp_path / "b.csv", PLAIN))
    renamed = said(checked(tmp_path / "c.csv", GERMAN))
    assert "not used" not in renamed


def test_a_named_column_replaces_the_files_own_column_of_that_name(tmp_path: Path) -> None:
    both = PLAIN.replace("patient,", "years,patient,").replace("\np", "\n70,p")
    check = checked(tmp_path / "a.csv", both, "column:age=years")
    assert check.fits
    assert "not used, as the schema does not name them: age\n" in said(check)
    other = checked(tmp_path / "b.csv", PLAIN, "column:age=salary")
    assert other.open == ["column:salary=THEIRS"]


def test_a_compressed_file_that_was_cut_off_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(PLAIN.encode(), mtime=0)[:-20])
    with pytest.raises(BrokenFile, match="export or copy the file again"):
        check_data(TableFile(path=path), (), WARD)


def test_the_words_that_are_proposed_are_those_with_which_a_site_reads_the_file(
    tmp_path: Path,
) -> None:
    """Typed again, they are enough; and the records are then those of the plain file."""
    check = checked(tmp_path / "a.csv", GERMAN)
    assert {*check.proposed} == GERMAN_WORDS
    assert not check.fits
    assert check.refusal == ""
    assert (check.persons, check.classes) == (3, {"no": 2, "yes": 1})
    assert "--data separator:semicolon" in said(check)
    again = checked(tmp_path / "a.csv", GERMAN, *check.proposed)
    assert again.fits
    plain = checked(tmp_path / "b.csv", PLAIN)
    german, english = (
        load_table(one.as_proposed, WARD, n_classes=2, sides=keyed(1)) for one in (again, plain)
    )
    for name in ("age", "salary", "admitted", "stage"):
        ours, theirs = (
            sorted(map(str, [*data.training.columns[name], *data.held_out.columns[name]]))
            for data in (german, english)
        )
        assert ours == theirs


@pytest.mark.parametrize(
    ("changes", "encoding", "words"),
    [
        ({"p1": "Jürgen"}, "cp1252", ["encoding:cp1252"]),
        ({"p1": "Jürgen"}, "utf-16", ["encoding:utf-16"]),
        ({",": "\t"}, "utf-8", ["separator:tab"]),
        ({"salary": "SALARY"}, "utf-8", ["column:salary=SALARY"]),
        (
            {"19783": "45352", "19706": "45275", "18263": "43832"},
            "utf-8",
            ["date:admitted=excel"],
        ),
        ({"p2,,": "p2,999,"}, "utf-8", ["missing:age=999"]),
        ({"p2,,12000,19706,,": "p2,.,12000,19706,.,"}, "utf-8", ["missing:."]),
        ({"19783": "2024-03-01", "19706": "2023-12-15", "18263": ""}, "utf-8", None),
    ],
)
def test_each_thing_is_proposed_by_itself(
    changes: Mapping[str, str], encoding: str, words: list[str] | None, tmp_path: Path
) -> None:
    text = PLAIN
    for old, new in changes.items():
        text = text.replace(old, new)
    check = checked(tmp_path / "a.csv", text, encoding=encoding)
    assert check.proposed == (words or ["date:admitted=YYYY-MM-DD"])
    assert check.refusal == ""
    assert checked(tmp_path / "a.csv", text, *check.proposed, encoding=encoding).fits


def test_what_two_words_could_mean_is_left_to_a_person(tmp_path: Path) -> None:
    """A day and a month that could be exchanged in every row."""
    text = PLAIN.replace("19783", "01/03/2024").replace("19706", "05/12/2023")
    check = checked(tmp_path / "a.csv", text.replace("18263", "02/01/2020"))
    assert check.proposed == []
    assert check.open == ["date:admitted=DD/MM/YYYY", "date:admitted=MM/DD/YYYY"]
    assert not check.fits


def test_numbers_that_other_signs_would_make_others_are_left_to_a_person(tmp_path: Path) -> None:
    """1,234 is more than a thousand, or a little more than one."""
    text = "patient;age;salary;admitted;stage;ill\np1;6;1,234;7;1;no\np2;5;2,500;9;2;yes\n"
    check = checked(tmp_path / "a.csv", text)
    assert check.open == ["decimal:comma, or thousands:comma"]
    for word in ("decimal:comma", "thousands:comma"):
        assert checked(tmp_path / "a.csv", text, "separator:semicolon", word).fits


def test_nobody_is_made_up_without_a_word(tmp_path: Path) -> None:
    text = "\n".join(line.partition(",")[2] for line in PLAIN.splitlines())
    check = checked(tmp_path / "a.csv", text)
    assert check.open == [
        "column:patient=THEIRS, or persons:rows if each row is a person of its own"
    ]
    made_up = checked(tmp_path / "a.csv", text, "persons:rows")
    assert made_up.fits
    assert made_up.persons == 3
    assert "NOTICE: no column says whose a record is" in said(made_up)


def test_a_code_is_not_shown_as_a_value_of_a_column_that_is_called_otherwise(
    tmp_path: Path,
) -> None:
    lines = said(checked(tmp_path / "a.csv", GERMAN)).splitlines()
    ages = next(line.split() for line in lines if line.startswith("Age (age)"))
    assert ages == ["Age", "(age)", "2", "numbers", "1", "50;", "63"]


def test_one_row_of_one_column_is_no_rows_of_columns(tmp_path: Path) -> None:
    lines = said(checked(tmp_path / "a.csv", "age\n7\n", schema=None)).splitlines()
    assert lines[0] == "1 row, 1 column"
    assert "the first 1 row:" in lines


def test_what_no_word_mends_is_shown_as_a_site_would_refuse_it(tmp_path: Path) -> None:
    check = checked(tmp_path / "a.csv", PLAIN.replace("p3,50", "p3,fifty"))
    assert not check.fits
    assert "age: expected a number, not so in row 4 ('fifty')" in check.refusal
    assert check.refusal in said(check)


def test_without_a_schema_the_columns_are_shown(tmp_path: Path) -> None:
    check = checked(tmp_path / "a.csv", GERMAN, schema=None)
    assert check.proposed == ["separator:semicolon", "decimal:comma", "thousands:point"]
    lines = said(check).splitlines()
    assert any(line.startswith("ADMITTED  dates as DD.MM.YYYY") for line in lines)
    assert parsed_words(check.proposed)[0].separator == ";"


def test_texts_are_checked_as_well(tmp_path: Path) -> None:
    text = "person,text,ill\np1,cough,no\np2,,yes\n"
    check = checked(tmp_path / "a.csv", text, schema=NOTES)
    assert "no text in row 3" in check.refusal
    check = checked(tmp_path / "a.csv", text.replace("p2,,", "p2,fever,"), schema=NOTES)
    assert check.fits
    assert check.classes == {"no": 1, "yes": 1}
    (tmp_path / "notes" / "no").mkdir(parents=True)
    (tmp_path / "notes" / "no" / "p1.txt").write_text("cough " * 40)
    folder = check_data(TextFolder(path=tmp_path / "notes", label="ill"), [], NOTES)
    assert folder.fits
    assert "cough cough cough cou..." in said(folder)


def test_what_was_adapted_of_annotated_documents_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A cold.")
    (tmp_path / "a.ann").write_text("T1\tDisease 2 6\tcold\nT2\tDisease 3 6\told\n")
    schema = EntitySchema(name="notes", types=("Disease",))
    check = check_data(AnnotatedFiles(path=tmp_path), [], schema)
    assert check.fits
    assert check.persons == 1
    assert "NOTICE: 1 entity not used" in said(check)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="in line 2"):
        checked(tmp_path / "a.csv", "a,b\n1\n", schema=None)


@pytest.mark.parametrize("schema", [WARD, None])
def test_a_file_that_cannot_be_read_is_refused_as_a_run_refuses_it(
    tmp_path: Path, schema: Schema | None
) -> None:
    (tmp_path / "a.csv.gz").write_text(PLAIN)
    with pytest.raises(BrokenFile, match="cannot be read as"):
        check_data(TableFile(path=tmp_path / "a.csv.gz"), (), schema)
    with pytest.raises(MissingFile):
        check_data(TableFile(path=tmp_path / "b.csv"), (), schema)
    with pytest.raises(BrokenFile, match="is not written in utf-16"):
        checked(tmp_path / "c.csv", PLAIN, "encoding:utf-16", schema=schema)


EVEN = """patient,age,salary,admitted,stage,ill
p1,63,12.000,19783,1,no
p2,,,19706,,yes
p3,50,1.500,18263,3,no
"""


def test_numbers_that_may_be_thousands_are_told_and_not_guessed(tmp_path: Path) -> None:
    check = checked(tmp_path / "even.csv", EVEN)
    assert check.fits
    assert "NOTICE: every number in salary has exactly three decimals" in said(check)
    assert "say decimal:comma and thousands:point" in said(check)
    german = checked(tmp_path / "even.csv", EVEN, "decimal:comma", "thousands:point")
    assert german.fits
    assert "three decimals" not in said(german)


@pytest.mark.parametrize("other", ["12.5", "12", "0.125", "1234.500", "500.000"])
def test_a_number_that_cannot_be_thousands_says_so_for_its_column(
    other: str, tmp_path: Path
) -> None:
    """The last would be 500,000, which the schema does not allow."""
    check = checked(tmp_path / "even.csv", EVEN.replace("1.500", other))
    assert "three decimals" not in said(check)


def test_a_run_tells_its_site_of_numbers_that_may_be_thousands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the column, and no value of it."""
    (tmp_path / "even.csv").write_text(EVEN)
    load_table(TableFile(path=tmp_path / "even.csv"), WARD, n_classes=2, sides=keyed(1))
    assert "every number in salary has exactly three decimals" in caplog.text
    assert "1.500" not in caplog.text


def test_what_values_mean_is_proposed_by_the_refusal_and_then_read(tmp_path: Path) -> None:
    plain = PLAIN.replace(",no", ",0").replace(",yes", ",1")
    check = checked(tmp_path / "plain.csv", plain)
    assert "or say values:ill:THEIRS=OURS for each that means one" in said(check)
    check = checked(tmp_path / "plain.csv", plain, "values:ill:0=no;1=yes")
    assert check.fits
    assert check.classes == {"no": 2, "yes": 1}
