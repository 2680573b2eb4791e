"""Which buckets of an attempt count, and whom a coordinator asks next."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.coordinator.masked.rounds.attempts import Attempt

SITES = tuple("abcdefgh")


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    buckets = {site: draw(st.integers(0, 2)) for site in SITES}
    asked = tuple(site for site in SITES if draw(st.booleans()))
    came = {site: buckets[site] for site in asked if draw(st.booleans())}
    told = {site: one for site, one in buckets.items() if site in came or draw(st.booleans())}
    return Attempt(asked=asked, came=came, buckets=told, floor=draw(st.integers(1, 4)))


@given(attempt=attempts())
def test_a_bucket_counts_with_exactly_its_sites_that_were_asked_and_with_enough(
    attempt: Attempt,
) -> None:
    for bucket in attempt.complete:
        asked = {site for site in attempt.asked if attempt.buckets.get(site) == bucket}
        came = {site for site, one in attempt.came.items() if one == bucket}
        assert asked == came
        assert len(came) >= attempt.floor
    assert {attempt.came[site] for site in attempt.counted} == set(attempt.complete)


@given(attempt=attempts())
def test_while_the_bucket_of_a_missing_site_is_unknown_none_is_complete(attempt: Attempt) -> None:
    """That is so where nobody knows how many sites a bucket holds."""
    if any(site not in attempt.buckets for site in attempt.missing):
        assert attempt.complete == ()
        assert attempt.counted == ()


@given(
    buckets=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    silent=st.sets(st.sampled_from(SITES)),
)
def test_a_bucket_of_which_every_site_is_known_lacks_nobody_who_never_answered(
    buckets: list[int], silent: set[str]
) -> None:
    of = dict(zip(SITES, buckets, strict=True))
    came = {site: bucket for site, bucket in of.items() if site not in silent}
    attempt = Attempt(asked=SITES, came=came, buckets=came, floor=1, sizes=Counter(buckets))
    assert set(attempt.complete) == set(came.values()) - {of[site] for site in silent}


@given(attempt=attempts())
def test_asked_next_are_those_who_came_in_buckets_that_are_still_large_enough(
    attempt: Attempt,
) -> None:
    """If they all come, all of their buckets are complete."""
    assert set(attempt.counted) <= set(attempt.remaining) <= set(attempt.came)
    again = Attempt(
        asked=attempt.remaining,
        came={site: attempt.came[site] for site in attempt.remaining},
        buckets=attempt.buckets,
        floor=attempt.floor,
    )
    assert again.missing == ()
    assert again.counted == attempt.remaining


@pytest.mark.parametrize(
    ("came", "complete", "remaining"),
    [("abcdef", (0, 1), "abcdef"), ("abcde", (0,), "abc"), ("ab", (), "")],
)
def test_a_bucket_below_the_floor_is_left_out_whole(
    came: str, complete: tuple[int, ...], remaining: str
) -> None:
    buckets = dict(zip("abcdef", (0, 0, 0, 1, 1, 1), strict=True))
    attempt = Attempt(
        asked=tuple("abcdef"),
        came={site: buckets[site] for site in came},
        buckets=buckets,
        floor=3,
    )
    assert attempt.complete == complete
    assert attempt.remaining == tuple(remaining)
    assert attempt.missing == tuple(site for site in "abcdef" if site not in came)
