from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from privacy.declarations import declarations_of, require_declared
from privacy.errors import ConsortiumError


class NotThisMeal(ConsortiumError, ValueError, code="not-this-meal"):
    """A meal has a value out of range."""


@dataclass(frozen=True, kw_only=True)
class Meal:
    """What somebody may choose to eat, and one field that nobody chooses."""

    courses: Annotated[int, Field(ge=1, le=1_000, description="How many.")] = 3
    salt: Annotated[float, Field(gt=0, lt=0.5, description="How much of it is salt.")] = 0.25
    dish: Annotated[Literal["soup", "roast"], Field(alias="main-dish", description="Which.")] = (
        "soup"
    )
    guest: Annotated[str, Field(min_length=1, max_length=5, description="Whose.")]
    table: int = -1

    def __post_init__(self) -> None:
        require_declared(self, NotThisMeal)


class Order(BaseModel):
    """The same for a model of pydantic's."""

    courses: Annotated[int, Field(ge=1, description="How many.")] = 3
    table: int = -1


def test_a_declaration_is_a_field_with_a_sentence() -> None:
    assert [(one.name, one.key, one.sentence) for one in declarations_of(Meal)] == [
        ("courses", "courses", "How many."),
        ("salt", "salt", "How much of it is salt."),
        ("dish", "main-dish", "Which."),
        ("guest", "guest", "Whose."),
    ]
    assert [one.name for one in declarations_of(Order)] == ["courses"]


def test_a_range_is_told_in_words() -> None:
    assert [one.range for one in declarations_of(Meal)] == [
        "whole number, at least 1, at most 1,000",
        "number, above 0, below 0.5",
        "soup, roast",
        "text, not empty, at most 5 characters",
    ]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"courses": 0}, "courses must be a whole number, at least 1, at most 1,000, got 0"),
        ({"courses": 1001}, "at most 1,000, got 1001"),
        ({"salt": 0.0}, "salt must be a finite number, above 0, below 0.5, got 0.0"),
        ({"salt": float("nan")}, "got nan"),
        ({"dish": "cake"}, "dish must be one of soup, roast, got cake"),
        ({"guest": ""}, "guest must be a text, not empty"),
        ({"guest": "nobody"}, "at most 5 characters, got nobody"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(
    chosen: dict[str, object], said: str
) -> None:
    with pytest.raises(NotThisMeal) as refused:
        Meal(**{"guest": "anna", **chosen})  # type: ignore[arg-type]  # they are out of range
    assert said in str(refused.value)


COURSES = st.integers(-2, 1_003)
SALT = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 0.5])


@given(courses=COURSES, salt=SALT, dish=st.text(max_size=2) | st.just("roast"), guest=st.text())
def test_what_pydantic_would_read_is_what_can_be_built(
    courses: int, salt: float, dish: str, guest: str
) -> None:
    """One declaration, and two who go by it: a file's reader and the constructor."""
    chosen = {"courses": courses, "salt": salt, "dish": dish, "guest": guest}
    fits = all(
        reads(one.field.rebuild_annotation(), chosen[one.name]) for one in declarations_of(Meal)
    )
    assert fits == builds(chosen)


def reads(annotation: Any, value: object) -> bool:
    try:
        TypeAdapter(annotation, config={"allow_inf_nan": False}).validate_python(value)
    except ValidationError:
        return False
    return True


def builds(chosen: dict[str, object]) -> bool:
    try:
        Meal(**chosen)  # type: ignore[arg-type]  # some are out of range
    except NotThisMeal:
        return False
    return True
