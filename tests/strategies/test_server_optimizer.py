import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.server_optimizer import (
    OPTIMIZERS,
    MomentsMismatch,
    OptimizerOptions,
    OptimizerRefused,
    StepOverflow,
    round_to_float32,
)

OPTIONS = OptimizerOptions(learning_rate=0.5, momentum=0.9, beta1=0.9, beta2=0.99, tau=1e-2)
FLOATS = st.floats(-1e6, 1e6, width=32)


def test_fedavg_is_sgd_with_learning_rate_one() -> None:
    optimizer = OPTIMIZERS["sgd"](OptimizerOptions())
    moments, vector = optimizer.step((), np.array([1.0, 2.0]), np.array([0.5, -4.0]))
    assert moments == ()
    assert vector.tolist() == [1.5, -2.0]


def test_momentum_adds_the_decayed_velocity() -> None:
    """Worked by hand: v = 0.9 * 2 + 1 = 2.8, x = 10 + 0.5 * 2.8."""
    (velocity,), vector = OPTIMIZERS["momentum"](OPTIONS).step(
        (np.array([2.0]),), np.array([10.0]), np.array([1.0])
    )
    assert velocity[0] == np.float32(2.8)
    assert vector[0] == pytest.approx(11.4, rel=1e-7)


SECOND_MOMENTS = {  # of v = 4 and d = 3, as Algorithm 2 of arXiv:2003.00295 has them
    "adagrad": 4 + 9,
    "adam": 0.99 * 4 + 0.01 * 9,
    "yogi": 4 + 0.01 * 9,  # v < d^2, so the sign is -1
}


@pytest.mark.parametrize("name", SECOND_MOMENTS)
def test_adaptive_optimizers_follow_the_paper_without_bias_correction(name: str) -> None:
    moments = (np.array([1.0]), np.array([4.0]))
    (first, second), vector = OPTIMIZERS[name](OPTIONS).step(
        moments, np.array([7.0]), np.array([3.0])
    )
    assert first[0] == pytest.approx(0.9 * 1 + 0.1 * 3, rel=1e-7)
    assert second[0] == pytest.approx(SECOND_MOMENTS[name], rel=1e-7)
    expected = 7 + 0.5 * first[0] / (np.sqrt(second[0]) + 1e-2)
    assert vector[0] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("name", SECOND_MOMENTS)
def test_the_second_moment_starts_at_tau_squared(name: str) -> None:
    first, second = OPTIMIZERS[name](OPTIONS).init(3)
    assert first.tolist() == [0.0] * 3
    assert second.tolist() == [float(np.float32(1e-4))] * 3


def test_yogi_lowers_the_second_moment_more_slowly_than_adam() -> None:
    """Yogi's own point: after large updates a small one must not make it leap."""
    moments, small = (np.zeros(1), np.array([100.0])), np.array([0.1])
    seconds = {
        name: OPTIMIZERS[name](OPTIONS).step(moments, np.zeros(1), small)[0][1][0]
        for name in ("adam", "yogi")
    }
    assert seconds["adam"] < seconds["yogi"] < 100


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(updates=st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_what_is_kept_is_finite_float32_and_nothing_given_is_changed(
    name: str, updates: list[list[float]]
) -> None:
    optimizer = OPTIMIZERS[name](OPTIONS)
    moments, vector = optimizer.init(3), np.zeros(3)
    for update in np.array(updates):
        before = [part.copy() for part in (*moments, vector, update)]
        new_moments, new_vector = optimizer.step(moments, vector, update)
        for kept, given_ in zip(before, (*moments, vector, update), strict=True):
            assert np.array_equal(kept, given_)
        moments, vector = new_moments, new_vector
        for part in (*moments, vector):
            assert np.array_equal(part, part.astype(np.float32))
            assert np.isfinite(part).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_coordinates_do_not_meet(name: str) -> None:
    """Elementwise: a step on two coordinates is two steps on one."""
    optimizer = OPTIMIZERS[name](OPTIONS)
    vector, aggregate = np.array([1.0, -2.0]), np.array([0.3, 5.0])
    _, together = optimizer.step(optimizer.init(2), vector, aggregate)
    for index in range(2):
        one = slice(index, index + 1)
        _, alone = optimizer.step(optimizer.init(1), vector[one], aggregate[one])
        assert alone[0] == together[index]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_of_another_optimizer_are_refused(name: str) -> None:
    with pytest.raises(MomentsMismatch, match="the state holds 3"):
        OPTIMIZERS[name](OPTIONS).step((np.zeros(1),) * 3, np.zeros(1), np.zeros(1))


@pytest.mark.parametrize("aggregate", [3e38, np.inf, np.nan])
def test_a_step_beyond_float32_is_refused(aggregate: float) -> None:
    with pytest.raises(StepOverflow, match="learning rate"):
        OPTIMIZERS["sgd"](OptimizerOptions(learning_rate=2.0)).step(
            (), np.zeros(1), np.array([aggregate])
        )


def test_rounding_leaves_no_negative_zero() -> None:
    """Two machines may disagree on the sign of a zero; the stored bytes must not."""
    assert not np.signbit(round_to_float32(np.array([-0.0, -1e-60]))).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", np.inf),
        ("tau", -1.0),
        ("tau", np.nan),
        ("momentum", 1.0),
        ("beta1", -0.1),
        ("beta2", 1.5),
    ],
)
def test_parameters_out_of_range_are_refused_with_the_number(name: str, value: float) -> None:
    with pytest.raises(OptimizerRefused, match=f"{name} must be .*got {value}"):
        OptimizerOptions(**{name: value})  # type: ignore[arg-type]  # one is a word
