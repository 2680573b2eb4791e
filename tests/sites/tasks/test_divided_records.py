from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sites.tasks.divided_records import DividedRecords


@dataclass(frozen=True)
class Owned:
    """Records of which nothing but their persons is known."""

    persons: NDArray[np.str_]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.persons)


PERSONS = st.lists(st.sampled_from("abcdefg")).map(lambda names: Owned(np.array(names, np.str_)))


@given(training=PERSONS, held_out=PERSONS)
def test_records_are_counted_on_each_side_and_persons_once(
    training: Owned, held_out: Owned
) -> None:
    halves = DividedRecords(training=training, held_out=held_out)
    assert halves.train_examples == training.persons.size
    assert halves.held_out_examples == held_out.persons.size
    assert halves.train_persons == len(set(training.persons.tolist()))
