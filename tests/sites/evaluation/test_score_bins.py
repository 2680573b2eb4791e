"""Bins that follow the scores: no AUC is farther off than they say, and rare classes have room."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from privacy.layout import Tally, Vector
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.ranking import roc_auc
from sites.evaluation.score_bins import (
    BINS,
    ENCODED_BYTES,
    EQUAL_BINS,
    FIXED,
    BadScoreBins,
    ScoreBins,
    first_bins,
)
from sites.schema.tables import ClassLabel
from tests.sites.scored_records import Records, binary

EQUAL = BinaryEvaluation(ClassLabel(column="default", classes=("paid", "default")))
FIRST = EQUAL.in_bins(first_bins())
LAST_PLACES = 1e-12
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
COUNTS = st.lists(st.tuples(st.integers(0, BINS - 1), st.integers(0, 2**40 - 1)), max_size=8).map(
    lambda held: np.bincount([at for at, _ in held], [n for _, n in held], BINS).astype(np.int64)
)


def after(bins: ScoreBins, *evaluations: tuple[Tally, Tally]) -> ScoreBins:
    for negatives, positives in evaluations:
        bins = bins.following(negatives, positives)
    return bins


def counted(bins: ScoreBins, records: Records) -> tuple[Tally, Tally]:
    at = bins.bins_of(records.predictions)
    negatives, positives = (np.bincount(at[records.labels == c], minlength=BINS) for c in (0, 1))
    return negatives, positives


def drawn(share: float, *, spread: float, n: int = 200_000, seed: int = 0) -> tuple[Vector, Tally]:
    """Return the logits and labels of a model that is calibrated for this share of positives."""
    labels = np.zeros(n, np.int64)
    labels[: round(share * n)] = 1
    noise = np.random.default_rng(seed).normal(size=n) * spread
    shift = spread**2 * (labels - 0.5)
    return noise + shift + np.log(share / (1 - share)), labels


def scores(logits: Vector) -> Vector:
    return 1 / (1 + np.exp(-logits))


@given(st.lists(st.tuples(COUNTS, COUNTS), max_size=4))
@settings(max_examples=100)
def test_edges_do_not_fall_and_bins_cover_all_scores_whatever_was_counted(
    evaluations: list[tuple[Tally, Tally]],
) -> None:
    bins = after(first_bins(), *evaluations)

    assert len(bins.encoded) == ENCODED_BYTES
    assert bins.edges.shape == (BINS + 1,)
    assert (np.diff(bins.edges) >= 0).all()
    assert (bins.edges[0], bins.edges[-1]) == (0.0, 1.0)
    assert set(np.arange(FIXED + 1) / FIXED) <= set(bins.edges)
    assert ScoreBins(bins.encoded) == bins


@given(binary(min_size=1), st.lists(st.tuples(COUNTS, COUNTS), max_size=3), st.booleans())
def test_a_bin_holds_its_lower_edge_and_every_score_below_the_next(
    records: Records, evaluations: list[tuple[Tally, Tally]], follow: bool
) -> None:
    bins = after(first_bins(), *evaluations) if follow else EQUAL_BINS
    values = np.concatenate([records.predictions, bins.edges[:-1]])

    at = bins.bins_of(values)

    assert (bins.edges[at] <= values).all()
    assert ((values < bins.edges[at + 1]) | (at == BINS - 1)).all()


@given(binary())
def test_equal_bins_are_those_of_version_0_1_0(records: Records) -> None:
    expected = np.minimum((records.predictions * BINS).astype(np.int64), BINS - 1)

    assert (EQUAL_BINS.bins_of(records.predictions) == expected).all()
    assert EQUAL_BINS.following(*counted(EQUAL_BINS, records)) == EQUAL_BINS


@given(binary(both=True), st.lists(binary(both=True), max_size=3))
def test_figures_of_the_scores_are_within_their_bounds_in_any_bins(
    records: Records, earlier: list[Records]
) -> None:
    evaluation = FIRST
    for one in earlier:
        tally = evaluation.tally(one.predictions, one.labels)
        evaluation = evaluation.in_bins(evaluation.following_bins(tally))

    tally = evaluation.tally(records.predictions, records.labels)

    found = evaluation.metrics(tally)
    called, true = records.predictions >= 0.5, records.labels == 1
    exact = {
        "roc_auc": roc_auc_score(records.labels, records.predictions),
        "pr_auc": average_precision_score(records.labels, records.predictions),
        "accuracy": float(np.mean(called == true)),
    }
    for name, value in exact.items():
        assert abs(found[name].value - value) <= found[name].error_bound + LAST_PLACES, name
    assert found["ece"].value == pytest.approx(
        EQUAL.metrics(EQUAL.tally(records.predictions, records.labels))["ece"].value
    )
    curves = evaluation.curves(tally)
    expected = np.histogram(records.predictions[true], np.arange(FIXED + 1) / FIXED)[0]
    assert curves["scores"]["counts"][1] == expected.tolist()


@given(binary(), binary())
def test_tallies_by_the_same_bins_add_up_and_have_the_size_of_equal_bins(
    one: Records, other: Records
) -> None:
    together = Records(
        *(
            np.concatenate(parts)
            for parts in zip(vars(one).values(), vars(other).values(), strict=True)
        )
    )

    parts = [FIRST.tally(each.predictions, each.labels) for each in (one, other)]

    whole = FIRST.tally(together.predictions, together.labels)
    assert np.array_equal(parts[0] + parts[1], whole)
    assert parts[0].shape == EQUAL.tally(one.predictions, one.labels).shape


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("spread", [0.03, 0.5, 1.0, 2.0])
def test_the_bound_of_an_auc_is_at_most_a_thousandth_once_scores_settle(
    share: float, spread: float
) -> None:
    """From one half of positives to one in ten thousand, for weak models and strong ones."""
    logits, labels = drawn(share, spread=spread)
    records, bins = Records(scores(logits), labels), first_bins()
    bounds = []
    for _ in range(6):
        negatives, positives = counted(bins, records)
        bounds.append(roc_auc(negatives, positives).error_bound)
        bins = bins.following(negatives, positives)

    assert max(bounds[-2:]) <= 1e-3
    assert bounds[-1] < roc_auc(*counted(EQUAL_BINS, records)).error_bound or share == 0.5


def trained(share: float) -> Iterator[Records]:
    """Yield the scores of a model whose training slows down, on other persons each round."""
    for server_round in range(10):
        logits, labels = drawn(share, spread=1.0, seed=server_round)
        done = 1 - 0.5**server_round
        yield Records(scores(logits * (0.2 + 0.8 * done)), labels)


@pytest.mark.parametrize("share", SHARES)
def test_edges_keep_up_with_a_model_that_still_moves(share: float) -> None:
    bins, bounds = first_bins(), []
    for records in trained(share):
        negatives, positives = counted(bins, records)
        bounds.append(roc_auc(negatives, positives).error_bound)
        bins = bins.following(negatives, positives)

    assert max(bounds) < 0.05
    assert bounds[-1] <= 1e-3


def test_scores_that_were_all_equal_leave_room_for_those_that_come() -> None:
    """A model before training gives everybody the same score."""
    labels = np.array([0, 1] * 500)
    bins = after(first_bins(), *[counted(first_bins(), Records(np.full(1000, 0.5), labels))] * 3)
    logits, labels = drawn(0.01, spread=1.0)

    found = roc_auc(*counted(bins, Records(scores(logits), labels)))

    assert found.error_bound < 0.05


def test_nothing_changes_where_no_negative_was_counted() -> None:
    nobody = np.zeros(BINS, np.int64)

    assert first_bins().following(nobody, nobody) == first_bins()
    assert first_bins().following(nobody, nobody + 1) == first_bins()


def test_the_bytes_of_bins_are_the_same_on_every_machine() -> None:
    """Whole numbers alone decide: these digests were computed once, and hold everywhere."""
    counts = np.arange(BINS, dtype=np.int64)
    bins = after(first_bins(), (counts, counts[::-1]), (counts[::-1], counts))

    assert [digest(first_bins()), digest(bins)] == PUBLISHED


def digest(bins: ScoreBins) -> str:
    return hashlib.sha256(bins.encoded).hexdigest()[:16]


PUBLISHED = ["024a96804f372caa", "bee1c507f6541cc4"]


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\xff" * len(data),
        lambda data: b"\0" * len(data),
        lambda data: data[4:8] + data[:4] + data[8:],
    ],
)
def test_bytes_that_are_no_edges_are_refused(spoiled: object) -> None:
    assert callable(spoiled)
    with pytest.raises(BadScoreBins, match="edges"):
        ScoreBins(spoiled(first_bins().encoded))
