"""Pairs of records within sites: whole numbers that add up, whatever the scores and their ties."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from privacy.contribution import LARGEST_ENTRY
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.pairs import PAIR_ENTRIES, PairCounts
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins, first_bins
from sites.schema.tables import ClassLabel
from sites.statistics.tally import ImpossibleTally
from tests.sites.scored_records import Records, binary

LABEL = ClassLabel(column="y", classes=("no", "yes"))
SITES = st.lists(binary(), min_size=1, max_size=4)
BINS = st.sampled_from([EQUAL_BINS, first_bins()])
COUNTS = st.integers(0, 2**48)
MOST = PairCounts(concordant=7, undecided=5, total=20)


def pairs_of(sites: Sequence[Records], evaluation: BinaryEvaluation) -> PairCounts:
    tallies = [evaluation.tally(one.predictions, one.labels) for one in sites]
    return sum((evaluation.pairs(tally) for tally in tallies), PairCounts())


@given(SITES, BINS)
def test_the_auc_within_sites_is_the_share_of_their_own_pairs(
    sites: list[Records], bins: ScoreBins
) -> None:
    """Counted pair by pair from the scores themselves; ties count half."""
    pairs = [
        float(np.sign(upper - lower) + 1) / 2
        for one in sites
        for upper in one.predictions[one.labels == 1]
        for lower in one.predictions[one.labels == 0]
    ]
    found = pairs_of(sites, BinaryEvaluation(LABEL, bins))
    assert found.total == len(pairs)
    if pairs:
        assert abs(found.auc.value - np.mean(pairs)) <= found.auc.error_bound + 1e-12


@given(st.lists(binary(both=True), min_size=1, max_size=4))
def test_each_site_counts_by_its_pairs(sites: list[Records]) -> None:
    """The mean of scikit-learn's AUC of each site, weighted by the number of its pairs."""
    weights = [int((one.labels == 0).sum() * (one.labels == 1).sum()) for one in sites]
    each = [roc_auc_score(one.labels, one.predictions) for one in sites]
    found = pairs_of(sites, BinaryEvaluation(LABEL)).auc
    assert abs(found.value - np.average(each, weights=weights)) <= found.error_bound + 1e-12


@given(binary(both=True))
def test_of_one_site_it_is_the_pooled_auc_to_the_last_bit(records: Records) -> None:
    evaluation = BinaryEvaluation(LABEL)
    tally = evaluation.tally(records.predictions, records.labels)
    assert evaluation.pairs(tally).auc == evaluation.metrics(tally)["roc_auc"]


def test_an_order_between_sites_alone_is_no_order_within_them() -> None:
    """At one site all score high and most are ill; at the other all score low and few are."""
    evaluation = BinaryEvaluation(LABEL)
    ill = [evaluation.tally(np.full(10, 0.9), np.array([1] * 8 + [0] * 2))]
    ill += [evaluation.tally(np.full(10, 0.1), np.array([1] * 2 + [0] * 8))]
    within = evaluation.pairs(ill[0]) + evaluation.pairs(ill[1])
    assert within.auc.value == 0.5
    assert evaluation.metrics(ill[0] + ill[1])["roc_auc"].value == 0.8


@given(st.lists(st.builds(PairCounts, COUNTS, COUNTS, COUNTS), max_size=100))
def test_sums_of_entries_are_the_entries_of_the_sum(sites: list[PairCounts]) -> None:
    """With as many pairs as the records of a site can have: no entry is as large as a tally's."""
    entries = np.zeros(PAIR_ENTRIES, np.int64)
    for one in sites:
        assert one.entries.min() >= 0
        assert one.entries.max() < LARGEST_ENTRY
        entries += one.entries
    assert PairCounts.from_entries(entries) == sum(sites, PairCounts())


def test_pairs_of_all_sites_together_are_counted_exactly_whatever_their_number() -> None:
    """2**66 pairs fit no 64 bits."""
    many = np.full(2, 2**32, np.int64)
    assert PairCounts.of(many, many) == PairCounts(2**64, 2**65, 2**66)


@given(SITES, BINS)
def test_there_are_no_more_pairs_of_a_kind_within_sites_than_over_all(
    sites: list[Records], bins: ScoreBins
) -> None:
    evaluation = BinaryEvaluation(LABEL, bins)
    tallies = [evaluation.tally(one.predictions, one.labels) for one in sites]
    pooled = np.stack(tallies).sum(axis=0)
    pairs_of(sites, evaluation).check_among(evaluation.pairs(pooled))


@pytest.mark.parametrize(
    "wrong",
    [
        PairCounts(8, 5, 20),
        PairCounts(7, 6, 20),
        PairCounts(0, 0, 9),
        PairCounts(7, 5, 11),
        PairCounts(-1, 0, 0),
        PairCounts(0, -1, 0),
    ],
)
def test_more_pairs_than_there_are_cannot_be_within_sites(wrong: PairCounts) -> None:
    with pytest.raises(ImpossibleTally, match="pairs can be within sites"):
        wrong.check_among(MOST)


@pytest.mark.parametrize("right", [MOST, PairCounts(), PairCounts(7, 0, 15)])
def test_as_many_as_there_are_can_be(right: PairCounts) -> None:
    right.check_among(MOST)
