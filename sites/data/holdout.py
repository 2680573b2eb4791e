"""Hold out a share of a site's persons; nobody has records on both sides."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError

HELD_OUT_SHARE = 0.2

Mask: TypeAlias = NDArray[np.bool_]


class PersonOnBothSides(ConsortiumError, ValueError, code="person-on-both-sides"):
    """A split that came with the data has a person's records on both sides."""


def hold_out(
    persons: NDArray[Any], classes: NDArray[np.int64], *, seed: int, share: float = HELD_OUT_SHARE
) -> Mask:
    """Return which records are held out, shape (n,), by a seeded draw of persons.

    Guarantee: all records of a person are on one side. Of the persons of each class, `share` is
    held out, to the nearest whole person; a class with one person stays in training. The result
    depends on the seed and on who has which classes, not on the order of records.

    Args:
        persons: Whose each record is, shape (n,), sortable.
        classes: Class of each record, shape (n,), from 0; all equal where there are no classes.
            A person belongs to its most frequent class, the first of equals.
        seed: Of the draw.
        share: Share of the persons to hold out, in [0, 1).
    """
    names, of_record = np.unique(persons, return_inverse=True)
    strata = _most_frequent_class(of_record, classes, len(names))
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(names), np.bool_)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        # Rounded half up, and never the last person of a class: it could not be learnt at all.
        n_held_out = min(int(share * len(members) + 0.5), len(members) - 1)
        held_out[rng.permutation(members)[:n_held_out]] = True
    return held_out[of_record]


def given_hold_out(persons: NDArray[Any], held_out: Mask) -> Mask:
    """Return the given split, shape (n,), if it keeps every person on one side.

    Raises:
        PersonOnBothSides: A person has training and held-out records.
    """
    both = np.intersect1d(persons[held_out], persons[~held_out])
    if len(both):
        raise PersonOnBothSides(
            f"{len(both)} persons have rows in train and in test, such as {both[0]!r}: move all "
            "rows of a person to one side, or leave the split to the seed",
            persons=len(both),
        )
    return held_out


def _most_frequent_class(
    of_record: NDArray[np.intp], classes: NDArray[np.int64], n_persons: int
) -> NDArray[np.intp]:
    n_classes = int(classes.max(initial=0)) + 1
    counts = np.bincount(of_record * n_classes + classes, minlength=n_persons * n_classes)
    # `argmax` returns the first of equals, so that the order of records does not matter.
    most: NDArray[np.intp] = counts.reshape(n_persons, n_classes).argmax(axis=1)
    return most
