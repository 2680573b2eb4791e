"""A refusal counts all cells of a kind, and names the first of them."""

import pytest

from sites.data.mapped.refusals import Refused
from sites.data.omop.refusals import BadCdmRows, OmopRefusals, Place


def test_the_first_places_are_named_and_all_are_counted() -> None:
    refusals = OmopRefusals()
    refusals.raise_any()
    for key in range(7):
        why = Refused("unit_concept_id", "a unit", advice="say it", got="x" * 99)
        refusals.add("lab", why, Place("measurement", key))
    refusals.add("sex", Refused("gender", "one", advice="say it", got=None), Place("person", 1))
    with pytest.raises(BadCdmRows) as refused:
        refusals.raise_any()
    told = str(refused.value)
    assert told.startswith("8 cells of the OMOP tables cannot be used:\n- lab: expected a unit")
    assert "7 places: measurement 0 (unit_concept_id is 'xxx" in told
    assert "measurement 4" in told
    assert "measurement 5" not in told
    assert "person 1 (gender is NULL)" in told
