"""A person is checked alike in a table, in notes and in sentences."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from sites.data.annotations import read_annotated_sentences
from sites.data.source import TableFile
from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import EntitySchema, NotesSchema
from sites.tasks.tabular.data import TableData
from sites.tasks.tabular.loading import load_table
from sites.tasks.text.classification_data import load_notes
from tests.files.refusals import refusal
from tests.sites.sides import keyed

TABLE = Schema(
    name="ward",
    person="person",
    features=(Number(name="age", low=0, high=120),),
    label=ClassLabel(column="label", classes=("no", "yes")),
)
NOTES = NotesSchema(name="notes", label=ClassLabel(column="label", classes=("flu", "asthma")))
SENTENCES = EntitySchema(name="sentences", person="person", types=("Disease",))

NOBODY = (None, "", " ", "?", "NA", "NULL", "nan", "n/a")
ONE_PERSON = (123, "123", 123.0, "123.0")

Persons = Callable[[Path, Sequence[object]], set[str]]


def written(folder: Path, rows: Iterable[Mapping[str, object]]) -> TableFile:
    """Return JSON lines of these rows."""
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TableFile(path=path)


def table(folder: Path, persons: Sequence[object]) -> set[str]:
    """Return whose records a table has, as it is read."""
    source = written(folder, ({"person": one, "age": 50, "label": "no"} for one in persons))
    data = load_table(source, TABLE, n_classes=2, sides=keyed(1))
    return {*data.training.persons.tolist(), *data.held_out.persons.tolist()}


def notes(folder: Path, persons: Sequence[object]) -> set[str]:
    """Return whose notes there are, as they are read."""
    source = written(folder, ({"person": one, "text": "fever", "label": "flu"} for one in persons))
    data = load_notes(source, NOTES, sides=keyed(1))
    return {*data.training.persons.tolist(), *data.held_out.persons.tolist()}


def sentences(folder: Path, persons: Sequence[object]) -> set[str]:
    """Return whose sentences there are, as they are read."""
    source = written(
        folder, ({"person": one, "tokens": ["gout"], "tags": ["B-Disease"]} for one in persons)
    )
    return {*read_annotated_sentences(source, SENTENCES).persons.tolist()}


@pytest.mark.parametrize(
    "persons_of",
    [table, notes, sentences],
)
def test_a_missing_person_is_refused_in_every_kind_of_record(
    persons_of: Persons, tmp_path: Path
) -> None:
    reading = {one: partial(persons_of, tmp_path, ["p1", one, "p2"]) for one in NOBODY}
    assert [one for one, read in reading.items() if refusal(read) is None] == []


@pytest.mark.parametrize("persons_of", [table, notes, sentences])
def test_a_number_in_any_form_is_one_person_or_the_mixture_is_refused(
    persons_of: Persons, tmp_path: Path
) -> None:
    found: list[set[str]] = []
    error = refusal(lambda: found.append(persons_of(tmp_path, ONE_PERSON)))
    assert error is not None or len(found[0]) == 1


def test_nobody_written_in_two_forms_is_on_both_sides(tmp_path: Path) -> None:
    """Ten patients, whom an export wrote as 7 here and as 7.0 there; or that is refused."""
    path = tmp_path / "ward.csv"
    rows = (f"{form},50,no\n" for one in range(1, 11) for form in (one, f"{one}.0"))
    path.write_text("person,age,label\n" + "".join(rows))
    found: list[TableData] = []
    source = TableFile(path=path)
    error = refusal(lambda: found.append(load_table(source, TABLE, n_classes=2, sides=keyed(1))))
    if error is None:
        sides = (found[0].training.persons, found[0].held_out.persons)
        training, held_out = ({one.removesuffix(".0") for one in side} for side in sides)
        assert not training & held_out
