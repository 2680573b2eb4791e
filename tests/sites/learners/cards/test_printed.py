"""A printed card is all that is needed to score a record."""

import json
import math
from typing import Any

from hypothesis import given

from sites.tasks.tabular.data import Table
from tests.sites.learners.cards.card_records import (
    SCHEMA,
    fitted,
    learner_with,
    loans,
    points_by_hand,
    statistics_of,
    tables,
    task_of,
)


def printed_after(records: Table, exchanges: int = 16, **plan: Any) -> dict[str, Any]:
    learner = learner_with(**plan)
    vector = fitted(learner, [records], exchanges=exchanges)
    return dict(json.loads(json.dumps(learner.results(vector, statistics_of(learner, [records])))))


def records_of(table: Table) -> list[dict[str, Any]]:
    work = SCHEMA.features[2].values  # type: ignore[union-attr]  # a category
    return [
        {
            "age": None if math.isnan(age) else age,
            "bill": None if math.isnan(bill) else bill,
            "work": None if code < 0 else work[code],
        }
        for age, bill, code in zip(*table.columns.values(), strict=True)
    ]


@given(tables())
def test_a_record_scored_by_hand_has_the_predicted_probability(records: Table) -> None:
    learner = learner_with(pdo=30.0)
    vector, statistics = fitted(learner, [records], exchanges=3), statistics_of(learner, [records])
    card = json.loads(json.dumps(learner.results(vector, statistics)))
    predicted = task_of(learner).predict_columns(records.columns, statistics, vector)
    for record, probability in zip(records_of(records), predicted.tolist(), strict=True):
        odds = card["base_odds"] * 2 ** ((points_by_hand(card, record) - card["base_points"]) / 30)
        assert math.isclose(1 / (1 + odds), probability, rel_tol=1e-9)


def test_a_card_says_of_each_bin_what_it_holds_and_how_many_were_counted() -> None:
    card = printed_after(loans(3_000), monotone="age:down")
    assert (card["kind"], card["classes"], card["settled"]) == ("scorecard", ["no", "yes"], True)
    age, bill, work = card["features"]
    assert (age["direction"], bill["direction"]) == ("down", None)
    assert age["bins"][0]["from"] is None
    assert [one["below"] for one in age["bins"][:-2]] == [one["from"] for one in age["bins"][1:-1]]
    assert age["bins"][-1]["only_missing"]
    assert age["bins"][-1]["missing"]
    values = sorted(value for one in work["bins"] for value in one["values"])
    assert values == sorted(SCHEMA.features[2].values)  # type: ignore[union-attr]  # a category
    for feature in card["features"]:
        assert feature["information_value"] > 0.02
        counted = sum(one["first"] + one["second"] for one in feature["bins"])
        assert counted == 3_000
        assert sum(one["missing"] for one in feature["bins"]) == 1
        assert min(min(one["first"], one["second"]) for one in feature["bins"]) >= 10


def test_a_card_that_has_not_settled_says_so() -> None:
    assert not printed_after(loans(1_000), exchanges=1)["settled"]
    assert not printed_after(loans(1_000), exchanges=2)["settled"]
    assert printed_after(loans(1_000), exchanges=16)["settled"]
