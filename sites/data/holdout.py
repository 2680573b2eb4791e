"""Who is held out: a rule of the site's own, the same in all runs and in all of its data sets.

What is held out leaves in exact counts, so whoever a run trained on must be held out in no other.
Hence neither the run nor anybody else's records have a say in where a person stands.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError, number_of

HELD_OUT_SHARE = 0.2
KEY_BYTES = 32

Mask: TypeAlias = NDArray[np.bool_]
# From the distinct persons, and the index of each record's person, to which persons are held out.
PersonRule: TypeAlias = Callable[[NDArray[Any], NDArray[np.intp]], Mask]

_TAG = b"consortium.person-side/1\n"
_DIGEST_BYTES = 16
_DRAWN_BYTES = 8
_THRESHOLD = int(HELD_OUT_SHARE * 2 ** (8 * _DRAWN_BYTES))
_SHOWN = 5


class NobodyHeldOut:
    """Puts all records on the side of training, as of those on which nothing is trained."""

    def held_out(self, records: "PersonRecords") -> Mask:
        """Return that nobody is held out, shape (n,)."""
        return np.zeros(len(records.persons), np.bool_)


class PersonOnBothSides(ConsortiumError, ValueError, code="person-on-both-sides"):
    """A split that came with the data has a person's records on both sides."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonRecords:
    """Whose each record of a source is, and what the source itself says of its side.

    Args:
        persons: Shape (n,).
        places: The row or line by which a reader finds each record, shape (n,).
        strata: Class of each record, shape (n,), from 0. Only the rule of version 0.1.0 asks.
        given: Which records the source's own split holds out, shape (n,); None without one.
    """

    persons: NDArray[Any]
    places: NDArray[Any]
    strata: NDArray[np.int64]
    given: Mask | None = None
    _digests: dict[bytes, list[bytes]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def by_person(self) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
        """The distinct persons in order, the first record of each, and each record's person."""
        names, first, of_record = np.unique(self.persons, return_index=True, return_inverse=True)
        return names, first, of_record

    def digests(self, rule: "KeyedSides") -> list[bytes]:
        """Return the keyed digest of each distinct person, in order.

        They are kept with the records, for whoever asks again under the same key.
        """
        if rule.key not in self._digests:
            self._digests.clear()
            self._digests[rule.key] = [rule.digest(one) for one in self.by_person[0].tolist()]
        return self._digests[rule.key]

    @property
    def whole_given(self) -> Mask | None:
        """The source's own split, if it keeps every person on one side; None without one.

        Raises:
            PersonOnBothSides: It does not.
        """
        if self.given is None:
            return None
        both = np.intersect1d(self.persons[self.given], self.persons[~self.given])
        if len(both):
            raise PersonOnBothSides(
                f"rows of {number_of(len(both), 'person')} are in train and in test, such as those "
                f"in {self.shown_places(np.isin(self.persons, both))}: move all rows of a person "
                "to one side, or leave the split to the site",
                persons=len(both),
            )
        return self.given

    def held_out_by_person(self, rule: PersonRule) -> Mask:
        """Return which records are held out, shape (n,): as the source says, else as a rule says.

        Raises:
            PersonOnBothSides: The source's own split has a person on both sides.
        """
        given = self.whole_given
        if given is not None:
            return given
        persons, _, of_record = self.by_person
        return rule(persons, of_record)[of_record]

    def shown_places(self, rows: Mask) -> str:
        """Return where some of the records are, the first few by their row."""
        places = self.places[rows]
        more = ", ..." if len(places) > _SHOWN else ""
        name = "row" if len(places) == 1 else "rows"
        return f"{name} {', '.join(str(place) for place in places[:_SHOWN])}{more}"


class Sides(Protocol):
    """Who is trained on, and who is held out."""

    def held_out(self, records: PersonRecords) -> Mask:
        """Return which records are held out, shape (n,).

        Guarantee: all records of a person are on one side. The source's own split goes before
        any other rule.

        Raises:
            PersonOnBothSides: The source's own split has a person on both sides.
            ConsortiumError: A person stood on another side before.
        """


@dataclass(frozen=True)
class KeyedSides:
    """Sides by a keyed hash of each person (HMAC-SHA256), with probability 0.2 held out.

    Guarantee: a person's side depends on the key and the person alone: on no label, no other
    person, no run and no data set. So everybody has the same chance, and one person's records move
    nobody else. A site with few persons may hold out none of them, or all.

    Args:
        key: The site's secret, 32 bytes.
    """

    key: bytes

    def held_out(self, records: PersonRecords) -> Mask:
        """Return which records are held out, shape (n,)."""
        return records.held_out_by_person(self._held_out_persons)

    def _held_out_persons(self, persons: NDArray[Any], _of_record: NDArray[np.intp]) -> Mask:
        return np.array([is_drawn(self.digest(person)) for person in persons.tolist()], np.bool_)

    def digest(self, person: object) -> bytes:
        """Return the keyed digest of a person, 16 bytes: nobody can compute it without the key."""
        named = str(person).encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, _TAG + named, "sha256")[:_DIGEST_BYTES]


def is_drawn(digest: bytes) -> bool:
    """Return whether the person of a keyed digest is held out."""
    return int.from_bytes(digest[:_DRAWN_BYTES], "big") < _THRESHOLD
