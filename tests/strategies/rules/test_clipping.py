import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Matrix, Vector
from strategies.rules.clipping import AdaptiveClip, centered_clipping, clipped_mean
from strategies.rules.inputs import OptionRefused, RuleOptions, UpdatesRefused
from strategies.rules.mean import StreamingMean
from strategies.rules.norms import LANES, row_norms

few = settings(max_examples=40)


def clip(vector: Vector, norm: float) -> Vector:
    return vector * min(1.0, norm / max(float(np.linalg.norm(vector)), 1e-300))


def updates_of(seed: int, n_sites: int, dim: int = 7) -> Matrix:
    return np.random.default_rng(seed).standard_t(2, (n_sites, dim))


@few
@given(seed=st.integers(0, 999), n_sites=st.integers(1, 9), clip_norm=st.floats(0.1, 10))
def test_the_oracle_of_the_clipped_mean_is_the_formula(
    seed: int, n_sites: int, clip_norm: float
) -> None:
    updates, weights = updates_of(seed, n_sites), np.random.default_rng(seed).random(n_sites) + 0.1
    expected = np.average([clip(row, clip_norm) for row in updates], axis=0, weights=weights)
    result = clipped_mean(updates, weights, clip_norm=clip_norm)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@few
@given(
    seed=st.integers(0, 999),
    n_sites=st.integers(1, 5),
    dim=st.sampled_from([1, 7, LANES + 1]),
    clip_norm=st.floats(0.1, 100),
)
def test_streaming_gives_the_same_bits(seed: int, n_sites: int, dim: int, clip_norm: float) -> None:
    updates = updates_of(seed, n_sites, dim).astype(np.float32)
    weights = np.random.default_rng(seed).random(n_sites) + 0.1
    gathering = StreamingMean(dim, clip_norm=clip_norm)
    for update, weight in zip(updates, weights, strict=True):
        gathering.add(update, weight)
    expected = clipped_mean(updates, weights, clip_norm=clip_norm)
    assert np.array_equal(gathering.result(), expected)


@few
@given(seed=st.integers(0, 999), iterations=st.integers(1, 4), momentum=st.sampled_from([0, 0.5]))
def test_the_oracle_of_centred_clipping_is_the_formula(
    seed: int, iterations: int, momentum: float
) -> None:
    updates, centre = updates_of(seed, 6), np.random.default_rng(seed).normal(size=7)
    expected = centre
    for _ in range(iterations):
        mixed = (1 - momentum) * updates + momentum * centre
        expected = expected + np.mean([clip(row - expected, 1.5) for row in mixed], axis=0)
    options = RuleOptions(clip_norm=1.5, momentum=momentum, iterations=iterations)
    result = centered_clipping(updates, np.ones(6), centre=centre, options=options)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)


def test_without_a_last_aggregate_the_centre_is_zero() -> None:
    updates, options = updates_of(1, 5), RuleOptions()
    without, with_zero = (
        centered_clipping(updates, np.ones(5), centre=centre, options=options)
        for centre in (None, np.zeros(7))
    )
    assert np.array_equal(without, with_zero)


def test_with_a_wide_norm_momentum_is_the_running_average() -> None:
    """This is FedAvgM in its averaging form: a share of the old, the rest of the new."""
    updates, centre = updates_of(2, 5), np.full(7, 3.0)
    options = RuleOptions(clip_norm=1e6, momentum=0.9)
    result = centered_clipping(updates, np.ones(5), centre=centre, options=options)
    np.testing.assert_allclose(result, 0.9 * centre + 0.1 * updates.mean(axis=0), rtol=1e-12)


def test_more_steps_come_nearer_to_the_honest() -> None:
    updates = 100 + updates_of(3, 9)
    updates[0] = -1e9
    gaps = []
    for iterations in (1, 5, 25):
        options = RuleOptions(num_byzantine=1, clip_norm=50.0, iterations=iterations)
        result = centered_clipping(updates, np.ones(9), centre=np.zeros(7), options=options)
        gaps.append(float(np.linalg.norm(result - updates[1:].mean(axis=0))))
    assert gaps[0] > gaps[1] > gaps[2]


def test_a_centre_of_another_size_is_refused() -> None:
    with pytest.raises(UpdatesRefused, match=r"\(7,\), got \(1,\)"):
        centered_clipping(updates_of(4, 5), np.ones(5), centre=np.zeros(1), options=RuleOptions())


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("first", [1e-3, 1e3])
def test_the_adaptive_norm_finds_the_quantile(quantile: float, first: float) -> None:
    norms = row_norms(updates_of(5, 1000))
    adaptive = AdaptiveClip(clip_norm=first, quantile=quantile)
    for _ in range(300):
        adaptive = adaptive.next_clip(norms)
    assert (norms <= adaptive.clip_norm).mean() == pytest.approx(quantile, abs=0.02)


def test_one_step_of_the_adaptive_norm_is_that_of_the_paper() -> None:
    """C exp(-rate (b - quantile)), with b = 3/4 of the norms within C."""
    after = AdaptiveClip(clip_norm=2.0, quantile=0.5, rate=0.2).next_clip(np.array([1.0, 2, 0, 9]))
    assert after.clip_norm == pytest.approx(2 * np.exp(-0.2 * 0.25), rel=1e-7)


@given(liar=st.floats(0, 1e38), seed=st.integers(0, 99))
def test_one_liar_moves_the_adaptive_norm_by_its_share_only(liar: float, seed: int) -> None:
    norms = row_norms(updates_of(seed, 10))
    adaptive = AdaptiveClip(clip_norm=2.0, rate=0.2)
    honest = adaptive.next_clip(norms).clip_norm
    norms[0] = liar
    factor = adaptive.next_clip(norms).clip_norm / honest
    assert np.exp(-0.2 / 10) * (1 - 1e-6) <= factor <= np.exp(0.2 / 10) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip_norm", 0.0),
        ("clip_norm", np.inf),
        ("clip_norm", np.nan),
        ("quantile", 0.0),
        ("quantile", 1.0),
        ("rate", 0.0),
        ("rate", 1.1),
    ],
)
def test_parameters_out_of_range_are_refused_with_the_number(name: str, value: float) -> None:
    with pytest.raises(OptionRefused, match=f"{name} must be .*got {value}"):
        AdaptiveClip(**{"clip_norm": 1.0, name: value})


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, np.inf, np.nan])
def test_a_norm_that_bounds_nothing_is_refused(clip_norm: float) -> None:
    with pytest.raises(OptionRefused, match="clip_norm must be finite"):
        clipped_mean(np.ones((3, 1)), np.ones(3), clip_norm=clip_norm)
