"""The agreed schemas of text: the text, whose it is, and what is predicted.

As with tables, nothing in them is learnt from a site's records: every label and every type of
entity is declared, and a site may lack any of them.
"""

import hashlib
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from sites.schema.tables import NAME, ClassLabel, Label, Schema

CHARACTERS = "characters"
LONGEST_TEXT = 10_000_000

Declared: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MultiLabel(_Agreed):
    """What is predicted where a text may have several labels, or none.

    Args:
        column: The column that holds the labels of a text: a list, or a text that lists them.
        labels: Every label that may occur.
        separator: Between the labels where a text lists them; no label contains it.
    """

    kind: Literal["labels"] = "labels"
    column: str = Field(pattern=NAME)
    labels: tuple[Declared, ...] = Field(min_length=1, max_length=1000)
    separator: str = Field(default="|", min_length=1, max_length=8)

    @model_validator(mode="after")
    def _labels_can_be_told_apart(self) -> "MultiLabel":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.column} declares a label twice")
        parted = [label for label in self.labels if self.separator in label]
        if parted:
            raise ValueError(
                f"{parted[:3]} of {self.column} contain the separator {self.separator!r}"
            )
        return self


class EntityLabel(_Agreed):
    """What is predicted of a sentence: which of its words are entities, and of which type."""

    kind: Literal["entities"] = "entities"
    column: str = Field(pattern=NAME)
    types: tuple[str, ...]


class NotesSchema(_Agreed):
    """Texts that are classified as a whole: the agreed columns of a site's notes.

    Args:
        name: For people, in reports and errors.
        person: The column that says whose a text is; a person's texts stay together.
        text: The column of texts.
        label: What is predicted of a text: one class, or any number of labels.
        max_notes_per_person: Most training texts of a person, chosen by a seeded draw; 0 for
            all.
    """

    kind: Literal["notes"] = "notes"
    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    person: str = Field(default="person", pattern=NAME)
    text: str = Field(default="text", pattern=NAME)
    label: Annotated[ClassLabel | MultiLabel, Field(discriminator="kind")]
    max_notes_per_person: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> "NotesSchema":
        if len(set(self.columns)) < len(self.columns) or CHARACTERS in self.columns:
            raise ValueError(
                f"schema {self.name} needs three different columns for person, text and label, "
                f"none of them named {CHARACTERS}; they are {self.columns}"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the text, the label and the person."""
        return self.text, self.label.column, self.person

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal; sites compare it."""
        return _fingerprint(self)


class EntitySchema(_Agreed):
    """Sentences in which entities are found.

    Args:
        name: For people, in reports and errors.
        person: The column that says whose a sentence is, or in which document it is; the
            sentences of one person or document stay together.
        types: Every type of entity, distinct; the order fixes the codes of tags.
    """

    kind: Literal["entities"] = "entities"
    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    person: str = Field(default="document", pattern=NAME)
    types: tuple[Annotated[str, Field(pattern=r"^[^\s-][^\s]{0,63}$")], ...] = Field(
        min_length=1, max_length=200
    )

    @model_validator(mode="after")
    def _types_are_distinct(self) -> "EntitySchema":
        if len(set(self.types)) != len(self.types):
            raise ValueError(f"schema {self.name} declares a type of entity twice")
        if self.person in ("entity", CHARACTERS):
            raise ValueError(f"schema {self.name} cannot name its documents {self.person}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the parts of a site's sentences that are read."""
        return "words", self.label.column, self.person

    @property
    def label(self) -> EntityLabel:
        """What is predicted."""
        return EntityLabel(column="entity", types=self.types)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal; sites compare it."""
        return _fingerprint(self)


def _fingerprint(schema: BaseModel) -> str:
    return hashlib.sha256(schema.model_dump_json().encode()).hexdigest()


def _kind(table: Any) -> str:  # noqa: ANN401 -- JSON, or a schema
    # Schemas of tables are older than the other kinds, and have no field `kind`.
    kind = table.get("kind", "table") if isinstance(table, dict) else getattr(table, "kind", "")
    return kind if isinstance(kind, str) and kind else "table"


TextSchema: TypeAlias = NotesSchema | EntitySchema
AnySchema: TypeAlias = Schema | TextSchema
AnyLabel: TypeAlias = Label | MultiLabel | EntityLabel
AgreedTable: TypeAlias = Annotated[
    Annotated[Schema, Tag("table")]
    | Annotated[NotesSchema, Tag("notes")]
    | Annotated[EntitySchema, Tag("entities")],
    Discriminator(_kind),
]


def marks_of(label: MultiLabel | EntityLabel) -> tuple[str, ...]:
    """Return what a record may have several of, by name: the labels, or the types of entity."""
    return label.labels if isinstance(label, MultiLabel) else label.types
