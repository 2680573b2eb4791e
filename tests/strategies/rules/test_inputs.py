import numpy as np
import pytest

from strategies.rules.inputs import (
    LARGEST,
    WIDTH,
    NonFiniteUpdate,
    TooFewSites,
    WeightsRefused,
    admit,
    blocks,
    check_all_values,
    check_values,
    checked_blocks,
    finite_sites,
    honest_majority,
    width_for,
)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i2", "u1", ">f4", ">f8"])
@pytest.mark.parametrize("width", [1, 3, 10, 64])
def test_blocks_put_side_by_side_are_the_updates(dtype: str, width: int) -> None:
    updates = np.arange(30).reshape(3, 10).astype(dtype)
    parts = list(blocks(updates, width))
    assert np.array_equal(np.hstack([block for _, block in parts]), updates)
    assert {block.dtype for _, block in parts} <= {np.dtype("=f4"), np.dtype("=f8")}
    covered = [index for columns, _ in parts for index in range(10)[columns]]
    assert covered == list(range(10))


def test_large_integers_lose_what_float64_cannot_hold_and_no_more() -> None:
    """The stated error: float32 would already confuse 2^24 and 2^24 + 1."""
    (_, block), *_ = blocks(np.array([[2**53, 2**24 + 1]]), 2)
    assert block.tolist() == [[2.0**53, 2.0**24 + 1]]


def test_a_block_of_many_sites_is_narrower() -> None:
    assert width_for(2) == WIDTH
    assert width_for(512) * 512 == 2**20
    assert width_for(10**6) == 1024


def test_the_largest_float32_passes_and_the_next_double_does_not() -> None:
    check_values(np.array([LARGEST, -LARGEST]))
    with pytest.raises(NonFiniteUpdate):
        check_values(np.array([np.nextafter(LARGEST, np.inf)]))


def test_many_large_float32_values_are_no_infinity() -> None:
    """Their sum is infinite in float32, although no single value is."""
    check_values(np.full(1000, LARGEST, np.float32))
    for value in (np.inf, -np.inf, np.nan):
        large = np.full(1000, LARGEST, np.float32)
        large[7] = value
        with pytest.raises(NonFiniteUpdate):
            check_values(large)


def test_sites_to_be_quarantined_are_named_and_the_others_are_not() -> None:
    updates = np.zeros((4, WIDTH + 3))
    updates[1, 0] = np.nan
    updates[2, WIDTH + 2] = -np.inf
    assert finite_sites(updates).tolist() == [True, False, False, True]
    with pytest.raises(NonFiniteUpdate, match=r"2 of 4 updates \(rows \[1, 2\]\)"):
        check_all_values(updates)
    check_all_values(updates[finite_sites(updates)])


def test_checking_stops_at_the_first_bad_block() -> None:
    updates = np.zeros((2, 10))
    updates[0, 5] = np.inf
    reading = checked_blocks(updates, 4)
    next(reading)
    with pytest.raises(NonFiniteUpdate):
        next(reading)


def test_refusals_carry_their_numbers() -> None:
    with pytest.raises(TooFewSites) as refusal:
        admit(np.zeros((4, 1)), np.ones(4), num_byzantine=2, needs=honest_majority)
    assert refusal.value.counts == {"needed": 5, "got": 4}
    assert refusal.value.code == "too-few-sites"


def test_no_sites_at_all_are_too_few_for_anything() -> None:
    with pytest.raises(TooFewSites, match="at least 1 site, got 0"):
        admit(np.zeros((0, 3)), np.ones(0))


def test_integer_weights_are_weights() -> None:
    assert admit(np.zeros((2, 3)), np.array([1, 1])) == (2, 3)
    with pytest.raises(WeightsRefused):
        admit(np.zeros((2, 3)), np.array([1, 2]))
