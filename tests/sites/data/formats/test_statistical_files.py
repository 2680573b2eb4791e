"""Files of SAS, SPSS and Stata are read as these programs mean them."""

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest

from sites.data.agreed_columns import agreed_columns
from sites.data.reading import parsed_words
from sites.data.source import TableFile, with_words
from sites.data.tables import BrokenFile, read_table
from sites.data.validation import validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema

PATIENTS = pd.DataFrame(
    {
        "patient": ["p1", "p2", "p3"],
        "sex": [1.0, 2.0, None],
        "weight": [0.0, 71.5, 999.0],
        "seen": [dt.date(2020, 2, 29), None, dt.date(1969, 12, 31)],
        "died": [0.0, 1.0, 1.0],
    }
)
SEX = {1: "male", 2: "female"}
SCHEMA = Schema(
    name="deaths",
    features=[
        Number(name="weight", low=0, high=300, missing=True),
        Number(name="seen", low=-1e5, high=1e5, missing=True),
        Category(name="sex", values=("male", "female"), missing=True),
    ],
    label=ClassLabel(column="died", classes=("0", "1")),
    person="patient",
)
WRITERS: dict[str, Any] = {
    ".sav": pyreadstat.write_sav,
    ".zsav": lambda frame, path, **said: pyreadstat.write_sav(frame, path, compress=True, **said),
    ".dta": pyreadstat.write_dta,
}


def _write(folder: Path, ending: str, **said: Any) -> TableFile:
    path = folder / f"patients{ending}"
    if ending == ".xpt":
        pyreadstat.write_xport(PATIENTS, str(path), file_format_version=8)
    else:
        WRITERS[ending](PATIENTS, str(path), **said)
    return TableFile(path=path)


def _records(source: TableFile, *words: str, schema: Schema = SCHEMA) -> pd.DataFrame:
    said = with_words(source, words)
    frame = agreed_columns(read_table(said), said.reading, schema)
    return validate_table(frame, schema)


@pytest.mark.parametrize("ending", [".sav", ".zsav", ".dta"])
def test_labels_dates_and_missing_values_become_records_of_the_schema(
    tmp_path: Path, ending: str
) -> None:
    source = _write(tmp_path, ending, variable_value_labels={"sex": SEX})
    records = _records(source, "date:seen=YYYY-MM-DD", "missing:weight=999")
    assert [*records["sex"].astype(object).where(records["sex"].notna(), None)] == [
        "male",
        "female",
        None,
    ]
    assert [*records["weight"].fillna(-1)] == [0.0, 71.5, -1]
    assert [*records["seen"].fillna(-7)] == [18321.0, -7, -1.0]
    assert [*records["died"]] == ["0", "1", "1"]
    assert [*records.index] == [1, 2, 3]


def test_a_sas_transport_file_keeps_zero_and_its_dates(tmp_path: Path) -> None:
    """The reader of pandas gives 5.4e-79 for 0 (pandas 3.1.1)."""
    source = _write(tmp_path, ".xpt")
    frame = read_table(source)
    assert frame["weight"].iloc[0] == 0.0
    words = ("date:seen=YYYY-MM-DD", "values:sex:1=male;2=female", "missing:weight=999")
    assert [*_records(source, *words)["seen"].fillna(-7)] == [18321.0, -7, -1.0]


def test_an_ending_may_be_in_capitals_as_public_files_of_sas_have_it(tmp_path: Path) -> None:
    path = _write(tmp_path, ".xpt").path
    capital = path.rename(tmp_path / "DEMO.XPT")
    assert len(read_table(TableFile(path=capital))) == 3


def test_two_values_with_one_label_stay_apart(tmp_path: Path) -> None:
    """The reader of pandas merges them, or refuses the file."""
    source = _write(tmp_path, ".sav", variable_value_labels={"died": {0: "no", 1: "no"}})
    assert [*read_table(source)["died"]] == ["no (0)", "no (1)", "no (1)"]


def test_a_column_with_labels_for_some_of_its_values_holds_values(tmp_path: Path) -> None:
    source = _write(tmp_path, ".sav", variable_value_labels={"weight": {999: "not weighed"}})
    assert [*read_table(source)["weight"]] == [0.0, 71.5, 999.0]


def test_codes_keeps_the_values_of_a_column_by_the_name_of_the_schema(tmp_path: Path) -> None:
    source = _write(tmp_path, ".dta", variable_value_labels={"died": {0: "alive", 1: "dead"}})
    plain = read_table(with_words(source, ["codes:outcome", "column:outcome=died"]))
    assert [*plain["died"]] == [0.0, 1.0, 1.0]
    assert [*read_table(source)["died"]] == ["alive", "dead", "dead"]


def test_codes_is_refused_where_there_are_no_labels() -> None:
    with pytest.raises(ValueError, match=r"codes:.*\.xpt"):
        with_words(TableFile(path=Path("a.csv")), ["codes:sex"])
    assert parsed_words(["codes:sex", "codes:died"])[1].codes == ("sex", "died")


def test_what_the_file_declares_as_missing_is_missing(tmp_path: Path) -> None:
    source = _write(tmp_path, ".sav", missing_ranges={"weight": [999]})
    assert [*read_table(source)["weight"].isna()] == [False, False, True]
    stata = tmp_path / "refused.dta"
    frame = pd.DataFrame({"patient": ["a", "b"], "weight": [70, "a"]})
    pyreadstat.write_dta(frame, str(stata), missing_user_values={"weight": ["a"]})
    assert [*read_table(TableFile(path=stata))["weight"].isna()] == [False, True]


def test_a_cut_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = _write(tmp_path, ".sav").path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BrokenFile, match=r"patients\.sav cannot be read as \.sav"):
        read_table(TableFile(path=path))


def test_an_encoding_replaces_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "cities.dta"
    frame = pd.DataFrame({"patient": ["a"], "city": ["Xyzzy"]})
    pyreadstat.write_dta(frame, str(path), version=10)
    path.write_bytes(path.read_bytes().replace(b"Xyzzy", "Zürch".encode("latin-1")))
    source = with_words(TableFile(path=path), ["encoding:latin-1"])
    assert [*read_table(source)["city"]] == ["Zürch"]
