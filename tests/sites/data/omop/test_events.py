"""Events are those of known persons, in the order of their keys, across chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.omop.events import EventReader, Persons
from sites.data.omop.refusals import BadCdmRows, OmopRefusals
from sites.data.omop.statements import Statement

DEATHS = Statement("death", ("person_id", "death_date"), "death_date", "")
VISITS = Statement("visit_occurrence", ("key", "person_id", "day"), "day", "")


@dataclass(frozen=True)
class Chunked:
    """A database that returns these rows, so many at a time."""

    rows: Sequence[Any]
    size: int

    def chunks(self, statement: str) -> Iterator[Sequence[Any]]:
        """Yield the rows, whatever the statement is."""
        for start in range(0, len(self.rows), self.size):
            yield self.rows[start : start + self.size]


def reader(rows: Sequence[Any], size: int = 2) -> EventReader:
    persons = Persons(np.array([-5, 3, 8]), {})
    return EventReader(
        Chunked(rows, size), persons, leaves_out_unknown=True, refusals=OmopRefusals()
    )


@given(names=st.lists(st.sampled_from([-6, -5, 0, 3, 8, 9])), size=st.integers(1, 4))
def test_each_event_of_a_known_person_comes_once(names: list[int], size: int) -> None:
    rows = [(key, name, "2024-01-02") for key, name in enumerate(names)]
    found = [
        (key, person)
        for events in reader(rows, size).events("x", VISITS)
        for key, person in zip(events.keys.tolist(), events.persons.tolist(), strict=True)
    ]
    known = {-5: 0, 3: 1, 8: 2}
    assert found == [(key, known[name]) for key, name in enumerate(names) if name in known]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_key_that_stands_twice_is_refused_across_chunks(size: int) -> None:
    rows = [(key, 3, "2024-01-02") for key in (1, 2, 2)]
    reading = reader(rows, size)
    assert [*reading.events("x", VISITS)]
    with pytest.raises(BadCdmRows, match=r"(?s)1 cell .* visit_occurrence 2 \(key is 2\)"):
        reading.refusals.raise_any()


def test_a_death_may_stand_twice() -> None:
    reading = reader([(3, "2024-01-02"), (3, "2024-01-03")])
    assert sum(len(events.days) for events in reading.events("x", DEATHS)) == 2
    reading.refusals.raise_any()
