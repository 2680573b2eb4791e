from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from privacy.protocol.grouping import (
    TooManyBuckets,
    assign_buckets,
    bucket_sizes,
    most_buckets,
    require_buckets,
)

SEEDS = st.binary(min_size=32, max_size=32)
NAMES = st.sets(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1, max_size=40)


@given(seed=SEEDS, names=NAMES, num_buckets=st.integers(1, 9), order=st.randoms())
def test_who_is_with_whom_depends_on_the_seed_and_the_set_of_sites_only(
    seed: bytes, names: set[str], num_buckets: int, order: Random
) -> None:
    listed = sorted(names)
    order.shuffle(listed)
    assert assign_buckets(seed, listed, num_buckets=num_buckets) == assign_buckets(
        seed, sorted(names), num_buckets=num_buckets
    )


@given(seed=SEEDS, names=NAMES, num_buckets=st.integers(1, 9))
def test_bucket_sizes_differ_by_one_at_most(seed: bytes, names: set[str], num_buckets: int) -> None:
    sizes = Counter(assign_buckets(seed, sorted(names), num_buckets=num_buckets).values())
    assert sum(sizes.values()) == len(names)
    assert set(sizes) <= set(range(num_buckets))
    counts = [sizes[bucket] for bucket in range(num_buckets)]
    assert max(counts) - min(counts) <= 1
    assert bucket_sizes(len(names), num_buckets=num_buckets) == dict(enumerate(counts))


@given(one=SEEDS, other=SEEDS)
def test_another_seed_assigns_anew(one: bytes, other: bytes) -> None:
    assume(one != other)
    names = [f"site-{index}" for index in range(60)]
    assert assign_buckets(one, names, num_buckets=5) != assign_buckets(other, names, num_buckets=5)


def test_every_site_is_as_often_in_each_bucket() -> None:
    """Over random seeds, no site can choose its neighbours."""
    names = [f"site-{index}" for index in range(9)]
    seen = Counter(
        assign_buckets(number.to_bytes(32, "big"), names, num_buckets=3)["site-4"]
        for number in range(600)
    )
    assert set(seen) == {0, 1, 2}
    assert min(seen.values()) > 150


def test_the_assignment_does_not_change_between_versions() -> None:
    """A published vector: sites of one run must agree."""
    names = ["east", "north", "south", "west", "centre", "coast"]
    assigned = assign_buckets(bytes(range(32)), names, num_buckets=2)
    assert "".join(str(assigned[name]) for name in sorted(names)) == "100101"


@given(num_sites=st.integers(0, 300), min_others=st.integers(1, 9))
def test_as_many_buckets_as_can_be_filled_to_the_floor(num_sites: int, min_others: int) -> None:
    most = most_buckets(num_sites, min_others=min_others)
    assert most * (min_others + 1) <= num_sites < (most + 1) * (min_others + 1)
    for fits in range(1, most + 1):
        require_buckets(fits, num_sites, min_others=min_others)
    with pytest.raises(TooManyBuckets) as refused:
        require_buckets(most + 1, num_sites, min_others=min_others)
    assert refused.value.counts == {"needed": (most + 1) * (min_others + 1), "came": num_sites}


def test_no_bucket_is_no_run() -> None:
    with pytest.raises(TooManyBuckets, match="3 sites"):
        require_buckets(0, 9, min_others=2)
