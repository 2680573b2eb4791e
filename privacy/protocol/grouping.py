"""Grouping: which sites are added together, and the weight class of each.

The buckets are fixed for a roster, by a seed that its sites draw together (`bucket_draw`).
"""

import hashlib
import hmac
from collections.abc import Sequence

from privacy.errors import ConsortiumError, number_of

_TAG = b"consortium.buckets/1\n"


class TooManyBuckets(ConsortiumError, ValueError, code="too-many-buckets"):
    """Buckets would hold fewer sites than the floor requires."""


def most_buckets(num_sites: int, *, min_others: int) -> int:
    """Return the most buckets that so many sites can fill to the floor; perhaps 0."""
    return num_sites // (min_others + 1)


def require_buckets(num_buckets: int, num_sites: int, *, min_others: int) -> None:
    """Check that every bucket can hold `min_others` sites besides any one of them.

    Raises:
        TooManyBuckets: They cannot; the message names the fewest sites that would do.
    """
    if not 1 <= num_buckets <= most_buckets(num_sites, min_others=min_others):
        needed = max(1, num_buckets) * (min_others + 1)
        raise TooManyBuckets(
            f"{num_buckets} buckets of {number_of(min_others + 1, 'site')} or more need "
            f"{number_of(needed, 'site')}, got "
            f"{num_sites}: invite more sites or lower buckets",
            needed=needed,
            came=num_sites,
        )


def assign_buckets(seed: bytes, sites: Sequence[str], *, num_buckets: int) -> dict[str, int]:
    """Return the bucket of each site.

    Guarantee: the result depends only on the seed and the set of sites. Bucket sizes differ by at
    most one. Who has no say in the seed has none in which sites are added together.

    Args:
        seed: 32 bytes, see `bucket_draw.Draw.seed`.
        sites: Names of the sites of the run.
        num_buckets: Number of buckets, at least 1.
    """
    # Sorting by a keyed hash is a permutation that every site computes alike, without a state.
    drawn = sorted(sites, key=lambda name: _draw(seed, name))
    return {name: index % num_buckets for index, name in enumerate(drawn)}


def bucket_sizes(num_sites: int, *, num_buckets: int) -> dict[int, int]:
    """Return how many of the sites of a run each bucket holds, whatever the seed."""
    return {
        bucket: num_sites // num_buckets + (bucket < num_sites % num_buckets)
        for bucket in range(num_buckets)
    }


def _draw(seed: bytes, name: str) -> bytes:
    return hmac.digest(seed, _TAG + name.encode(), hashlib.sha256)


WEIGHT_CLASSES = (1, 2, 4, 8)
COUNTED = 1  # the class of a tally
RECOUNTED = 4  # of statistics that a site counted again under a charter, by its operator's word
OF_STATISTICS = (COUNTED, RECOUNTED)  # the classes of statistics that a sum may hold
WITHHELD = 2  # the class of zeros that stand in the place of a tally; nobody opens a sum with them


class NoExamples(ConsortiumError, ValueError, code="no-examples"):
    """A site without training examples has no share in an average."""


def weight_class(num_examples: int, *, full_class_examples: int) -> int:
    """Return a site's weight class: 8 from `full_class_examples` on, halved for each halving.

    Classes instead of exact numbers keep the number of examples out of the receipts.

    Args:
        num_examples: Training examples at the site, at least 1.
        full_class_examples: Fewest examples for class 8, agreed in the charter.

    Raises:
        NoExamples: The site has none.
    """
    if num_examples < 1:
        raise NoExamples(f"a site needs at least 1 training example, got {num_examples}")
    for shift, share in enumerate(reversed(WEIGHT_CLASSES)):
        if num_examples << shift >= full_class_examples:
            return share
    return WEIGHT_CLASSES[0]
