"""Who confirms a sum, who shares masks with whom, and how many must agree.

Every member computes the same from names alone, so nothing here can be chosen by the coordinator.
The source is Bell et al. 2020 (CCS, "Secure single-server aggregation with (poly)logarithmic
overhead") for masks among neighbours; docs/protocol.md, "Masks", has the proof for the quorum.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import comb

from privacy import canonical

MOST_WITNESSES = 32
MAX_COLLUDERS = 10
# Sets of shares that a site tries, to join a mask: every one without up to three wrong shares among
# 32. Two seconds at worst.
MOST_TRIES = 6_000

_ALL_ARE_NEIGHBOURS = 17  # up to so many names, everybody is everybody's neighbour
_REACH = 8  # neighbours on each side of the circle above that

_WITNESS_TAG = b"consortium.witness/1\n"
_COHORT_TAG = b"consortium.cohort/1\n"


def witnesses(roster: Sequence[str]) -> tuple[str, ...]:
    """Return the sites that confirm the sums of a run, in alphabetical order.

    They are all sites of the roster, up to `MOST_WITNESSES`. Of a larger roster they are those
    whose names have the smallest digests.

    Guarantee: all runs of a roster have the same witnesses. So what two runs open has passed an
    honest site that remembers both: other witnesses in each run would know of one only.

    Args:
        roster: The sites of the run.
    """
    if len(roster) <= MOST_WITNESSES:
        return tuple(sorted(roster))
    by_digest = sorted(
        roster, key=lambda site: hashlib.sha256(_WITNESS_TAG + canonical.text(site)).digest()
    )
    return tuple(sorted(by_digest[:MOST_WITNESSES]))


def confirmations_needed(num_witnesses: int, max_colluders: int) -> int:
    """Return q: how many witnesses must confirm one set before it opens.

    Guarantee: two sets of q witnesses share more than `max_colluders` of them, so at least one
    honest witness, and an honest witness confirms one set for a round.
    """
    return (num_witnesses + max_colluders) // 2 + 1


def ample_confirmations(num_witnesses: int, max_colluders: int) -> int:
    """Return with how many confirmations of a set nobody else need be waited for.

    Guarantee: if it is fewer than all, so many shares join to a mask, though `max_colluders` of
    them are wrong. The right ones are found by trying. Where that could take more than
    `MOST_TRIES`, all witnesses are waited for: of few shares only one set may be right, of all
    there are many.
    """
    ample = confirmations_needed(num_witnesses, max_colluders) + max_colluders
    # So many sets are tried at most, see `share_bundles.join_own_mask`.
    always_found = comb(ample, max_colluders) <= MOST_TRIES
    return min(ample, num_witnesses) if always_found else num_witnesses


def num_deaths_borne(num_witnesses: int, max_colluders: int) -> int:
    """Return how many witnesses may be away after the uploads: the rest still confirms a sum."""
    return num_witnesses - confirmations_needed(num_witnesses, max_colluders)


def can_be_stopped(num_witnesses: int, max_colluders: int) -> bool:
    """Return whether members in league can stop a run by confirming nothing.

    That is so up to 3 witnesses for each member in league: the honest ones are then fewer than
    `confirmations_needed`.
    """
    return num_deaths_borne(num_witnesses, max_colluders) < max_colluders


def smallest_sum(max_colluders: int, min_others: int) -> int:
    """Return how many sites each sum, and the roster, must hold at least.

    Two of them are then honest: to a member in league, a sum of one honest site is that site's.
    """
    return max(max_colluders + 2, min_others + 1)


def neighbours(site: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the sites with which a site shares masks in one sum, in alphabetical order.

    These are all others, up to 17 names. Of more they are the 8 before and the 8 after it, in the
    circle of names.

    Guarantee: it is mutual. Without any `MAX_COLLUDERS` of the names, and even without any 15, the
    others still hang together, so their masks cancel in the sum over all of them only.

    Args:
        site: One of the names.
        names: The sites of the sum.
    """
    circle = sorted(names)
    if len(circle) <= _ALL_ARE_NEIGHBOURS:
        return tuple(name for name in circle if name != site)
    place = circle.index(site)
    reach = [step for step in range(-_REACH, _REACH + 1) if step]
    return tuple(sorted(circle[(place + step) % len(circle)] for step in reach))


def partners(site: str, *, roster: Sequence[str], buckets: Mapping[str, int]) -> tuple[str, ...]:
    """Return the sites with which a site needs a pair secret in a run, in alphabetical order.

    They are the others of its bucket (whoever is missing there, its neighbours are among them), its
    neighbours in the roster, for the counts, and the witnesses, to which it deals shares. A witness
    needs one with each site.

    Guarantee: it is mutual.

    Args:
        site: A site of the roster.
        roster: The sites of the run.
        buckets: The bucket of each of them.
    """
    confirming = witnesses(roster)
    if site in confirming:
        return tuple(sorted({*roster} - {site}))
    same_bucket = {other for other in roster if buckets[other] == buckets[site]}
    needed = same_bucket | {*neighbours(site, roster), *confirming}
    return tuple(sorted(needed - {site}))


def cohort_digest(names: Iterable[str]) -> bytes:
    """Return the digest of V: the sites that are asked for one sum."""
    return hashlib.sha256(_COHORT_TAG + canonical.names(sorted(names))).digest()
