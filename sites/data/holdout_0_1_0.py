"""Who version 0.1.0 held out: the seed of the run and the labels of everybody had a say.

Two things need it still: a run that version 0.1.0 began is finished with the split it began with,
and a site that took part in such runs finds out whom they trained on. Nothing else may use it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sites.data.holdout import HELD_OUT_SHARE, Mask, PersonRecords


@dataclass(frozen=True)
class SeededSides:
    """Sides by a seeded draw of persons, class after class.

    Guarantee: what version 0.1.0 decided for the same records and the same seed.

    Args:
        seed: Of the run.
    """

    seed: int

    def held_out(self, records: PersonRecords) -> Mask:
        """Return which records are held out, shape (n,)."""
        return records.held_out_by_person(
            lambda persons, of_record: _drawn_persons(
                _most_frequent_class(of_record, records.strata, len(persons)), self.seed
            )
        )


def _drawn_persons(strata: NDArray[np.intp], seed: int) -> Mask:
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(strata), np.bool_)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        # Rounded half up, and never the last person of a class: it could not be learnt at all.
        n_held_out = min(int(HELD_OUT_SHARE * len(members) + 0.5), len(members) - 1)
        held_out[rng.permutation(members)[:n_held_out]] = True
    return held_out


def _most_frequent_class(
    of_record: NDArray[np.intp], classes: NDArray[np.int64], n_persons: int
) -> NDArray[np.intp]:
    n_classes = int(classes.max(initial=0)) + 1
    counts = np.bincount(of_record * n_classes + classes, minlength=n_persons * n_classes)
    # `argmax` returns the first of equals, so that the order of records does not matter.
    most: NDArray[np.intp] = counts.reshape(n_persons, n_classes).argmax(axis=1)
    return most
