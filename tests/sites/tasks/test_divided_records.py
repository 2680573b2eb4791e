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

    def select(self, rows: NDArray[np.bool_]) -> "Owned":
        """Return some of them."""
        return Owned(self.persons[rows])


PERSONS = st.lists(st.sampled_from("abcdefg")).map(lambda names: Owned(np.array(names, np.str_)))


@given(training=PERSONS, held_out=PERSONS)
def test_records_are_counted_on_each_side_and_persons_once(
    training: Owned, held_out: Owned
) -> None:
    halves = DividedRecords(training=training, held_out=held_out)
    assert halves.train_examples == training.persons.size
    assert halves.held_out_examples == held_out.persons.size
    assert halves.train_persons == len(set(training.persons.tolist()))
    assert halves.fewest_train_persons == halves.train_persons, "there are no classes"


@dataclass(frozen=True, kw_only=True)
class OfClasses(DividedRecords[Owned]):
    """Records of which each is of one class, or of none."""

    classes: NDArray[np.int64]

    @property
    def training_classes(self) -> NDArray[np.bool_]:
        """Which of three classes each record is of."""
        of_class: NDArray[np.bool_] = self.classes[:, None] == np.arange(3)
        return of_class


@given(records=st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 3)), max_size=40))
def test_the_fewest_persons_are_those_of_the_smallest_class(records: list[tuple[str, int]]) -> None:
    owned = Owned(np.array([name for name, _ in records], np.str_))
    classes = np.array([of for _, of in records], np.int64)
    halves = OfClasses(training=owned, held_out=owned, classes=classes)
    persons = [{name for name, of in records if of == one} for one in range(3)]
    assert halves.fewest_train_persons == min(map(len, persons))


@given(training=PERSONS, held_out=PERSONS, data=st.data())
def test_a_part_of_the_training_records_is_judged_or_left_out(
    training: Owned, held_out: Owned, data: st.DataObject
) -> None:
    """Judged, it takes the place of the held-out records; left out, these stay as they are."""
    count = len(training)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    halves = DividedRecords(training=training, held_out=held_out)
    judged, left = halves.judged_by(rows), halves.without(rows)
    assert judged.held_out.persons.tolist() == training.persons[rows].tolist()
    assert left.held_out is held_out
    for one in (judged, left):
        assert one.training.persons.tolist() == training.persons[~rows].tolist()
