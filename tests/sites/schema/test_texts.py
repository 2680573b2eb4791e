import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import (
    AgreedTable,
    AnySchema,
    EntitySchema,
    MultiLabel,
    NotesSchema,
    marks_of,
)

TABLE: TypeAdapter[AnySchema] = TypeAdapter(AgreedTable)
SIDE = ClassLabel(column="side", classes=("left", "right"))
NOTES = NotesSchema(name="notes", label=SIDE)
ENTITIES = EntitySchema(name="diseases", types=("Disease", "Drug"))
COLUMNS = Schema(
    name="beds", person="person", features=(Number(name="age", low=0, high=120),), label=SIDE
)
SEVERAL = MultiLabel(column="findings", labels=("cough", "fever"))


@pytest.mark.parametrize("schema", [NOTES, ENTITIES, COLUMNS], ids=lambda schema: schema.name)
def test_a_schema_is_read_back_with_its_kind(schema: AnySchema) -> None:
    found = TABLE.validate_json(schema.model_dump_json())
    assert found == schema
    assert type(found) is type(schema)
    assert found.fingerprint == schema.fingerprint
    assert TABLE.validate_python(schema) is schema


def test_each_kind_of_schema_is_distinguished_from_the_others() -> None:
    """A schema of one kind with the fields of another is refused, not guessed."""
    texts, table = NOTES.model_dump(), COLUMNS.model_dump()
    for odd in ({**texts, "kind": "entities"}, {**texts, "kind": "table"}, {**table, "kind": 3}):
        with pytest.raises(ValidationError):
            TABLE.validate_python(odd)


def test_the_fingerprint_of_a_table_is_stable_over_versions() -> None:
    assert "kind" not in TABLE.dump_python(COLUMNS)


@given(
    st.sampled_from(["name", "text", "person", "max_notes_per_person", "label"]),
)
def test_the_fingerprint_changes_with_every_field(field: str) -> None:
    changed = {
        "name": "other",
        "text": "report",
        "person": "patient",
        "max_notes_per_person": 5,
        "label": SEVERAL,
    }
    other = NOTES.model_copy(update={field: changed[field]})
    assert other.fingerprint != NOTES.fingerprint


@pytest.mark.parametrize(
    ("columns", "named"),
    [({"text": "side"}, "side"), ({"person": "text"}, "text"), ({"text": "characters"}, "charac")],
)
def test_columns_of_notes_are_distinct(columns: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        NotesSchema(name="notes", label=SIDE, **columns)


@pytest.mark.parametrize(
    ("labels", "said"), [(("cough", "cough"), "twice"), (("cough|fever",), "contain the separator")]
)
def test_labels_are_distinct_and_do_not_contain_the_separator(
    labels: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        MultiLabel(column="findings", labels=labels)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"types": ("Drug", "Drug")}, "twice"),
        ({"types": ("a drug",)}, "types"),
        ({"types": ()}, "types"),
        ({"types": ("Drug",), "person": "entity"}, "entity"),
    ],
)
def test_types_of_entities_are_declared_once_and_fit_a_tag(
    fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        EntitySchema(name="diseases", **fields)


def test_marks_are_labels_or_types() -> None:
    assert marks_of(SEVERAL) == ("cough", "fever")
    assert marks_of(ENTITIES.label) == ("Disease", "Drug")
