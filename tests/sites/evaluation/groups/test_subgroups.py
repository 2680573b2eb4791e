import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.library.registry import scenario_named
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import evaluation_for, in_bins, pair_counts, tally_by_group
from sites.evaluation.groups.subgroups import (
    GroupedEvaluation,
    UnknownSubgroup,
    shown_groups,
    subgroups_of,
)
from sites.evaluation.score_bins import first_bins
from sites.evaluation.survival import SurvivalEvaluation
from sites.plans import Counting
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.tally import ImpossibleTally
from tests.sites.scored_records import ENDS, Records, survivals

SCHEMA = Schema(
    name="t",
    person="p",
    features=(
        Category(name="sex", values=("female", "male"), missing=True),
        Category(name="ward", values=("a", "b", "c")),
        Number(name="age", low=0, high=100),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
BASE = BinaryEvaluation(SCHEMA.label)  # type: ignore[arg-type]
GROUPED = GroupedEvaluation(BASE, subgroups_of(SCHEMA, "sex,ward"))


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    columns = {"sex": rng.integers(-1, 2, n), "ward": rng.integers(0, 3, n)}
    return rng.random(n), rng.integers(0, 2, n), columns


@given(st.integers(0, 120), st.integers(0, 1000))
def test_the_part_of_a_group_is_the_evaluation_of_its_records(n: int, seed: int) -> None:
    scores, labels, columns = drawn(n, seed)
    tally = GROUPED.tally_by_group(scores, labels, columns)
    GROUPED.check(tally)
    assert GROUPED.of_all(tally).tolist() == BASE.tally(scores, labels).tolist()
    for group in GROUPED.groups:
        rows = columns[group.column] == group.code
        expected = BASE.tally(scores[rows], labels[rows])
        assert GROUPED.of_group(group, tally).tolist() == expected.tolist()


SURVIVAL = GroupedEvaluation(SurvivalEvaluation(ENDS), subgroups_of(SCHEMA, "sex"))


@given(survivals(), st.integers(0, 1000), st.integers(1, 5))
def test_pairs_of_the_others_are_those_among_them_and_none_with_the_group(
    found: Records, seed: int, fewest: int
) -> None:
    """Pairs across are of neither; where a group is left out, its records are among the others."""
    codes = np.random.default_rng(seed).integers(-1, 2, len(found.labels))
    tally = SURVIVAL.tally_by_group(found.predictions, found.labels, {"sex": codes})
    kept = SURVIVAL.without_small_groups(tally, fewest)
    base = SURVIVAL.base
    for group in SURVIVAL.groups:
        others = found.at(codes != group.code)
        expected = base.tally(others.predictions, others.labels)
        assert SURVIVAL.of_others(group, tally).tolist() == expected.tolist()
        left = SURVIVAL.of_group(group, kept).any()
        whole = expected if left else SURVIVAL.of_all(tally) - SURVIVAL.of_group(group, kept)
        assert SURVIVAL.of_others(group, kept).tolist() == whole.tolist()
    SURVIVAL.check(tally)
    SURVIVAL.check(kept)


@given(st.integers(1, 120), st.integers(0, 1000))
def test_the_tallies_of_two_sites_add_up_to_that_of_both(n: int, seed: int) -> None:
    scores, labels, columns = drawn(n, seed)
    mine = np.random.default_rng(seed).random(n) < 0.5
    parts = [
        GROUPED.tally_by_group(
            scores[rows], labels[rows], {name: codes[rows] for name, codes in columns.items()}
        )
        for rows in (mine, ~mine)
    ]
    assert (parts[0] + parts[1]).tolist() == GROUPED.tally_by_group(
        scores, labels, columns
    ).tolist()


@given(st.integers(2, 200), st.integers(0, 1000))
def test_what_it_says_of_all_records_is_what_the_plain_evaluation_says(n: int, seed: int) -> None:
    scores, labels, columns = drawn(n, seed)
    bins = first_bins()
    grouped, plain = in_bins(GROUPED, bins), in_bins(BASE, bins)
    tally, alone = tally_by_group(grouped, scores, labels, columns), plain.tally(scores, labels)
    assert grouped.metrics(tally) == plain.metrics(alone)
    assert grouped.class_counts(tally) == plain.class_counts(alone)
    assert grouped.num_examples(tally) == n
    assert grouped.undefined_reasons(tally) == plain.undefined_reasons(alone)
    assert pair_counts(grouped, tally) == pair_counts(plain, alone)
    assert grouped.curves(tally) == plain.curves(alone)


def test_groups_that_hold_more_than_all_records_are_no_counts() -> None:
    scores, labels, columns = drawn(50, 3)
    tally = GROUPED.tally_by_group(scores, labels, columns)
    size = BASE.layout.size
    tally[size : 2 * size] += tally[:size]
    with pytest.raises(ImpossibleTally, match="groups of sex"):
        GROUPED.check(tally)


@given(st.integers(0, 200), st.integers(0, 1000), st.integers(1, 30))
def test_no_figure_of_few_records_is_shown_or_follows(n: int, seed: int, fewest: int) -> None:
    """Adversary: takes the shown groups of a column off all records."""
    scores, labels, columns = drawn(n, seed)
    tally = GROUPED.tally_by_group(scores, labels, columns)
    shown = shown_groups(GROUPED, tally, fewest=fewest)
    for column in ("sex", "ward"):
        left = GROUPED.of_all(tally).copy()
        for group in (one for one in shown if one.column == column):
            assert min(BASE.class_counts(GROUPED.of_group(group, tally))) >= fewest
            left -= GROUPED.of_group(group, tally)
        if any(group.column == column for group in shown) and BASE.num_examples(left):
            assert min(BASE.class_counts(left)) >= fewest


def test_a_small_group_takes_another_one_with_it() -> None:
    scores = np.full(300, 0.5)
    labels = np.tile([0, 1], 150)
    ward = np.array([0] * 140 + [1] * 152 + [2] * 8)
    tally = GROUPED.tally_by_group(scores, labels, {"sex": np.zeros(300, int), "ward": ward})
    shown = shown_groups(GROUPED, tally, fewest=10)
    assert [group.name for group in shown] == ["sex=female", "ward=b"]


@given(st.integers(0, 60), st.integers(0, 1000))
def test_in_the_clear_small_groups_leave_as_zeros_and_all_records_as_they_are(
    n: int, seed: int
) -> None:
    scores, labels, columns = drawn(n, seed)
    tally = GROUPED.tally_by_group(scores, labels, columns)
    left = GROUPED.without_small_groups(tally, 5)
    assert GROUPED.of_all(left).tolist() == GROUPED.of_all(tally).tolist()
    for group in GROUPED.groups:
        before, after = GROUPED.of_group(group, tally), GROUPED.of_group(group, left)
        small = min(BASE.class_counts(before)) < 5
        assert after.tolist() == (np.zeros_like(before) if small else before).tolist()


@pytest.mark.parametrize("columns", ["age", "sexe", "sex,age", "ill"])
def test_a_column_without_groups_is_refused_with_those_that_have_some(columns: str) -> None:
    with pytest.raises(UnknownSubgroup, match="its categories are sex, ward"):
        evaluation_for(SCHEMA, Counting(subgroups=columns))


def test_texts_have_no_groups() -> None:
    with pytest.raises(UnknownSubgroup, match="are none"):
        evaluation_for(scenario_named("clinical-notes").table, Counting(subgroups="sex"))
    assert evaluation_for(SCHEMA) == BASE
