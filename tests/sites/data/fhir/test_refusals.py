"""Each refusal is counted, and the first of each kind are told with their places."""

from pathlib import Path

import pytest

from sites.data.fhir.refusals import BadResources, FhirRefusals, place_name, place_of
from sites.data.mapped.refusals import Refused

FILES = (Path("a.ndjson"), Path("deep/b.ndjson"))


def test_a_place_is_a_file_and_a_line() -> None:
    assert place_name(place_of(1, 123_456_789), FILES) == "b.ndjson line 123456789"
    assert place_name(place_of(0, 1), FILES) == "a.ndjson line 1"


def test_refusals_of_a_kind_are_told_together() -> None:
    refusals = FhirRefusals(FILES)
    refusals.raise_any()
    for line in range(1, 8):
        why = Refused("status", "one of a, b", advice="correct it", got="x" * 99)
        refusals.add("age", why, place=place_of(0, line), resource={"resourceType": "Patient"})
    with pytest.raises(BadResources) as told:
        refusals.raise_any()
    message = str(told.value)
    assert (
        "age: expected one of a, b, not so in 7 places: a.ndjson line 1 (Patient/(no id)" in message
    )
    assert "line 5" in message
    assert "line 6" not in message
    assert message.endswith("), ...; correct it")
    assert "x" * 60 not in message
    assert told.value.counts == {"refused": 7}
