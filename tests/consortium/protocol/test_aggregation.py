import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.charter.document import Charter
from consortium.config import KEYS, BadConfig, RunConfig, Scalar
from consortium.protocol.aggregation import (
    FollowingClip,
    rule_at,
    rule_spec,
    smallest_consortium,
    smallest_voters,
    streams,
    voters,
)
from privacy.layout import Matrix, Vector
from privacy.protocol.grouping import TooManyBuckets
from scenarios.library.registry import SCENARIOS
from strategies.model_state import State
from strategies.rules.clipping import AdaptiveClip
from strategies.rules.norms import row_norms
from strategies.rules.registry import RULES, Infeasible

ROOT = Path(__file__).parents[3]
BANKS = SCENARIOS["bank-credit"].charter
DIM = 7


def config_of(**settings: Scalar) -> RunConfig:
    """Return a config; underscores stand for dots and hyphens in keys of the rule."""
    keys = {
        (f"rule.{key[5:].replace('_', '-')}" if key.startswith("rule_") else key): value
        for key, value in settings.items()
    }
    return RunConfig.parse({"weighting": "equal", **keys})


def charter_of(num_sites: int) -> Charter:
    """Return a charter of so many members."""
    members = tuple(BANKS.members[0].model_copy(update={"name": f"s{i}"}) for i in range(num_sites))
    return BANKS.model_copy(update={"members": members})


def state_of(server_round: int, memory: Vector | None = None) -> State:
    return State(server_round=server_round, vector=np.zeros(DIM), memory=memory)


def updates_of(n_sites: int, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).normal(size=(n_sites, DIM))


def test_every_key_of_the_rule_stands_in_the_project_file_with_its_default() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
    rule = {key: value for key, value in KEYS.items() if key.startswith("rule.")}
    assert {f"rule.{key}": value for key, value in declared["rule"].items()} == rule


@pytest.mark.parametrize("rule", [name for name in RULES if name != "mean"])
@pytest.mark.parametrize(
    "step", ["none", "norm-clipping", "adaptive-clipping", "nearest-neighbour-mixing", "bucketing"]
)
@pytest.mark.parametrize("liars", [1, 2])
def test_the_smallest_consortium_that_is_named_would_do_and_one_less_would_not(
    rule: str, step: str, liars: int
) -> None:
    config = config_of(rule_name=rule, rule_pre_step=step, rule_num_byzantine=liars)
    smallest = smallest_consortium(config, charter_of(1))
    assert rule_spec(config, charter_of(smallest)).name == rule
    updates = updates_of(smallest)
    result = rule_at(config, RULES[rule])(state_of(0, np.zeros(DIM)))(updates, np.ones(smallest))
    assert np.isfinite(result).all()
    with pytest.raises(Infeasible, match=f"a consortium of {smallest} would do") as refused:
        rule_spec(config, charter_of(smallest - 1))
    assert refused.value.counts["smallest"] == smallest


@given(n_sites=st.integers(3, 40), fraction=st.floats(0.05, 1.0), liars=st.integers(0, 6))
def test_a_cohort_counts_and_not_the_membership(n_sites: int, fraction: float, liars: int) -> None:
    """Liars may all be asked in one round, so the sites that are asked must outnumber them."""
    config = config_of(
        rule_name="coordinate-median", rule_num_byzantine=liars, fraction=fraction, quorum=1
    )
    asked = voters(config, charter_of(n_sites))
    assert 1 <= asked <= n_sites
    if asked >= 2 * liars + 1:
        rule_spec(config, charter_of(n_sites))
    else:
        with pytest.raises(Infeasible, match=f"got {asked}"):
            rule_spec(config, charter_of(n_sites))


def test_a_fraction_needs_a_larger_consortium() -> None:
    config = config_of(rule_name="krum", rule_num_byzantine=1, fraction=0.5, quorum=1)
    smallest = smallest_consortium(config, charter_of(1))
    rule_spec(config, charter_of(smallest))
    with pytest.raises(Infeasible, match="a consortium of 9 would do, this one has 8"):
        rule_spec(config, charter_of(smallest - 1))


def test_no_consortium_makes_the_mean_survive_a_liar() -> None:
    with pytest.raises(Infeasible, match="any number of sites"):
        rule_spec(config_of(rule_num_byzantine=1), charter_of(50))


ENCRYPTED: Mapping[str, Scalar] = {"aggregation": "encrypted"}


@pytest.mark.parametrize(("liars", "smallest"), [(0, 3), (1, 9), (2, 15)])
def test_under_encryption_the_smallest_consortium_fills_its_buckets(
    liars: int, smallest: int
) -> None:
    settings = {"rule_name": "coordinate-median", "rule_num_byzantine": liars, **ENCRYPTED}
    config = config_of(**settings, buckets=2 * liars + 1)
    assert smallest_voters(config) == 2 * liars + 1
    assert smallest_consortium(config, BANKS) == smallest
    rule_spec(config, charter_of(smallest))
    with pytest.raises(TooManyBuckets, match=f"need {smallest} sites, got {smallest - 1}"):
        rule_spec(config, charter_of(smallest - 1))


def test_too_few_buckets_are_refused_with_the_consortium_that_would_do() -> None:
    config = config_of(rule_name="trimmed-mean", rule_num_byzantine=2, **ENCRYPTED, buckets=4)
    with pytest.raises(
        Infeasible, match=r"2 liars among 5 buckets or more, got 4: a consortium of 15 would do"
    ):
        rule_spec(config, charter_of(12))


@pytest.mark.parametrize("step", ["adaptive-clipping", "nearest-neighbour-mixing", "bucketing"])
def test_what_differs_between_processors_is_refused_under_encryption(step: str) -> None:
    config = config_of(rule_name="coordinate-median", rule_pre_step=step, **ENCRYPTED, buckets=5)
    with pytest.raises(BadConfig, match=f"{step} runs in the clear only"):
        rule_spec(config, charter_of(15))
    with pytest.raises(BadConfig, match="differs in the last bits"):
        rule_spec(config_of(rule_name="krum", **ENCRYPTED, buckets=5), charter_of(15))


@pytest.mark.parametrize("step", ["nearest-neighbour-mixing", "bucketing"])
def test_a_step_that_mixes_sites_has_no_weights_to_keep(step: str) -> None:
    config = config_of(rule_pre_step=step, weighting="classes")
    with pytest.raises(BadConfig, match=f"{step} with mean gives every site the same say"):
        rule_spec(config, charter_of(5))


def test_a_mean_that_clips_first_keeps_its_updates_and_is_the_clipped_mean() -> None:
    plain, clipped = config_of(), config_of(rule_pre_step="norm-clipping", rule_clip_norm=0.5)
    assert streams(plain, RULES["mean"])
    assert not streams(clipped, RULES["mean"])
    updates, weights = updates_of(5), np.ones(5)
    np.testing.assert_array_equal(
        rule_at(clipped, RULES["mean"])(state_of(0))(updates, weights),
        rule_at(clipped, RULES["clipped-mean"])(state_of(0))(updates, weights),
    )


def test_the_buckets_of_bucketing_depend_on_seed_and_round_alone() -> None:
    """So a resumed run draws those of the run that was not interrupted."""
    config = config_of(rule_name="krum", rule_pre_step="bucketing")
    updates, weights = updates_of(9), np.ones(9)

    def result(server_round: int) -> bytes:
        rule = rule_at(config, RULES["krum"])
        return rule(state_of(server_round))(updates, weights).tobytes()

    assert result(3) == result(3)
    assert len({result(server_round) for server_round in range(8)}) > 1


def test_the_norm_of_adaptive_clipping_follows_the_updates() -> None:
    """As `AdaptiveClip` says, round by round."""
    first = AdaptiveClip(clip_norm=1.0, quantile=0.5, rate=0.5)
    step, expected = FollowingClip(first), first
    for seed in range(4):
        updates = 10 * updates_of(5, seed)
        clipped, weights = step(updates, np.ones(5))
        norms = row_norms(np.asarray(clipped[:, :]))
        limit = expected.clip_norm
        np.testing.assert_allclose(norms, np.minimum(row_norms(updates), limit))
        assert weights.tolist() == [1.0] * 5
        expected = expected.next_clip(row_norms(updates))
        assert step.clip == expected
    assert step.clip.clip_norm > 1.0


def test_centred_clipping_is_told_its_momentum_and_steps() -> None:
    updates, weights = updates_of(5), np.ones(5)
    results = {
        rule_at(
            config_of(rule_name="centered-clipping", rule_clip_norm=3.0, **options),
            RULES["centered-clipping"],
        )(state_of(0, np.ones(DIM)))(updates, weights).tobytes()
        for options in ({}, {"rule_momentum": 0.5}, {"rule_iterations": 3})
    }
    assert len(results) == 3
