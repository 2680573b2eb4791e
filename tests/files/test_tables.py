"""A table is what its file says: nothing is guessed, clipped or filled in."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from sites.data.source import TableFile
from sites.data.tables import BrokenFile
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.schema.texts import NotesSchema
from sites.tasks.tabular.loading import load_columns, load_table
from sites.tasks.text.classification_data import load_notes
from tests.files.refusals import numbers_in, refusal
from tests.sites.sides import keyed

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


NOTES = NotesSchema(name="ward", person="patient", text="age", label=WARD.label)


def as_table(source: TableFile) -> object:
    """Read records to train on."""
    return load_table(source, WARD, n_classes=2, sides=keyed(1))


def as_rows_to_score(source: TableFile) -> object:
    """Read records to predict for."""
    return load_columns(source, WARD)


def as_notes(source: TableFile) -> object:
    """Read notes, whose text is in the last column that line 3 has."""
    return load_notes(source, NOTES, sides=keyed(1))


@pytest.mark.parametrize("read", [as_table, as_rows_to_score, as_notes])
@pytest.mark.parametrize("name", ["ward.csv", "ward.tsv", "ward.csv.gz", "ward.tsv.gz"])
def test_rows_with_fewer_values_than_the_header_has_names_are_refused_by_their_lines(
    read: Callable[[TableFile], object], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    text = CUT_OFF.replace(",", "\t") if ".tsv" in name else CUT_OFF
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.write(text)
    error = refusal(lambda: read(TableFile(path=path)))
    assert isinstance(error, BrokenFile)
    assert {3, 5} <= numbers_in(error)
    assert error.counts == {"rows": 2}
