"""A site in a Table 1: what it says of itself, and what it does not let others make it say."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from consortium.client.mods import gate_messages
from consortium.client.own_columns.answers import site_columns
from consortium.client.own_columns.memory import ShownBefore
from consortium.site.directory import SiteDirectory
from privacy.layout import Tally, Vector
from privacy.storage.durable_files import write_atomically
from privacy.wire import flower_records as wire
from privacy.wire import messages
from sites.learners.descriptions.site_columns.exchange import CHANGED, MODULUS, Head, SiteColumns
from tests.consortium.staged import Ward, code_of, message, ward
from tests.decisions import decide

BY_SITE: Any = {"learner": "describe", "describe.by-site": True, "num-server-rounds": 3}


@pytest.fixture
def hungary(tmp_path: Path) -> Ward:
    return ward(tmp_path, **BY_SITE)


def columns_of(at: Ward) -> SiteColumns:
    columns = site_columns(at.site)
    assert columns is not None
    return columns


def place_of(at: Ward) -> int:
    return at.site.charter.names.index(at.name)


def summed(at: Ward, vector: Vector, server_round: int) -> Tally:
    """Return what the site sends in a round, through its gate."""
    answer = at.ask(messages.TRAIN, at.position(vector, server_round))
    assert not code_of(answer)
    arrays, _ = wire.arrays_and_facts(answer)
    return np.frombuffer(arrays["summed"].data, "<i8").astype(np.int64)


def refused(at: Ward, vector: Vector, server_round: int) -> bool:
    answer = at.ask(messages.TRAIN, at.position(vector, server_round))
    return code_of(answer) == "not-released"


def start(at: Ward) -> Vector:
    return np.zeros(at.site.task.layout.dim)


def counted(at: Ward, others: Head | None = None) -> Vector:
    """Return the state after the first exchange, in which the others said this."""
    columns = columns_of(at)
    pooled = summed(at, start(at), 1)
    for place in range(len(columns.members)):
        if place != place_of(at):
            pooled = columns.with_head(pooled, place, others or Head(shows=True, crowd=3))
    return columns.move(start(at), pooled)


def asked(at: Ward, state: Vector) -> Vector:
    return columns_of(at).move(state, summed(at, state, 2))


def test_a_site_shows_what_it_agreed_to_and_nothing_before(hungary: Ward) -> None:
    columns, place = columns_of(hungary), place_of(hungary)
    first = summed(hungary, start(hungary), 1)
    assert columns.layout.part(f"{place}/head", first).tolist() == [1, 1, hungary.site.min_sites, 0]
    assert not columns.layout.part(f"{place}/cells", first).any()
    state = counted(hungary)
    vetoes = columns.layout.part("vetoes", summed(hungary, state, 2))
    standing = columns.standing(asked(hungary, state))
    rests = (vetoes % MODULUS).reshape(-1, 2).any(axis=1)
    np.testing.assert_array_equal(rests, ~standing.columns)
    assert 0 < standing.columns.sum() < len(standing.columns)
    last = summed(hungary, asked(hungary, state), 3)
    cells = columns.layout.part(f"{place}/cells", last)
    assert columns.own.are_possible(cells, standing.columns)
    assert not columns.layout.part("counted", last).any()


def test_a_site_whose_records_are_mostly_of_three_persons_shows_none(hungary: Ward) -> None:
    path = hungary.run.site(hungary.name) / "data.parquet"
    records = pd.read_parquet(path)
    owners, whose = records["patient"].to_numpy(), np.arange(len(records)) % 10 // 3
    owners = np.where(whose < 3, owners[whose], owners)  # three, of whom not all are held out
    records.assign(patient=owners).to_parquet(path, index=False)
    columns, first = columns_of(hungary), summed(hungary, start(hungary), 1)
    assert columns.layout.part(f"{place_of(hungary)}/head", first)[1] == 0


def test_vetoes_are_drawn_anew_at_each_site_and_not_from_the_seed(
    hungary: Ward, tmp_path: Path
) -> None:
    state = counted(hungary)
    (tmp_path / "again").mkdir()
    again = ward(tmp_path / "again", **BY_SITE)
    assert (summed(hungary, state, 2) != summed(again, counted(again), 2)).any()


@pytest.mark.parametrize(
    "releases", [{"own_figures": False}, {"own_figures": True, "minimum_count": 10_000}]
)
def test_a_policy_that_shows_no_figures_says_none(
    hungary: Ward, releases: dict[str, object]
) -> None:
    decide(hungary.site.directory, releases=releases)
    columns = columns_of(hungary)
    first = summed(hungary, start(hungary), 1)
    assert columns.layout.part("counted", first).any()
    assert not columns.tells_of_a_site(first)
    state = counted(hungary)
    assert not summed(hungary, state, 2).any()
    assert not SiteDirectory(hungary.site.directory).shown_columns.exists()


@pytest.mark.parametrize("releases", [{"own_figures": False}, {"minimum_count": 10_000}])
def test_a_policy_that_changes_after_its_word_stops_the_run(
    hungary: Ward, releases: dict[str, object]
) -> None:
    """Zeros in its place would leave this site alone with what the others do not show."""
    state = counted(hungary)
    last = asked(hungary, state)
    decide(hungary.site.directory, releases=releases)
    assert refused(hungary, last, 3)


def test_a_state_that_shows_a_column_against_the_veto_of_a_site_gets_nothing(
    hungary: Ward,
) -> None:
    """Adversary: a coordinator in the clear, who makes the state."""
    columns, state = columns_of(hungary), counted(hungary)
    summed(hungary, state, 2)
    made_up = columns.move(state, np.zeros(columns.layout.size, np.int64))
    assert columns.standing(made_up).columns.all()
    assert refused(hungary, made_up, 3)


def test_a_site_that_showed_for_some_sites_shows_for_no_others(hungary: Ward) -> None:
    columns, state = columns_of(hungary), counted(hungary)
    last = asked(hungary, state)
    silent = counted(hungary, Head(shows=False, crowd=3))
    assert columns.standing(silent).withheld  # three silent ones, and one that shows
    shown = ShownBefore.at(hungary.site.directory).by_charter[hungary.site.fingerprint]
    assert shown.roster == columns.standing(last).code
    first = summed(hungary, start(hungary), 1)
    head = columns.layout.part(f"{place_of(hungary)}/head", first)
    assert head.tolist() == [1, 1, hungary.site.min_sites, shown.roster]


def test_a_site_that_was_not_asked_for_vetoes_shows_no_cells(hungary: Ward) -> None:
    """Adversary: a coordinator in the clear, who leaves the second exchange out."""
    columns, state = columns_of(hungary), counted(hungary)
    vetoes = np.ones(columns.layout.size, np.int64)  # no multiples: nothing is shown
    assert refused(hungary, columns.move(state, vetoes), 3)


def test_records_that_change_after_its_word_stop_the_run(hungary: Ward) -> None:
    state = counted(hungary)
    last = asked(hungary, state)
    memory = SiteDirectory(hungary.site.directory).shown_columns
    shown = ShownBefore.at(hungary.site.directory)
    others = {
        charter: one.model_copy(update={"cells": "0" * 64})
        for charter, one in shown.by_charter.items()
    }
    write_atomically(memory, ShownBefore(by_charter=others).model_dump_json())
    assert refused(hungary, last, 3)
    head = columns_of(hungary).layout.part(
        f"{place_of(hungary)}/head", summed(hungary, start(hungary), 4)
    )
    assert head[3] == CHANGED


def test_a_site_gives_no_veto_for_another_roster_than_the_first(hungary: Ward) -> None:
    """Adversary: a coordinator in the clear, who says that nobody remembers anything."""
    summed(hungary, counted(hungary), 2)
    columns = columns_of(hungary)
    heads = np.zeros(columns.layout.size, np.int64)
    for place in range(4):
        heads = columns.with_head(heads, place, Head(shows=True, crowd=3))
    absent = next(at for at in range(4) if at != place_of(hungary))
    columns.layout.part(f"{absent}/head", heads)[:] = 0
    made_up = columns.move(start(hungary), heads)
    assert not columns.standing(made_up).withheld
    assert refused(hungary, made_up, 3)  # a round is evaluated from one state


def test_the_gate_lets_no_word_of_a_silent_site_out_whoever_said_it(hungary: Ward) -> None:
    """Adversary: an app behind the gate that does not ask the policy, in the clear."""
    answer = hungary.ask(messages.TRAIN, hungary.position(start(hungary), 1))
    asked_ = message(messages.TRAIN, hungary.position(start(hungary), 1))
    decide(hungary.site.directory, releases={"own_figures": False})
    arrays, facts = wire.arrays_and_facts(answer)
    silent = RecordDict({wire.ARRAYS: arrays, wire.FACTS: ConfigRecord({**facts, "released": 0})})
    left = gate_messages(
        asked_, hungary.context, lambda asked, _: Message(silent, reply_to=asked)
    ).content
    assert code_of(left) == "not-released"
