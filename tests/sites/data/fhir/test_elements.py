"""An element is of the type that FHIR gives it, absent, or refused."""

from collections.abc import Callable

import pytest

from sites.data.fhir.elements import codings, objects, one_object, polymorphic, text, truth
from sites.data.fhir.refusals import Json
from sites.data.mapped.refusals import Refused


@pytest.mark.parametrize(
    ("take", "good", "bad"),
    [
        (one_object, {"a": 1}, ([], "x", 1)),
        (objects, [{"a": 1}], ({}, ["x"], "x", 1)),
        (text, "x", (1, {}, [])),
        (truth, False, (0, "no", [])),
    ],
)
def test_an_element_of_another_type_is_refused(
    take: Callable[[Json, str], object], good: object, bad: tuple[object, ...]
) -> None:
    assert take({"e": good}, "e") == good
    assert not take({}, "e")
    for wrong in bad:
        with pytest.raises(Refused, match="e"):
            take({"e": wrong}, "e")


def test_codings_are_those_with_a_code() -> None:
    concept = {"coding": [{"system": "s", "code": "a"}, {"code": "b"}, {"system": "s"}]}
    assert [*codings(concept)] == [("s", "a"), ("", "b")]
    assert [*codings({"text": "x"})] == [*codings(None)] == []


def test_an_element_of_several_types_is_found_by_its_stem() -> None:
    assert polymorphic({"value": 0, "valueset": 1, "valueString": "x"}, "value") == (
        "valueString",
        "x",
    )
    assert polymorphic({"_valueString": {}}, "value") is None
