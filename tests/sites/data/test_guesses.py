"""What is proposed for a file is how it was written, whatever its signs."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.agreed_columns import agreed_columns
from sites.data.guesses import (
    SIGNS,
    Signs,
    date_forms,
    words_for_codes,
    words_for_columns,
    words_for_dates,
    words_for_file,
    words_for_signs,
)
from sites.data.reading import AS_DECLARED, parsed_words
from sites.data.source import SqlQuery, TableFile
from sites.data.validation import validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema

WARD = Schema(
    name="ward",
    person="patient",
    features=(
        Number(name="cost", low=0, high=1e7),
        Number(name="age", low=0, high=120, missing=True),
        Category(name="stage", values=("1", "9"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)


@given(
    st.lists(st.integers(1_000_01, 9_999_999_99).map(lambda n: n / 100), min_size=1, max_size=6),
    st.sampled_from(SIGNS),
)
def test_numbers_come_back_with_the_proposed_signs(costs: list[float], signs: Signs) -> None:
    decimal, thousands = signs
    table = {ord(","): thousands or "", ord("."): decimal}
    written = pd.Series([f"{cost:,.2f}".translate(table) for cost in costs], dtype="str")
    frame = pd.DataFrame({"cost": written})
    words = words_for_signs(frame, AS_DECLARED, WARD)
    read = agreed_columns(frame, parsed_words(words)[1], WARD, labelled=False)
    assert read["cost"].astype(float).tolist() == costs


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_a_file_is_read_with_the_proposed_words(sign: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"patient{sign}ort\n1{sign}Köln\n".encode(encoding))
    form, _ = parsed_words(words_for_file(TableFile(path=path)))
    assert (form.separator or ",") == sign
    assert (form.encoding or "utf-8") == encoding


def test_nothing_is_proposed_for_what_has_no_form() -> None:
    assert words_for_file(SqlQuery(url="sqlite://", query="SELECT 1")) == []
    assert words_for_file(TableFile(path=Path("a.parquet"))) == []


def test_a_column_is_proposed_by_its_name_alone() -> None:
    have = ["PATIENT", "Cost ", "age", "grade", "ILL"]
    assert words_for_columns(have, AS_DECLARED, WARD) == [
        "column:cost=Cost ",
        "column:ill=ILL",
        "column:patient=PATIENT",
    ]


def test_a_code_is_proposed_where_a_value_may_be_missing() -> None:
    """Not for a declared value, nor where every value is needed."""
    frame = pd.DataFrame(
        {"cost": ["-9", "1"], "age": ["-9", "12"], "stage": ["9", "."], "ill": ["no", "."]}
    )
    assert words_for_codes(frame, AS_DECLARED, WARD) == ["missing:age=-9", "missing:stage=."]
    kept = frame.assign(cost="1", ill="no", patient="p")
    words = words_for_codes(kept, AS_DECLARED, WARD)
    read = validate_table(agreed_columns(kept, parsed_words(words)[1], WARD), WARD)
    assert read["age"].isna().tolist() == [True, False]


def test_a_form_of_dates_is_proposed_only_where_all_but_codes_have_it() -> None:
    days = pd.Series(["31.12.2024", "1.2.2024", "."])
    assert date_forms(days, AS_DECLARED) == ["DD.MM.YYYY"]
    assert date_forms(pd.Series(["31.12.2024", "soon"]), AS_DECLARED) == []
    assert date_forms(pd.Series(["01/02/2024"]), AS_DECLARED) == ["DD/MM/YYYY", "MM/DD/YYYY"]
    frame = pd.DataFrame({"cost": ["2024-12-31", "2024-01-01"], "age": ["50", "60"]})
    assert words_for_dates(frame, AS_DECLARED, WARD) == ["date:cost=YYYY-MM-DD"]
