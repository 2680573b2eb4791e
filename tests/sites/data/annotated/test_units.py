"""Positions count what makes all words fit: characters, UTF-16 code units or bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.annotated.texts import AnnotatedText, Annotation, BadAnnotations
from sites.data.annotated.units import with_character_positions
from tests.sites.data.annotated.standoff import Marked, documents


def as_written(document: Marked, encoding: str, bytes_a_unit: int) -> AnnotatedText:
    """Return a document with positions in units of an encoding."""

    def units(end: int) -> int:
        return len(document.text[:end].encode(encoding)) // bytes_a_unit

    found = tuple(
        Annotation(
            kind=kind,
            parts=((units(start), units(end)),),
            says=document.text[start:end],
            place="here",
        )
        for kind, start, end in document.entities
    )
    return AnnotatedText(document=document.name, text=document.text, annotations=found, place="")


@given(documents(), st.sampled_from([("utf-32-le", 4), ("utf-16-le", 2), ("utf-8", 1)]))
def test_all_units_give_the_same_words(made: list[Marked], unit: tuple[str, int]) -> None:
    """Characters are tried first, so positions in characters are always kept."""
    found = with_character_positions([as_written(one, *unit) for one in made])
    for text, document in zip(found, made, strict=True):
        words = [text.text[one.start : one.end] for one in text.annotations]
        assert words == [document.text[start:end] for _, start, end in document.entities]
    if unit[0] == "utf-32-le":
        assert found == [as_written(one, *unit) for one in made]


def test_one_unit_must_fit_all_texts_of_a_file() -> None:
    """Positions within a character, too, fit in no unit."""
    one = Marked("a", "😀 cold", (("X", 2, 6),), (), ())
    mixed = [as_written(one, "utf-16-le", 2), as_written(one, "utf-8", 1)]
    with pytest.raises(BadAnnotations, match=r"here: .*nor do all annotations fit if UTF-16"):
        with_character_positions(mixed)
    within = as_written(one, "utf-8", 1)
    (annotation,) = within.annotations
    odd = replace(within, annotations=(replace(annotation, parts=((2, 9),)),))
    with pytest.raises(BadAnnotations):
        with_character_positions([odd])
