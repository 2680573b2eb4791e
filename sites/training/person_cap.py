"""Which records of a person count where each person has at most so many.

A module of its own because training and counting cap alike, and counting loads no library of
learning.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

ContentOf: TypeAlias = Callable[[int], bytes]

_RANK_BYTES = 16


def kept_of_person(
    person: object,
    rows: NDArray[np.intp],
    *,
    at_most: int,
    seed: int,
    content_of: ContentOf | None = None,
) -> NDArray[np.bool_]:
    """Return which records of one person are kept, shape (n,).

    Guarantee: each record has a rank of its own, and those of the lowest ranks are kept. So one
    record more takes the place of one at most, and nobody else's records have a say.

    Args:
        person: Whose records these are.
        rows: Their indices, shape (n,).
        at_most: Most records that are kept.
        seed: Of the ranks.
        content_of: What tells the record at a row from the others of its person; by default its
            number among them.
    """
    # A rank per record: with a draw among all of them, one record more would change the whole
    # draw, and the two sets of records would not be neighbours any more.
    ranks = _record_ranks(person, rows, seed, content_of)
    return np.isin(np.arange(len(rows)), np.argsort(ranks)[:at_most])


def capped_rows(persons: NDArray[Any], *, at_most: int, seed: int) -> NDArray[np.intp]:
    """Return the rows that are kept of all persons, in rising order, shape (m,).

    Guarantee: without one person, the kept rows of all others are the same records.

    Args:
        persons: Whose each record is, shape (n,), sortable.
        at_most: Most records of one person.
        seed: Of the ranks.
    """
    names, of_record = np.unique(persons, return_inverse=True)
    keep = np.ones(len(persons), np.bool_)
    for number in np.flatnonzero(np.bincount(of_record, minlength=len(names)) > at_most):
        rows = np.flatnonzero(of_record == number)
        keep[rows] = kept_of_person(names[number], rows, at_most=at_most, seed=seed)
    return np.flatnonzero(keep)


def _record_ranks(
    person: object, rows: NDArray[np.intp], seed: int, content_of: ContentOf | None
) -> NDArray[np.bytes_]:
    """Return a keyed hash of each record of a person, shape (n,).

    The k-th of records with the same content has a rank of its own, in whatever order they stand.
    """
    whose = hashlib.sha256(str(person).encode("utf-8", "surrogatepass")).digest()
    seen: Counter[bytes] = Counter()
    ranks = []
    for number, row in enumerate(rows.tolist()):
        content = b"%d" % number if content_of is None else content_of(row)
        named = whose + hashlib.sha256(content).digest() + b"%d" % seen[content]
        seen[content] += 1
        ranks.append(hashlib.blake2b(named, key=b"%d" % seed, digest_size=_RANK_BYTES).hexdigest())
    return np.array(ranks, np.bytes_)
