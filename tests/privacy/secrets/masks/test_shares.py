"""Any threshold of shares joins to the secret; fewer say nothing of it."""

from collections import Counter
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.secrets.masks import shares
from privacy.secrets.masks.shares import PRIME, deal_shares, value_at

sizes = st.integers(2, 32).flatmap(lambda most: st.tuples(st.just(most), st.integers(2, most)))


@given(st.integers(0, PRIME - 1), sizes, st.data())
def test_any_threshold_of_shares_joins_to_the_secret(
    secret: int, size: tuple[int, int], data: st.DataObject
) -> None:
    num_shares, threshold = size
    dealt = deal_shares(secret, num_shares=num_shares, threshold=threshold)
    points = st.integers(1, num_shares)
    chosen = data.draw(st.lists(points, min_size=threshold, max_size=threshold, unique=True))
    held = {point: dealt[point - 1] for point in chosen}
    assert value_at(held) == secret
    wanted = data.draw(points)
    assert value_at(held, wanted) == dealt[wanted - 1]


@given(st.integers(0, PRIME - 1), sizes, st.integers(1, PRIME - 1), st.data())
def test_with_one_share_altered_another_secret_comes_out(
    secret: int, size: tuple[int, int], change: int, data: st.DataObject
) -> None:
    num_shares, threshold = size
    dealt = deal_shares(secret, num_shares=num_shares, threshold=threshold)
    held = dict(enumerate(dealt[:threshold], start=1))
    held[data.draw(st.integers(1, threshold))] += change
    assert value_at(held) != secret


@pytest.mark.parametrize("threshold", [2, 3])
def test_fewer_shares_say_nothing_of_the_secret(
    monkeypatch: pytest.MonkeyPatch, threshold: int
) -> None:
    """Counted in the field of 5 elements, over everything that may be drawn.

    Whatever the secret is, whoever holds one share less than the threshold sees each set of values
    equally often.
    """
    monkeypatch.setattr(shares, "PRIME", 5)
    seen: dict[tuple[int, ...], dict[int, Counter[tuple[int, ...]]]] = {}
    for secret, *drawn in product(range(5), repeat=threshold):
        left = iter(drawn)
        monkeypatch.setattr("secrets.randbelow", lambda _, left=left: next(left))
        dealt = deal_shares(secret, num_shares=4, threshold=threshold)
        for few in combinations(range(4), threshold - 1):
            counts = seen.setdefault(few, {}).setdefault(secret, Counter())
            counts[tuple(dealt[place] for place in few)] += 1
    for by_secret in seen.values():
        assert [*by_secret] == [*range(5)]
        assert all(counts == by_secret[0] for counts in by_secret.values())
        assert set(by_secret[0].values()) == {1}
        assert len(by_secret[0]) == 5 ** (threshold - 1)


def test_the_same_secret_is_dealt_otherwise_each_time() -> None:
    assert len({deal_shares(7, num_shares=3, threshold=2) for _ in range(20)}) == 20


def test_the_field_is_the_smallest_prime_above_all_masks() -> None:
    """By Fermat's test to many bases, and by a divisor of each number between."""
    assert all(pow(base, PRIME - 1, PRIME) == 1 for base in range(2, 60))
    between = range(2**256 + 1, PRIME, 2)
    assert all(pow(3, number - 1, number) != 1 for number in between)


@pytest.mark.parametrize(("num_shares", "threshold"), [(3, 1), (3, 4), (0, 2)])
def test_a_threshold_that_protects_nothing_or_is_never_reached_is_refused(
    num_shares: int, threshold: int
) -> None:
    with pytest.raises(MalformedEnvelope, match="threshold"):
        deal_shares(7, num_shares=num_shares, threshold=threshold)


@pytest.mark.parametrize("secret", [-1, PRIME])
def test_only_elements_of_the_field_are_dealt(secret: int) -> None:
    with pytest.raises(MalformedEnvelope, match="element of the field"):
        deal_shares(secret, num_shares=3, threshold=2)
