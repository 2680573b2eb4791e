"""A category may be the group of a code, as the schema declares it."""

import pandas as pd
import pytest
from pydantic import ValidationError

from sites.codes.systems import CodeGroup, CodeSystem
from sites.data.guesses import words_for_codes
from sites.data.reading import AS_DECLARED
from sites.data.validation import BadTable, validate_table
from sites.schema.tables import Category, ClassLabel, Schema

SCHEMA = Schema(
    name="coded",
    person="person",
    features=(
        Category(name="dx", codes="icd-10-cm", group="chapter", missing=True),
        Category(name="old", codes="icd-9-cm", group="category", values=("001", "250")),
    ),
    label=ClassLabel(column="died", classes=("0", "1")),
)


def _frame(dx: list[object], old: list[object]) -> pd.DataFrame:
    persons = [str(number) for number in range(len(dx))]
    return pd.DataFrame(
        {"dx": dx, "old": old, "died": "0", "person": persons}, index=range(2, len(dx) + 2)
    )


def test_cells_become_their_groups() -> None:
    """Codes in any form, groups as they are named, and missing cells."""
    found = validate_table(
        _frame(["i219", "E11.65", None, "I00-I99"], ["250.1", "1.0", "25001", "001"]), SCHEMA
    )
    assert found["dx"].astype(object).where(found["dx"].notna(), None).tolist() == [
        "I00-I99",
        "E00-E89",
        None,
        "I00-I99",
    ]
    assert found["old"].tolist() == ["250", "001", "250", "001"]


def test_a_refused_code_is_named_with_its_row() -> None:
    """Also a number, a code without its zeros, and a group that is not declared."""
    with pytest.raises(BadTable) as refused:
        validate_table(_frame(["I2.19", "A00", "A00"], ["1", "410.0", 250.1]), SCHEMA)
    said = str(refused.value)
    assert "dx: expected a code of icd-10-cm whose chapter is one of A00-B99" in said
    assert "2 ('I2.19')" in said
    assert "old: expected a code of icd-9-cm whose category is one of 001, 250" in said
    assert "3 rows: 2 ('1'), 3 ('410.0'), 4 ('number 250.1')" in said


def test_a_schema_without_codes_keeps_its_form() -> None:
    """So that charters that were signed before keep their fingerprints."""
    plain = Category(name="sex", values=("f", "m")).model_dump_json()
    assert plain == '{"kind":"category","name":"sex","values":["f","m"],"missing":false}'
    assert Schema.model_validate_json(SCHEMA.model_dump_json()) == SCHEMA


@pytest.mark.parametrize(
    ("codes", "group", "values"),
    [
        ("icd-10", None, ("A00", "A01")),
        (None, "chapter", ("A00", "A01")),
        ("atc", "chapter", ("A", "B")),
        ("icd-10", "chapter", ("IX", "X")),
        ("loinc", "code", ("2160-1", "4548-4")),
    ],
)
def test_what_is_no_group_cannot_be_declared(
    codes: CodeSystem | None, group: CodeGroup | None, values: tuple[str, ...]
) -> None:
    """A value that no code could have would never be met."""
    with pytest.raises(ValidationError):
        Category(name="dx", values=values, codes=codes, group=group)


@pytest.mark.parametrize("codes", [["icd-10"], {"icd-10": 1}, 7, None, "icd-11"])
def test_a_charter_with_chapters_of_no_system_is_refused_and_nothing_else(codes: object) -> None:
    """Also where the name of the system is something that has no place in a charter."""
    given = {"kind": "category", "name": "dx", "codes": codes, "group": "chapter"}
    with pytest.raises(ValidationError):
        Category.model_validate(given)


def test_no_code_is_proposed_as_a_missing_value() -> None:
    """99.9 looks like a word for nothing, and is a code of ICD-9-CM; so does 999."""
    schema = SCHEMA.model_copy(
        update={
            "features": (Category(name="old", codes="icd-9-cm", group="chapter", missing=True),)
        }
    )
    frame = pd.DataFrame({"old": pd.Series(["999", "999", "250.1"], dtype="str")})
    assert words_for_codes(frame, AS_DECLARED, schema) == []
