"""A withheld evaluation is counted once when all are back, of the confirmed model alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import RecordDict

from consortium.client.site_ledger import ledger_of
from consortium.config import BadConfig, RunConfig
from consortium.model.files import read_model
from privacy.differential.ledger_entries import Released
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt
from privacy.protocol.grouping import COUNTED, WITHHELD
from strategies.coordinator.encrypted.parameters import RoundVoid
from tests.carrier import away, released_tallies
from tests.decisions import evaluating_for_one_roster
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    altered,
    forget_processes,
    read_reply,
    read_round,
    records,
    refusal,
)

SEED_WITHOUT_WEST = 8 + NAMES.index("west")
TRAINS: dict[str, Any] = {"quorum": 3, "num_server_rounds": 1}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return evaluating_for_one_roster(tmp_path / "run")


def train(consortium: Consortium, *, without: str = "") -> Course:
    forget_processes()
    hooks: dict[str, Any] = {"down": away(without)} if without else {}
    # Other sites train from another seed: each site answers from one for one set of sites only.
    seed = 8 + NAMES.index(without) if without else 7
    course = consortium.start(**hooks, **TRAINS, seed=seed)
    assert course.error is None, course.error
    return course


def evaluate(consortium: Consortium, model: str, **hooks: Any) -> Course:
    forget_processes()
    return consortium.start(
        **hooks,
        quorum=len(NAMES),
        num_server_rounds=0,
        evaluate_model=model,
        seed=SEED_WITHOUT_WEST,
    )


def vector(consortium: Consortium, name: str) -> bytes:
    model = consortium.run.site(name) / "model" / "federated.safetensors"
    return model.read_bytes()


def pooled(consortium: Consortium) -> Tally:
    """Return what all sites count of the model in east's folder, as they are now."""
    model = read_model(consortium.run.site("east") / "model")
    tallies = []
    for name in NAMES:
        site = consortium.place(name, seed=SEED_WITHOUT_WEST).site
        counted = site.task.evaluate(site.data, model.statistics, model.vector)
        tallies.append(counted)
    summed: Tally = np.stack(tallies).sum(axis=0)
    return summed


def evaluations(consortium: Consortium, name: str) -> list[Released]:
    with ledger_of(consortium.run.site(name)) as ledger:
        entries = [one for one in ledger.entries() if isinstance(one, Released)]
    return [one for one in entries if one.part.startswith("evaluation")]


def test_what_was_withheld_is_counted_when_all_are_back(consortium: Consortium) -> None:
    train(consortium)
    three = train(consortium, without="west")
    assert not released_tallies(three)
    before = vector(consortium, "east")
    course = evaluate(consortium, three.model)
    assert course.error is None, course.error
    (tally,) = released_tallies(course)
    assert np.array_equal(tally, pooled(consortium))
    assert course.model == three.model
    assert course.progress is not None
    assert course.progress.rounds == 0
    assert vector(consortium, "east") == before


def test_a_site_that_was_away_keeps_its_own_model(consortium: Consortium) -> None:
    train(consortium)
    before = vector(consortium, "west")
    three = train(consortium, without="west")
    assert evaluate(consortium, three.model).error is None
    assert vector(consortium, "west") == before
    assert read_model(consortium.run.site("west") / "model").config.num_server_rounds == 1


def test_a_model_is_counted_once_whatever_comes_later(consortium: Consortium) -> None:
    """One patient more, and the difference of two evaluations would be that patient."""
    train(consortium)
    three = train(consortium, without="west")
    (first,) = released_tallies(evaluate(consortium, three.model))
    path = consortium.run.site("west") / "data.parquet"
    more = records("other", 30).assign(person=[f"new-{index}" for index in range(30)])
    pd.concat([records("west"), more]).to_parquet(path, index=False)
    again = evaluate(consortium, three.model)
    assert [one.tolist() for one in released_tallies(again)] == [first.tolist()]
    assert not np.array_equal(pooled(consortium), first)
    of_model = [one for one in evaluations(consortium, "west") if one.part == "evaluation 1"]
    assert len({one.run for one in of_model}) == len(of_model)


def test_without_a_member_of_the_roster_nothing_is_counted(consortium: Consortium) -> None:
    train(consortium)
    three = train(consortium, without="west")
    course = evaluate(consortium, three.model, down=away("west"))
    assert course.error is not None
    assert not released_tallies(course)
    counted = [one for one, _ in course.answers("evaluate")]
    assert not counted


def test_another_roster_is_withheld_again(consortium: Consortium) -> None:
    """The coordinator asks for a quorum of three, and gets zeros that say that they are zeros."""
    train(consortium)
    three = train(consortium, without="west")
    forget_processes()
    course = consortium.start(
        down=away("west"),
        quorum=3,
        num_server_rounds=0,
        evaluate_model=three.model,
        seed=SEED_WITHOUT_WEST,
    )
    assert course.error is None, course.error
    replies = [read_reply(answer) for _, answer in course.answers("evaluate")]
    classes = {Receipt.decode(one.count_receipt).label.weight_class for one in replies}
    assert classes == {WITHHELD}
    assert not released_tallies(course)


def hostile_starts(consortium: Consortium, model: str) -> Iterator[Any]:
    """Yield what a coordinator may show in the place of the start that the sites signed."""

    def nothing(passing: Passing) -> RecordDict:
        if passing.kind != "evaluate" or passing.number != 1:
            return passing.content
        return altered(passing.content, state=b"")

    def changed(passing: Passing) -> RecordDict:
        if passing.kind != "evaluate" or passing.number != 1:
            return passing.content
        state = read_round(passing.content).state
        return altered(passing.content, state=state[:-1] + bytes([state[-1] ^ 1]))

    yield nothing
    yield changed


def test_no_other_state_is_evaluated(consortium: Consortium) -> None:
    train(consortium)
    three = train(consortium, without="west")
    for down in hostile_starts(consortium, three.model):
        course = evaluate(consortium, three.model, down=down)
        codes = {refusal(answer) for _, answer in course.answers("evaluate")}
        assert codes
        assert "" not in codes
        assert not released_tallies(course)


@pytest.mark.parametrize("model", ["00" * 32, "earlier"])
def test_a_model_that_most_sites_did_not_confirm_last_is_not_evaluated(
    consortium: Consortium, model: str
) -> None:
    earlier = train(consortium).model
    train(consortium, without="west")
    course = evaluate(consortium, earlier if model == "earlier" else model)
    assert isinstance(course.error, RoundVoid)
    assert "confirmed" in str(course.error)
    assert not course.answers("evaluate")


def test_a_site_evaluates_a_model_with_the_statistics_that_most_signed(
    consortium: Consortium,
) -> None:
    """East scales by other constants: two sites of four are no majority for either model."""
    train(consortium)
    three = train(consortium, without="west")
    path = consortium.run.site("east") / "model" / "model.json"
    told = json.loads(path.read_text())
    told["statistics"][0] += 1
    path.write_text(json.dumps(told))
    assert isinstance(evaluate(consortium, three.model).error, RoundVoid)


@pytest.mark.parametrize(
    "chosen",
    [
        {"num-server-rounds": 0},
        {"evaluate-model": "00" * 32, "aggregation": "encrypted"},
        {"evaluate-model": "00" * 32, "num-server-rounds": 0},
    ],
)
def test_a_run_trains_or_evaluates(chosen: dict[str, Any]) -> None:
    with pytest.raises(BadConfig):
        RunConfig.parse(chosen)


def test_an_exact_count_says_so_in_its_receipt(consortium: Consortium) -> None:
    train(consortium)
    three = train(consortium, without="west")
    course = evaluate(consortium, three.model)
    replies = [read_reply(answer) for _, answer in course.answers("evaluate")]
    assert {Receipt.decode(one.count_receipt).label.weight_class for one in replies} == {COUNTED}
