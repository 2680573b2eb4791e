"""The agreed schema of a table: the meaning of every column, the same at every site.

A schema is part of the charter. Nothing in it is learnt from a site's records: categories and
bounds are declared, so that "category 3" means the same at every site.
"""

import hashlib
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sites.codes.chapters import CHAPTERS
from sites.codes.systems import GROUPS, CodeGroup, CodeSystem, is_group

NAME = r"^[a-z][a-z0-9_.-]{0,63}$"
Bound: TypeAlias = Annotated[float, Field(ge=-1e300, le=1e300)]


def _text_of_value(value: object) -> object:
    """Return the text by which a number or a truth value that was declared is known."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, bool | int | float) else value


# Whoever writes a schema may declare 0 and 1 as they are in the records.
Value: TypeAlias = Annotated[str, BeforeValidator(_text_of_value)]


def _is_none(value: object) -> bool:
    return value is None


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(_Agreed):
    """A numeric column with declared bounds; a value outside them is refused, never clipped.

    Args:
        name: The column.
        low: Smallest value that makes sense.
        high: Largest value that makes sense, above `low`.
        unit: For people, in reports and errors.
        missing: Whether a value may be absent; if so, an indicator column is added.
        scale: "log" compresses a skewed quantity to sign(x) * log(1 + |x|).
    """

    kind: Literal["number"] = "number"
    name: str = Field(pattern=NAME)
    low: Bound
    high: Bound
    unit: str = ""
    missing: bool = False
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> "Number":
        _check_bounds(self.name, self.low, self.high)
        return self


class Category(_Agreed):
    """A column with declared values; any other value is refused.

    Args:
        name: The column.
        values: Every value that may occur, distinct; their order fixes the encoding. With the
            chapters of an ICD, they may be left out: then all chapters are declared.
        missing: Whether a value may be absent; if so, an indicator column is added.
        codes: The system whose codes the cells are; None where they are the values themselves.
        group: What of a code is the value, such as its chapter; given where `codes` is.
    """

    kind: Literal["category"] = "category"
    name: str = Field(pattern=NAME)
    values: tuple[Value, ...] = Field(
        default=(), validate_default=True, min_length=2, max_length=1000
    )
    missing: bool = False
    # Left out where they are not declared, so that older schemas keep their fingerprints.
    codes: CodeSystem | None = Field(default=None, exclude_if=_is_none)
    group: CodeGroup | None = Field(default=None, exclude_if=_is_none)

    @model_validator(mode="before")
    @classmethod
    def _all_chapters_are_declared(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("group") == "chapter" and "values" not in given:
            # What is no name of a system, such as a list, is refused where `codes` is checked.
            chapters = [ranges for name, ranges in CHAPTERS.items() if name == given.get("codes")]
            return {**given, "values": chapters[0] if chapters else ()}
        return given

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "Category":
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"{self.name} declares a value twice")
        return self

    @model_validator(mode="after")
    def _values_are_groups(self) -> "Category":
        if self.codes is None or self.group is None:
            if self.codes is not None or self.group is not None:
                raise ValueError(f"{self.name} needs both codes and group, or neither")
            return self
        if self.group not in GROUPS[self.codes]:
            known = ", ".join(GROUPS[self.codes])
            raise ValueError(f"{self.name}: {self.codes} has no {self.group}; it has {known}")
        other = [one for one in self.values if not is_group(self.codes, self.group, one)]
        if other:
            raise ValueError(f"{self.name}: {other[0]!r} is no {self.group} of {self.codes}")
        return self


class Costs(_Agreed):
    """What the members agreed that a mistake costs them.

    Args:
        missed: Of a record of the positive class that is not flagged.
        alert: Of looking at a flagged record, whatever it turns out to be.
        unit: Of both, for people, such as `EUR`.
    """

    missed: float = Field(ge=0, le=1e12)
    alert: float = Field(ge=0, le=1e12)
    unit: str = ""


class ClassLabel(_Agreed):
    """What a classifier predicts: one of the declared classes, which a site may lack.

    Args:
        column: The column that holds the class.
        classes: Every class; with two, the second is the positive one.
        ordered: Whether the classes are grades in their order, so that a wrong prediction can be
            nearer to the truth than another.
        costs: What a missed positive record and an alert cost, of two classes; None if nobody
            declared it.
    """

    kind: Literal["classes"] = "classes"
    column: str = Field(pattern=NAME)
    classes: tuple[Value, ...] = Field(min_length=2, max_length=1000)
    ordered: bool = False
    # Left out where it is not declared, so that older schemas keep their fingerprints.
    costs: Costs | None = Field(default=None, exclude_if=_is_none)

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> "ClassLabel":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"{self.column} declares a class twice")
        return self

    @model_validator(mode="after")
    def _costs_are_of_two_classes(self) -> "ClassLabel":
        if self.costs is not None and not self.binary:
            raise ValueError(
                f"{self.column} has {len(self.classes)} classes: a missed record and an alert have "
                "a cost where there are two, so leave costs out"
            )
        return self

    @property
    def binary(self) -> bool:
        """Whether there are two classes, of which the second is the positive one."""
        return len(self.classes) == 2


class NumberLabel(_Agreed):
    """What a regression predicts: a number with declared bounds.

    Args:
        column: The column that holds the number.
        low: Smallest value that makes sense.
        high: Largest value that makes sense, above `low`.
        unit: For people, in reports and errors.
        scale: "log" compresses a skewed quantity to sign(x) * log(1 + |x|).
    """

    kind: Literal["number"] = "number"
    column: str = Field(pattern=NAME)
    low: Bound
    high: Bound
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> "NumberLabel":
        _check_bounds(self.column, self.low, self.high)
        return self


class EventTimeLabel(_Agreed):
    """What survival analysis studies: the time until an event, or until nobody looked any more.

    Args:
        column: The column that says how a record ended.
        classes: The end without the event, then the event, as they are written.
        time: The column with the time that was observed, from 0 to `high`.
        high: Longest time that makes sense.
        unit: Of the time, for people, in reports and errors.
        times: The declared times, ascending and above 0: life tables are counted between them, and
            nobody learns an exact time. Empty for `bins` equal steps up to `high`.
        bins: Number of equal steps where no times are declared.
        horizon: The declared time at which calibration is judged, and up to which the mean survival
            is taken; None for the middle one.
    """

    kind: Literal["event-time"] = "event-time"
    column: str = Field(pattern=NAME)
    classes: tuple[Value, Value]
    time: str = Field(pattern=NAME)
    high: float = Field(gt=0, le=1e300)
    unit: str = ""
    times: tuple[float, ...] = Field(default=(), max_length=1000)
    bins: int = Field(default=20, ge=1, le=1000)
    horizon: float | None = None

    @model_validator(mode="after")
    def _times_are_in_order(self) -> "EventTimeLabel":
        if self.classes[0] == self.classes[1]:
            raise ValueError(f"{self.column} declares a class twice")
        pairs = zip((0.0, *self.times), self.times, strict=False)
        if any(not earlier < later <= self.high for earlier, later in pairs):
            raise ValueError(f"the times of {self.time} are not ascending from 0 to {self.high:g}")
        if self.horizon is not None and self.horizon not in self.grid:
            raise ValueError(f"the horizon {self.horizon:g} is none of the times of {self.time}")
        return self

    @property
    def grid(self) -> tuple[float, ...]:
        """The times between which life tables are counted."""
        return self.times or tuple(self.high * step / self.bins for step in range(1, self.bins + 1))

    @property
    def judged_at(self) -> float:
        """The time at which calibration is judged."""
        return self.grid[(len(self.grid) - 1) // 2] if self.horizon is None else self.horizon

    @property
    def ending(self) -> ClassLabel:
        """How a record ended, as a column of classes."""
        return ClassLabel(column=self.column, classes=self.classes)

    @property
    def duration(self) -> NumberLabel:
        """The time that was observed, as a column of numbers."""
        return NumberLabel(column=self.time, low=0, high=self.high, unit=self.unit)


Feature: TypeAlias = Annotated[Number | Category, Field(discriminator="kind")]
Label: TypeAlias = Annotated[ClassLabel | NumberLabel | EventTimeLabel, Field(discriminator="kind")]
Outcome: TypeAlias = ClassLabel | NumberLabel
Ranged: TypeAlias = Number | NumberLabel
Column: TypeAlias = Ranged | Category | ClassLabel


class Schema(_Agreed):
    """Columns, label and person identifier of a table, agreed by all sites.

    Args:
        name: For people, in reports and errors.
        person: The column that says whose record a row is; a person's rows stay together.
        features: The columns that a model reads.
        label: What the model predicts.
    """

    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    person: str = Field(pattern=NAME)
    features: tuple[Feature, ...] = Field(min_length=1, max_length=2000)
    label: Label

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> "Schema":
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            raise ValueError(f"schema {self.name} uses {repeated} more than once")
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal; sites compare it."""
        # Pydantic writes the fields in the order of their declaration, defaults included.
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read: features, label and person identifier."""
        return (
            *(item.name for item in self.features),
            *(item.column for item in self.label_columns),
            self.person,
        )

    @property
    def label_columns(self) -> tuple[Outcome, ...]:
        """The columns that the label is read from: one, or how and when a record ended."""
        if isinstance(self.label, EventTimeLabel):
            return self.label.ending, self.label.duration
        return (self.label,)

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order: one per number, one per value of a category."""
        names: list[str] = []
        for item in self.features:
            if isinstance(item, Category):
                names.extend(f"{item.name}={value}" for value in item.values)
            else:
                names.append(item.name)
            if item.missing:
                names.append(f"{item.name}=missing")
        return tuple(names)


def column_name(column: Column) -> str:
    """Return the name of a column, whether it is a feature or the label."""
    return column.column if isinstance(column, ClassLabel | NumberLabel) else column.name


def declared_values(column: Category | ClassLabel) -> tuple[str, ...]:
    """Return the declared values of a column, in the order of their codes."""
    return column.values if isinstance(column, Category) else column.classes


def _check_bounds(name: str, low: float, high: float) -> None:
    # With closer bounds, float64 would have no digits left to distinguish the values in between.
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        raise ValueError(f"{name} needs low clearly below high, got {low} and {high}")
