import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.encryption.parameters import PARAMETER_SETS, TALLY_BITS, Placement
from privacy.encryption.quantisation import Levels
from privacy.layout import Tally
from privacy.secrets.linear_mac import PRIME
from privacy.secrets.packing import (
    Integers,
    UnfitIntegers,
    centre_residues,
    centred_residues,
    put_tag,
    take_tag,
)

LARGEST = 2**TALLY_BITS - 1

names = st.sampled_from(sorted(PARAMETER_SETS))


def drawn(placement: Placement, seed: int) -> Integers:
    rng = np.random.default_rng(seed)
    limit = placement.parameters.levels
    levels = rng.integers(-limit, limit, placement.dim, endpoint=True, dtype=np.int32)
    tally = rng.integers(-LARGEST, LARGEST, placement.tally_size, endpoint=True)
    return Integers.of(placement, levels, tally)


def rows_of(integers: Integers) -> Tally:
    placement = integers.placement
    shape = (placement.num_ciphertexts, placement.parameters.degree)
    return integers.write_rows(0, np.full(shape, 99, dtype=np.int64))


def refilled(placement: Placement, rows: Tally) -> Integers:
    found = Integers.blank(placement)
    for start in range(0, len(rows), 3):
        found.read_rows(start, rows[start : start + 3])
    return found


@settings(max_examples=60)
@given(
    name=names,
    sites=st.integers(1, 95),
    dim=st.integers(0, 40_000),
    tally_size=st.integers(0, 9000),
    seed=st.integers(0, 2**32),
)
def test_what_is_placed_is_found_again(
    name: str, sites: int, dim: int, tally_size: int, seed: int
) -> None:
    if dim + tally_size == 0:
        return
    parameters = PARAMETER_SETS[name](sites)
    placement = Placement(parameters=parameters, dim=dim, tally_size=tally_size)
    integers = drawn(placement, seed)
    rows = rows_of(integers)
    assert np.abs(rows).max() < 1 << (parameters.plain_bits - 1)
    found = refilled(placement, rows)
    np.testing.assert_array_equal(found.levels, integers.levels)
    np.testing.assert_array_equal(found.tally, integers.tally)
    assert found.within_range(uploads=1)


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("default", 95),
        ("default", 381),
        ("default", 1_524),
        ("strict-256", 190),
        ("compact-12", 95),
        ("compact-8", 95),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_the_largest_values_stay_in_their_fields(name: str, sites: int, sign: int) -> None:
    """At the bound of N, also where neighbouring digits have opposite signs."""
    placement = Placement(parameters=PARAMETER_SETS[name](sites), dim=1001, tally_size=7)
    limit = placement.parameters.levels
    alternating = np.resize(np.array([sign, sign, -sign], dtype=np.int32), 1001) * limit
    tally = np.full(7, sign * LARGEST)
    summed = rows_of(Integers.of(placement, alternating, tally)) * sites
    bits = placement.parameters.plain_bits
    assert np.array_equal(centred_residues(summed, bits), summed)
    found = refilled(placement, summed)
    np.testing.assert_array_equal(found.levels, alternating * sites)
    np.testing.assert_array_equal(found.tally, tally * sites)
    assert found.within_range(uploads=sites)
    assert not found.within_range(uploads=sites - 1)


def test_what_holds_nothing_is_zero() -> None:
    placement = Placement(parameters=PARAMETER_SETS["compact-12"](5), dim=4, tally_size=3)
    integers = Integers.of(placement, np.full(4, 5, dtype=np.int32), np.full(3, -7, dtype=np.int64))
    (row,) = rows_of(integers)
    assert row[:2].all()
    assert row[2:5].tolist() == [-7] * 3
    assert not row[5:].any()


@pytest.mark.parametrize(
    ("levels", "tally"),
    [
        (np.zeros(3, np.int32), np.zeros(2, np.int64)),
        (np.zeros(4, np.int32), np.zeros(3, np.int64)),
        (np.zeros((1, 4), np.int32), np.zeros(2, np.int64)),
    ],
)
def test_other_shapes_are_refused(levels: Levels, tally: Tally) -> None:
    placement = Placement(parameters=PARAMETER_SETS["default"](5), dim=4, tally_size=2)
    with pytest.raises(UnfitIntegers, match="shape"):
        Integers.of(placement, levels, tally)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["level", "tally"])
def test_a_value_beyond_its_bound_is_refused(sign: int, field: str) -> None:
    placement = Placement(parameters=PARAMETER_SETS["default"](5), dim=4, tally_size=2)
    levels, tally = np.zeros(4, np.int32), np.zeros(2, np.int64)
    if field == "level":
        levels[3] = sign * (placement.parameters.levels + 1)
    else:
        tally[1] = sign * (LARGEST + 1)
    with pytest.raises(UnfitIntegers, match="out of bounds"):
        Integers.of(placement, levels, tally)


@given(tags=st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=1_524))
def test_sums_of_tags_come_out_whole(tags: list[int]) -> None:
    total = np.zeros(16, dtype=np.int64)
    for tag in tags:
        row = np.ones(16, dtype=np.int64)
        put_tag(row, tag)
        total += row
    assert np.abs(total).max() < 2**43  # half the fewest plain bits that the default set has
    assert take_tag(total) == sum(tags)
    assert total.tolist() == [len(tags)] * 14 + [0, 0]


@given(word=st.integers(-(2**62), 2**62), bits=st.integers(2, 60))
def test_centred_is_the_nearest_representative(word: int, bits: int) -> None:
    words = np.array([word])
    (found,) = centred_residues(words, bits).tolist()
    assert words.tolist() == [word]
    centre_residues(words, bits)
    assert words.tolist() == [found]
    assert -(1 << (bits - 1)) <= found < 1 << (bits - 1)
    assert (found - word) % (1 << bits) == 0
