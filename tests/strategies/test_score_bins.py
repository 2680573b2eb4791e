"""Where nothing else is said, the bins of a run's evaluations stay as they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.layout import Tally
from strategies.score_bins import BinSteps

TALLIES = arrays.arrays(np.int64, st.integers(0, 20), elements=st.integers(-(2**40), 2**40))


@given(bins=st.binary(max_size=50), tally=TALLIES)
def test_a_run_of_version_0_1_0_keeps_its_bins_whatever_is_counted(
    bins: bytes, tally: Tally
) -> None:
    steps = BinSteps()
    steps.check(bins, tally)
    assert steps.after(bins, tally) == bins
    assert steps.first == b""
