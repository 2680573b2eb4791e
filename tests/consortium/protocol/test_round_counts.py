"""What is counted in an encrypted round beside the evaluation, and what sums are possible."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.config import RunConfig, Scalar
from consortium.protocol.parameters import count_placement
from consortium.protocol.round_counts import (
    asks_for_counts,
    check_pairs,
    check_saturation,
    evaluation_step,
    num_evaluations,
    round_counts,
    round_counts_placement,
)
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for, pair_counts
from sites.evaluation.pairs import PAIR_ENTRIES, PairCounts
from sites.statistics.tally import ImpossibleTally
from strategies.round_counts import RoundCounts

HEART = scenario_named("heart-diagnosis")
NEW = HEART.config_with({"aggregation": "encrypted"})
OLD = HEART.config_with(
    {"aggregation": "encrypted", "scale-rule": "doubling", "score-bins": "equal"}
)
EVALUATION = evaluation_for(HEART.charter.table)


def test_a_run_of_version_0_1_0_has_nothing_beside_it() -> None:
    """Its uploads have the size that they had."""
    assert round_counts(OLD, HEART.charter, 9) == RoundCounts(evaluation=9)
    placed = round_counts_placement(OLD, HEART.charter, 9)
    assert placed == count_placement(OLD, HEART.charter, 9)
    unsaid = RunConfig()  # what a config of 0.1.0 does not say
    assert (unsaid.scale_rule, unsaid.score_bins) == ("doubling", "equal")


def test_a_run_that_begins_now_counts_saturated_values_and_pairs() -> None:
    counts = RoundCounts(evaluation=9, saturation=1, pairs=PAIR_ENTRIES)
    assert round_counts(NEW, HEART.charter, 9) == counts
    placed = round_counts_placement(NEW, HEART.charter, 9)
    assert placed == replace(count_placement(NEW, HEART.charter, 9), tally_size=counts.size)


@pytest.mark.parametrize(
    ("scenario", "learner"), [("heart-diagnosis", "glm"), ("lung-survival", "cox")]
)
def test_a_fit_is_evaluated_when_it_has_ended(scenario: str, learner: str) -> None:
    chosen = scenario_named(scenario)
    config = chosen.config_with({"learner": learner})
    assert config.num_server_rounds == evaluation_step(config, chosen.charter)
    rounds = range(1, config.num_server_rounds + 1)
    assert [n for n in rounds if asks_for_counts(config, chosen.charter, n)] == [1]


def test_pairs_are_counted_of_two_classes_alone() -> None:
    houses = scenario_named("house-prices")
    config = houses.config_with({"aggregation": "encrypted"})
    assert round_counts(config, houses.charter, 9).pairs == 0


@given(every=st.integers(1, 9), depth=st.integers(1, 6), trees=st.booleans())
def test_counts_are_asked_for_of_each_model_that_has_its_turn(
    every: int, depth: int, *, trees: bool
) -> None:
    """Of S(0), and then of one model in so many; a tree that still grows makes no model."""
    chosen: dict[str, Scalar] = {"evaluate-every": every}
    if trees:
        chosen |= {"learner": "trees", "trees.depth": depth}
    config = HEART.config_with(chosen)
    step = every * (depth if trees else 1)
    assert evaluation_step(config, HEART.charter) == step
    asked = [n for n in range(1, 3 * step + 2) if asks_for_counts(config, HEART.charter, n)]
    assert asked == [1, step + 1, 2 * step + 1, 3 * step + 1]
    run = HEART.config_with({**chosen, "num-server-rounds": 3 * step + 1})
    if not trees:
        assert num_evaluations(run, HEART.charter) == len(asked) + 1


@pytest.mark.parametrize("count", [-1, 31, 2**41])
def test_more_values_than_there_are_cannot_be_saturated(count: int) -> None:
    counts = RoundCounts(evaluation=3, saturation=1)
    with pytest.raises(ImpossibleTally, match="0 to 30"):
        check_saturation(counts, np.array([1, 2, 3, count]), values=30)


@given(count=st.integers(0, 30), evaluation=st.integers(-(2**41), 2**41))
def test_as_many_as_there_are_can_be(count: int, evaluation: int) -> None:
    counts = RoundCounts(evaluation=1, saturation=1)
    check_saturation(counts, np.array([evaluation, count]), values=30)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.9]), st.integers(0, 1)), max_size=30))
def test_pairs_are_weighed_against_the_counts_that_they_stand_beside(
    records: list[tuple[float, int]],
) -> None:
    scores, labels = np.array(records, np.float64).reshape(-1, 2).T
    tally = EVALUATION.tally(scores, labels.astype(np.int64))
    size = EVALUATION.layout.size
    counts = RoundCounts(evaluation=size, saturation=1, pairs=PAIR_ENTRIES)
    one_site = pair_counts(EVALUATION, tally)
    check_pairs(counts, counts.join(tally, pairs=one_site.entries), EVALUATION)
    check_pairs(counts, counts.join(tally), EVALUATION)
    more = one_site + PairCounts(1, 0, 1)
    with pytest.raises(ImpossibleTally):
        check_pairs(counts, counts.join(tally, pairs=more.entries), EVALUATION)
    without = RoundCounts(evaluation=size)
    check_pairs(without, without.join(tally), EVALUATION)
