"""The records of a site in two halves: what all three kinds of records have in common.

Tables, notes and sentences differ in what a record is, not in how they are held out.
"""

from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray


class Records(Protocol):
    """Records, each of one person."""

    @property
    def persons(self) -> NDArray[np.str_]:
        """Whose each is, shape (n,)."""

    def __len__(self) -> int:
        """Return the number of records."""

    def select(self, rows: NDArray[np.bool_]) -> Self:
        """Return the records where the mask is true."""


Kind = TypeVar("Kind", bound=Records)


@dataclass(frozen=True, kw_only=True)
class DividedRecords(Generic[Kind]):
    """A site's records, all those of a person on one side.

    Args:
        training: Records to train on.
        held_out: Records to evaluate on.
    """

    training: Kind
    held_out: Kind

    @property
    def train_examples(self) -> int:
        """Number of training records."""
        return len(self.training)

    @property
    def train_persons(self) -> int:
        """Number of persons, or documents, with training records."""
        return len(np.unique(self.training.persons))

    @property
    def training_classes(self) -> NDArray[np.bool_]:
        """Which class each training record is of, shape (n, n_classes); one if there are none."""
        return np.ones((len(self.training), 1), np.bool_)

    @property
    def fewest_train_persons(self) -> int:
        """Fewest persons with training records of one class."""
        _, persons = np.unique(self.training.persons, return_inverse=True)
        classes = self.training_classes.T
        return min(int(np.count_nonzero(np.bincount(persons[chosen]))) for chosen in classes)

    @property
    def held_out_examples(self) -> int:
        """Number of held-out records."""
        return len(self.held_out)

    def judged_by(self, rows: NDArray[np.bool_]) -> Self:
        """Return the training records alone, of which some take the place of the held-out ones.

        Args:
            rows: Which training records, shape (n,); all those of a person, or none.
        """
        return replace(
            self, training=self.training.select(~rows), held_out=self.training.select(rows)
        )

    def without(self, rows: NDArray[np.bool_]) -> Self:
        """Return all records but some of the training records, shape (n,)."""
        return replace(self, training=self.training.select(~rows))
