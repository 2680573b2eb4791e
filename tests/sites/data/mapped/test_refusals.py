"""Each refusal is counted, and the first of each kind are told with their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.fhir.refusals import BadResources
from sites.data.mapped.refusals import Refusals, Refused, short_text

KINDS = st.sampled_from(["age", "sex", "lab"])


@given(st.lists(KINDS, min_size=1, max_size=30))
def test_all_are_counted_and_five_of_a_kind_are_named(columns: list[str]) -> None:
    refusals = Refusals(BadResources, what="element", source="ward")
    refusals.raise_any()
    for place, column in enumerate(columns):
        refusals.note(column, Refused("x", "a number", advice="mend it"), f"<{place}>")
    with pytest.raises(BadResources) as told:
        refusals.raise_any()
    assert told.value.counts == {"refused": len(columns)}
    for column in {*columns}:
        places = [f"<{place}>" for place, one in enumerate(columns) if one == column]
        assert all(place in str(told.value) for place in places[:5])
        assert not any(place in str(told.value) for place in places[5:])


def test_a_long_value_is_cut_off() -> None:
    assert short_text("a") == "'a'"
    assert len(short_text("x" * 99)) == 60
