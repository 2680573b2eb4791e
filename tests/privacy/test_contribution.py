"""What a site sends in a round: its sizes, and what no site can have counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.contribution import (
    LARGEST_ENTRY,
    BadContribution,
    ExactTally,
    SumOutOfBounds,
    UpdateVector,
)
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.encryption.quantisation import Levels
from privacy.secrets.packing import Integers

BOUND = st.integers(1 - LARGEST_ENTRY, LARGEST_ENTRY - 1)


@st.composite
def agreed(draw: st.DrawFn) -> ExactTally:
    low, high = sorted((draw(BOUND), draw(BOUND)))
    return ExactTally(size=draw(st.integers(1, 5)), bounds=(low, high))


@given(sent=agreed(), data=st.data(), sites=st.integers(1, 9))
def test_what_sites_within_the_bounds_send_adds_up_to_what_passes(
    sent: ExactTally, data: st.DataObject, sites: int
) -> None:
    entry = st.integers(*sent.bounds)
    entries = st.lists(entry, min_size=sent.size, max_size=sent.size)
    tallies = [np.array(data.draw(entries), np.int64) for _ in range(sites)]
    for tally in tallies:
        sent.check(tally, sites=1)
    sent.check(np.sum(tallies, axis=0), sites=sites)


@given(sent=agreed(), sites=st.integers(1, 9), over=st.booleans())
def test_one_beyond_what_so_many_sites_can_count_is_refused(
    sent: ExactTally, sites: int, over: bool
) -> None:
    low, high = sent.bounds
    tally = np.full(sent.size, sites * low, np.int64)
    sent.check(tally, sites=sites)
    tally[-1] = sites * high + 1 if over else sites * low - 1
    with pytest.raises(SumOutOfBounds, match="beyond"):
        sent.check(tally, sites=sites)


@given(sent=agreed())
def test_whatever_is_within_the_bounds_fits_a_ciphertext(sent: ExactTally) -> None:
    placement = Placement(
        parameters=PARAMETER_SETS["default"](9),
        dim=sent.update_dim(1_000),
        tally_size=sent.tally_size,
    )
    levels: Levels = np.zeros(placement.dim, np.int32)
    for bound in sent.bounds:
        tally = np.full(sent.size, bound, np.int64)
        assert Integers.of(placement, levels, tally).tally.tolist() == tally.tolist()


@pytest.mark.parametrize(
    ("size", "bounds"),
    [(0, (0, 1)), (-1, (0, 1)), (1, (2, 1)), (1, (0, LARGEST_ENTRY)), (1, (-LARGEST_ENTRY, 0))],
)
def test_a_tally_that_no_sum_holds_exactly_is_none(size: int, bounds: tuple[int, int]) -> None:
    with pytest.raises(BadContribution, match="2\\^41"):
        ExactTally(size=size, bounds=bounds)


def test_a_tally_of_another_size_is_refused() -> None:
    with pytest.raises(SumOutOfBounds, match="3 integers"):
        ExactTally(size=3).check(np.zeros(4, np.int64), sites=1)


def test_an_update_is_all_of_the_vector_and_no_integer() -> None:
    update, classes = UpdateVector(), (1, 2, 4, 8)
    assert (update.update_dim(17), update.tally_size) == (17, 0)
    assert update.weight_classes(classes) == classes
    update.check(np.zeros(0, np.int64), sites=3)
    with pytest.raises(SumOutOfBounds, match="no tally"):
        update.check(np.ones(1, np.int64), sites=3)


def test_a_tally_weighs_the_same_whoever_sends_it() -> None:
    assert ExactTally(size=1).weight_classes((8,)) == (1,)
