"""A site's own part is counted again by its operator's word, once, and everybody is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import RecordDict
from typer.testing import CliRunner

from consortium.audit.cross_check import read_log
from consortium.charter.document import Charter
from consortium.cli.site import app
from consortium.client.site_ledger import ledger_of
from consortium.site.directory import SiteDirectory
from consortium.site.recount import NothingCounted, planned_recount
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt
from privacy.protocol.grouping import COUNTED, RECOUNTED
from strategies.coordinator.messaging.events import StatisticsRecounted
from tests.carrier import away
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    altered,
    forget_processes,
    read_reply,
    records,
)

ONE_ROUND: dict[str, Any] = {"quorum": 3, "num_server_rounds": 1}
commands = CliRunner()


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def run(consortium: Consortium, *, seed: int = 7, **hooks: Any) -> Course:
    forget_processes()
    return consortium.start(**hooks, **ONE_ROUND, seed=seed)


def statistics(consortium: Consortium, name: str = "east") -> Tally:
    """Return the pooled statistics in a site's model."""
    model = consortium.run.site(name) / "model" / "model.json"
    return np.array(json.loads(model.read_text())["statistics"])


def mend(consortium: Consortium, name: str, *, more: int) -> None:
    """Replace the records of a site: the first ones, and those of so many persons more."""
    added = records("other", more).assign(person=[f"new-{index}" for index in range(more)])
    path = consortium.run.site(name) / "data.parquet"
    pd.concat([records(name), added]).to_parquet(path, index=False)


def own_counts(consortium: Consortium, name: str) -> Tally:
    forget_processes()
    site = consortium.place(name).site
    counted: Tally = site.task.statistics_of(site.data)
    return counted


def recount(consortium: Consortium, name: str, *words: str) -> str:
    forget_processes()
    directory = str(consortium.run.site(name))
    said = commands.invoke(app, ["recount", directory, "--reason", "ward was mended", *words])
    assert said.exit_code == 0, said.output
    return said.output


def noted(consortium: Consortium, name: str, kind: str) -> list[dict[str, Any]]:
    forget_processes()
    log = read_log(consortium.run.site(name) / "audit" / "log.jsonl", consortium.charter)
    return [dict(entry.event.facts) for entry in log.entries if entry.event.kind == kind]


def test_the_sum_changes_by_this_sites_own_change_and_by_nothing_else(
    consortium: Consortium,
) -> None:
    assert run(consortium).error is None
    before, own = statistics(consortium), own_counts(consortium, "west")
    mend(consortium, "west", more=30)
    mend(consortium, "north", more=30)
    said = recount(consortium, "west", "--yes")
    assert "east, north, south, west, and no others" in said
    assert "change of this site's own counts" in said.replace("\n", " ")
    assert run(consortium, seed=8).error is None
    change = own_counts(consortium, "west") - own
    assert change.any()
    assert np.array_equal(statistics(consortium) - before, change)


def test_one_word_is_one_count(consortium: Consortium) -> None:
    run(consortium)
    mend(consortium, "west", more=30)
    recount(consortium, "west", "--yes")
    assert run(consortium, seed=8).error is None
    after = statistics(consortium)
    mend(consortium, "west", more=40)
    assert run(consortium, seed=9).error is None
    assert np.array_equal(statistics(consortium), after)


def test_without_the_operators_word_nothing_is_counted_again(consortium: Consortium) -> None:
    """The coordinator: another seed, another roster, attempts, receipts and a start of its own."""
    run(consortium)
    before = statistics(consortium)
    mend(consortium, "west", more=30)

    def denied(passing: Passing) -> RecordDict:
        """Show no statistics, so that the site may think that none are there yet."""
        if passing.kind != "train":
            return passing.content
        return altered(passing.content, count_receipts=b"", count_sum=b"", state=b"")

    hostile: list[dict[str, Any]] = [
        {"seed": 8},
        {"seed": 9, "down": away("north")},
        {"seed": 10, "down": denied},
        {"seed": 11},
    ]
    for tried in hostile:
        course = run(consortium, **tried)
        receipts = [read_reply(one).count_receipt for _, one in course.answers("query.statistics")]
        assert not {
            receipt
            for receipt in receipts
            if Receipt.decode(receipt).label.weight_class == RECOUNTED
        }
        assert np.array_equal(statistics(consortium), before)
    assert not noted(consortium, "east", "statistics-changed")


def test_a_word_is_good_for_the_roster_of_before_and_for_no_other(consortium: Consortium) -> None:
    """North is away: west seals nothing exact, and its word is not used up."""
    run(consortium)
    before, own = statistics(consortium), own_counts(consortium, "west")
    mend(consortium, "west", more=30)
    recount(consortium, "west", "--yes")
    assert run(consortium, seed=8, down=away("north")).error is None
    assert np.array_equal(statistics(consortium), before)
    assert run(consortium, seed=9).error is None
    change = own_counts(consortium, "west") - own
    assert np.array_equal(statistics(consortium) - before, change)


def test_everybody_is_told_by_whose_word(consortium: Consortium) -> None:
    run(consortium)
    mend(consortium, "west", more=30)
    recount(consortium, "west", "--yes")
    course = run(consortium, seed=8)
    told = [event for event in course.events if isinstance(event, StatisticsRecounted)]
    assert told == [StatisticsRecounted(recounted_by=("west",))]
    replies = [read_reply(answer) for _, answer in course.answers("query.statistics")]
    labels = [Receipt.decode(reply.count_receipt).label for reply in replies]
    said = {label.site: label.weight_class for label in labels}
    assert said == {**dict.fromkeys(NAMES, COUNTED), "west": RECOUNTED}
    for name in NAMES:
        assert [one["recounted"] for one in noted(consortium, name, "statistics-changed")] == [
            "west"
        ]
    assert "operators of: west" in SiteDirectory(consortium.run.site("east")).log.read_text()


def test_the_word_stands_in_the_sites_own_log_and_ledger(consortium: Consortium) -> None:
    run(consortium)
    recount(consortium, "west", "--yes")
    (word,) = noted(consortium, "west", "recounted")
    assert (word["reason"], word["number"]) == ("ward was mended", 1)
    with ledger_of(consortium.run.site("west")) as ledger:
        entries = [one for one in ledger.releases() if one.part.startswith("recount")]
    assert [(one.part, one.event.what) for one in entries] == [
        ("recount 1", "statistics, counted again")
    ]


def test_nothing_happens_without_a_yes(consortium: Consortium) -> None:
    run(consortium)
    directory = consortium.run.site("west")
    words = ["recount", str(directory), "--reason", "ward was mended"]
    assert commands.invoke(app, words, input="n\n").exit_code != 0
    assert not noted(consortium, "west", "recounted")
    assert planned_recount(directory).number == 1
    assert commands.invoke(app, words, input="y\n").exit_code == 0
    with pytest.raises(NothingCounted):
        planned_recount(directory)
    kept = consortium.charter.model_copy(update={"statistics_of": "0" * 64})
    kept.write(directory / "charter.json")
    with pytest.raises(NothingCounted, match="statistics of an earlier revision stand"):
        planned_recount(directory)


def test_where_nothing_was_counted_there_is_nothing_to_count_again(
    consortium: Consortium,
) -> None:
    directory = consortium.run.site("west")
    said = commands.invoke(app, ["recount", str(directory), "--reason", "none", "--yes"])
    assert isinstance(said.exception, NothingCounted)
    assert Charter.read(directory / "charter.json").fingerprint == consortium.charter.fingerprint
