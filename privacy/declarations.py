"""Declarations of the values that people choose: each with default, range and description.

A declaration is a field of a frozen dataclass or of a pydantic model, annotated with pydantic's
`Field`, that has a description. Validation, help texts and documents are made from it.
"""

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

import annotated_types as at
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from privacy.errors import ConsortiumError

Chosen: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Since:
    """The version in which a value was added, as an annotation; 0.1.0 had those without one."""

    version: str


@dataclass(frozen=True)
class Declaration:
    """One value that a person chooses.

    Args:
        name: Name of the attribute.
        key: Name that people write, in kebab case.
        sentence: Description, one sentence.
        field: Type, range and default, as pydantic holds them.
    """

    name: str
    key: str
    sentence: str
    field: FieldInfo

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words; empty if it is a number or a free text."""
        kind = self.field.annotation
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def is_first(self) -> bool:
        """Whether version 0.1.0 had this value."""
        return not any(isinstance(one, Since) for one in self.field.metadata)

    @property
    def kind(self) -> str:
        """The kind of value, in words."""
        kind = self.field.annotation
        words: dict[object, str] = {bool: "true or false", int: "whole number", float: "number"}
        return words.get(kind, "text")

    @property
    def bounds(self) -> tuple[str, ...]:
        """The limits in words, the lower one first."""
        return tuple(words for words, _ in self._limits)

    @property
    def range(self) -> str:
        """The allowed values, in words."""
        return ", ".join(self.choices or (self.kind, *self.bounds))

    def requirement(self, value: Chosen) -> str:
        """Return in words what the value must be; "" if it is in the range.

        Patterns of texts are checked by pydantic.
        """
        if self.choices:
            return "" if value in self.choices else f"one of {', '.join(self.choices)}"
        finite = not isinstance(value, float) or math.isfinite(value)
        if finite and all(holds(value) for _, holds in self._limits):
            return ""
        kind = "finite number" if self.kind == "number" else self.kind
        return f"a {', '.join((kind, *self.bounds))}"

    @cached_property
    def _limits(self) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
        # A site checks its settings with every message.
        return tuple(_limits(self.field))


_READ: dict[type, tuple[Declaration, ...]] = {}  # each class is read once a process


def declarations_of(kind: type) -> tuple[Declaration, ...]:
    """Return the declarations of a dataclass or a pydantic model, in its order."""
    if kind not in _READ:
        _READ[kind] = tuple(
            Declaration(name, field.alias or name.replace("_", "-"), field.description, field)
            for name, field in _fields(kind)
            if field.description
        )
    return _READ[kind]


def require_declared(chosen: object, refused: type[ConsortiumError]) -> None:
    """Check that every declared value of a dataclass is in its range.

    Args:
        chosen: An instance of the dataclass.
        refused: Error that is raised if a value is out of range.
    """
    for one in declarations_of(type(chosen)):
        value = getattr(chosen, one.name)
        if needed := one.requirement(value):
            raise refused(f"{one.name} must be {needed}, got {value}")


def _fields(kind: type) -> Iterator[tuple[str, FieldInfo]]:
    if issubclass(kind, BaseModel):
        yield from kind.model_fields.items()
        return
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if get_origin(hint) is Annotated:
            yield name, FieldInfo.from_annotation(hint)


def _limits(field: FieldInfo) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    """Yield each limit in words, with a test whether a value keeps it."""
    for limit in field.metadata:
        match limit:
            case at.Ge():
                yield f"at least {_figure(limit.ge)}", partial(operator.le, limit.ge)
            case at.Gt():
                yield f"above {_figure(limit.gt)}", partial(operator.lt, limit.gt)
            case at.Le():
                yield f"at most {_figure(limit.le)}", partial(operator.ge, limit.le)
            case at.Lt():
                yield f"below {_figure(limit.lt)}", partial(operator.gt, limit.lt)
            case at.MinLen():
                yield "not empty", bool
            case at.MaxLen():
                yield f"at most {limit.max_length} characters", partial(_is_short, limit)


def _is_short(limit: at.MaxLen, text: str) -> bool:
    return len(text) <= limit.max_length


def _figure(bound: object) -> str:
    match bound:
        case float() if bound.is_integer():
            return f"{int(bound):,}"
        case int():
            return f"{bound:,}"
    return f"{bound}"
