"""A card of sites is the card of their records in one place, bit for bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.cards.learner import ScoreCard
from sites.learners.cards.plan import CardPlan
from sites.learners.plans import LearnerPlan, LearnerPlans
from sites.learners.registry import learner_for
from sites.plans import BadPlan
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.schema.texts import NotesSchema
from sites.statistics.tally import ImpossibleTally
from sites.task import UnfitSchema
from sites.tasks.tabular.data import Table
from tests.sites.learners.cards.card_records import (
    SCHEMA,
    fitted,
    learner_with,
    loans,
    site_data,
    statistics_of,
    tables,
    task_of,
    together,
)


@given(tables(), st.data())
def test_any_split_of_the_records_gives_the_same_state(records: Table, data: st.DataObject) -> None:
    """Also with sites that have no record, one record, or one class."""
    n_sites = data.draw(st.integers(1, 4))
    sites = data.draw(
        st.lists(st.integers(0, n_sites - 1), min_size=len(records), max_size=len(records))
    )
    parts = [records.select(np.array(sites, np.int64) == one) for one in range(n_sites)]
    learner = learner_with(monotone="age:down")
    split = fitted(learner, parts, exchanges=4)
    assert split.tobytes() == fitted(learner, [records], exchanges=4).tobytes()


@pytest.mark.parametrize("n_sites", [2, 5])
def test_sites_with_real_risks_get_the_pooled_card(n_sites: int) -> None:
    parts = [loans(900, seed=seed) for seed in range(n_sites)]
    learner = learner_with(monotone="age:down,bill:up")
    assert fitted(learner, parts).tobytes() == fitted(learner, [together(parts)]).tobytes()


@given(tables(), tables())
def test_the_tallies_of_two_sites_add_up_to_that_of_both(one: Table, other: Table) -> None:
    learner = learner_with()
    task, statistics = task_of(learner), statistics_of(learner, [one, other])
    for exchanges in (0, 1, 3):
        vector = fitted(learner, [one, other], exchanges=exchanges)
        tallies = [task.count(site_data(part), statistics, vector) for part in (one, other)]
        both = task.count(site_data(together([one, other])), statistics, vector)
        assert (tallies[0] + tallies[1] == both).all()
        learner.contribution.check(both, sites=1)


def test_with_a_direction_points_only_rise_or_only_fall() -> None:
    rising = learner_with(monotone="bill:down")  # against what the records say
    card = rising.card(fitted(rising, [loans(2_000)]))
    age, bill, _ = card.features
    assert bill.bins.n_bins == 1
    falling = learner_with(monotone="age:down,bill:up")
    card = falling.card(fitted(falling, [loans(2_000)]))
    age, bill, _ = card.features
    held = [one.points[: len(one.bins.edges) + 1] for one in (age, bill)]
    assert (np.diff(held[0]) >= 0).all()
    assert (np.diff(held[1]) <= 0).all()
    assert min(len(one) for one in held) > 1


def test_a_held_out_record_gets_the_probability_of_its_points() -> None:
    learner, new = learner_with(), loans(300, seed=11)
    records = loans(3_000)
    vector, statistics = fitted(learner, [records]), statistics_of(learner, [records])
    task = task_of(learner)
    predictions, labels = task.score(site_data(records, new), statistics, vector)
    assert (labels == new.labels).all()
    assert predictions[new.labels == 1].mean() > predictions[new.labels == 0].mean() + 0.1
    again = task.predict_columns(new.columns, statistics, vector)
    assert again.tobytes() == predictions.tobytes()
    alone = task.predict_columns(new.select(np.arange(300) == 5).columns, statistics, vector)
    assert alone.tolist() == [predictions[5]]


def test_before_the_first_exchange_nobody_is_told_apart() -> None:
    learner, records = learner_with(), loans(100)
    task = task_of(learner)
    zero = np.zeros(task.layout.dim)
    predictions = task.predict_columns(records.columns, statistics_of(learner, [records]), zero)
    assert predictions.tolist() == pytest.approx([0.5] * 100, abs=0.02)
    assert learner.results(zero, statistics_of(learner, [records])) == {}


@pytest.mark.parametrize("change", [{0: -1}, {0: 1}, {200: 1}])
def test_counts_that_no_records_have_are_refused(change: dict[int, int]) -> None:
    learner, records = learner_with(), loans(100)
    task, statistics = task_of(learner), statistics_of(learner, [records])
    zero = np.zeros(task.layout.dim)
    counts = task.count(site_data(records), statistics, zero)
    for place, more in change.items():
        counts[place] += more
    with pytest.raises(ImpossibleTally):
        learner.move(zero, statistics, counts)


def test_the_learner_is_found_by_its_name_with_the_plan_of_the_run() -> None:
    plan = CardPlan(pdo=50.0)
    plans = LearnerPlans(chosen=LearnerPlan(name="scorecard"), card=plan)
    learner: object = learner_for("credit", SCHEMA, plans)
    assert isinstance(learner, ScoreCard)
    assert learner == ScoreCard.of(SCHEMA, plan)
    assert (learner.name, learner.contribution.exact, plans.exchanges("")) == (
        "scorecard",
        True,
        16,
    )
    assert (learner.noisy_instead, learner.predicts) == ("", True)


def schema_with(**changes: Any) -> Schema:
    return SCHEMA.model_copy(update=changes)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (schema_with(label=NumberLabel(column="loss", low=0, high=1)), "two classes, but loss"),
        (
            schema_with(label=ClassLabel(column="grade", classes=("a", "b", "c"))),
            "two classes, but grade",
        ),
        (
            NotesSchema.model_construct(
                name="notes", label=ClassLabel(column="ill", classes=("0", "1"))
            ),
            "needs a table, but notes has texts",
        ),
    ],
)
def test_a_schema_that_has_no_card_is_refused(schema: Schema, words: str) -> None:
    with pytest.raises(UnfitSchema, match=words):
        ScoreCard.of(schema, CardPlan())


@pytest.mark.parametrize("named", ["work:up", "aged:down", "default:up"])
def test_a_direction_is_for_numbers_of_the_table(named: str) -> None:
    with pytest.raises(BadPlan, match=f"card.monotone names {named.split(':')[0]}"):
        learner_with(monotone=named)
