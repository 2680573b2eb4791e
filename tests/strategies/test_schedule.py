"""What an update counts that comes late, and what a schedule cannot be combined with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.rules.mean import mean
from strategies.schedule import BadSchedulePlan, SchedulePlan, discounted, staleness_discount


def test_the_discount_is_the_inverse_root_of_the_published_formula() -> None:
    """Xie et al. 2019, section 5.2: (1 + staleness) to the power of -a, here with a = 1/2."""
    expected = [1.0, 0.7071067811865475, 0.5773502691896258, 0.5]
    assert [staleness_discount(late) for late in range(4)] == pytest.approx(expected, abs=1e-15)


@given(late=st.integers(0, 10_000))
def test_the_later_an_update_the_less_it_counts_and_never_nothing(late: int) -> None:
    assert 0 < staleness_discount(late + 1) < staleness_discount(late) <= 1


@given(
    late=st.lists(st.integers(0, 50), min_size=1, max_size=6),
    examples=st.integers(1, 500),
)
def test_the_shares_of_a_buffer_add_up_to_one_less_what_lateness_takes(
    late: list[int], examples: int
) -> None:
    """Of updates of all ones the mean is the sum of the shares, each weight times discount."""
    weights = np.arange(examples, examples + len(late), dtype=float)
    rows = np.array([discounted(np.ones(2), one) for one in late])
    shares = weights / weights.sum() * [staleness_discount(one) for one in late]
    assert mean(rows, weights)[0] == pytest.approx(shares.sum(), rel=1e-6)
    assert (shares.sum() == pytest.approx(1.0)) == (not any(late))


def test_an_update_in_time_keeps_its_bits() -> None:
    update = np.array([0.1, -3e-39, 3e38], np.float32)
    assert discounted(update, 0).tobytes() == update.tobytes()


def test_a_buffer_below_the_quorum_is_refused_with_what_to_do() -> None:
    plan = SchedulePlan(name="buffered", buffer_size=1)
    said = plan.contradiction(quorum=2, fraction=1.0, noise=False)
    assert "raise buffer-size, or lower quorum" in said
    assert not plan.contradiction(quorum=1, fraction=1.0, noise=False)


def test_a_buffer_asks_every_free_site_and_a_trigger_takes_no_noise() -> None:
    buffered, triggered = SchedulePlan(name="buffered"), SchedulePlan(name="triggered")
    assert "fraction to 1" in buffered.contradiction(quorum=2, fraction=0.5, noise=False)
    assert "no noise" in triggered.contradiction(quorum=2, fraction=1.0, noise=True)
    assert not buffered.contradiction(quorum=2, fraction=1.0, noise=True)
    assert buffered.buffer(5) == 5


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(BadSchedulePlan, match="trigger_threshold must be"):
        SchedulePlan(trigger_threshold=2.0)
