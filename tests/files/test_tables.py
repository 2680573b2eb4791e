"""A table is what its file says: nothing is guessed, clipped or filled in."""

from pathlib import Path

import pytest

from sites.data.source import TableFile
from sites.data.tables import BrokenFile
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.tasks.tabular.loading import load_table
from tests.files.refusals import numbers_in, refusal

WARD = Schema(
    name="ward",
    person="patient",
    features=(
        Number(name="age", low=0, high=120),
        Number(name="haemoglobin", low=2, high=25, missing=True),
        Category(name="admitted", values=("planned", "emergency"), missing=True),
    ),
    label=ClassLabel(column="readmitted", classes=("no", "yes")),
)

# Line 3 lost its last values; the file ends within line 5, where 55 became 5.
CUT_OFF = """readmitted,patient,age,haemoglobin,admitted
no,p1,50,13.1,planned
yes,p2,60
no,p3,70,12.0,emergency
yes,p4,5"""


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="part I: values that a row is too short for are taken as missing",
)
def test_rows_with_fewer_values_than_the_header_has_names_are_refused_by_their_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ward.csv"
    path.write_text(CUT_OFF)
    error = refusal(lambda: load_table(TableFile(path=path), WARD, n_classes=2, seed=1))
    assert isinstance(error, BrokenFile)
    assert {3, 5} <= numbers_in(error)
