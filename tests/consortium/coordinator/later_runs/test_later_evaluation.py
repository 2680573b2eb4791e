"""A run whose evaluation was withheld says so, and gets its figures when all are back."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.coordinator.counted_rosters import CountedRosters
from consortium.coordinator.later_runs.later_evaluation import NothingWithheld, later_config
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from tests.founded import Founded
from tests.small_consortium import NAMES


def page(run: RunDirectory) -> str:
    """Return the text of a run's report, as a reader sees it."""
    render_report(run)
    text = re.sub(r"<style.*?</style>|<[^>]+>", " ", run.report.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(text))


def events(run: RunDirectory) -> Iterator[str]:
    return (json.loads(line)["event"] for line in run.events.read_text().splitlines())


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return Founded(tmp_path)


def test_the_figures_of_a_withheld_evaluation_come_into_the_run_and_its_report(
    founded: Founded,
) -> None:
    everyone = read_record(founded.train("first").summary, Summary)
    assert everyone.held_out > 0
    assert everyone.withheld == ""
    run = founded.train("second", away="west")
    withheld = read_record(run.summary, Summary)
    assert withheld.withheld.startswith("withheld, because east, north and south count held-out")
    assert (withheld.held_out, withheld.status) == (0, "finished")
    before = page(run)
    assert "Withheld, because east, north and south count held-out records exactly" in before
    assert "0 held-out records" not in before

    later = run.next_evaluation()
    founded.run(later, later_config(run, founded.consortium.charter))
    told = read_record(run.summary, Summary)
    assert told.withheld == ""
    assert told.held_out == everyone.held_out
    assert set(told.evaluated) == set(NAMES)
    assert told.metrics == read_record(later.summary, Summary).metrics
    assert told.model_digest == withheld.model_digest
    assert json.loads(run.metrics.read_text().splitlines()[-1])["metrics"]["roc_auc"]
    assert list(events(run))[-1] == "evaluated-later"
    after = page(run)
    assert "Withheld in the run itself, and counted afterwards, in second-evaluation-1" in after
    assert "All pooled metrics" in after
    with pytest.raises(NothingWithheld):
        later_config(run, founded.consortium.charter)


def test_what_stays_withheld_changes_nothing(founded: Founded) -> None:
    """The first run had three sites: with all four the roster is another one still."""
    founded.train("first", without="west")
    run = founded.train("second")
    before = run.summary.read_text()
    later = run.next_evaluation()
    founded.run(later, later_config(run, founded.consortium.charter))
    assert read_record(later.summary, Summary).withheld
    assert run.summary.read_text() == before
    assert run.next_evaluation().path.name == "second-evaluation-2"


def test_who_was_never_counted_is_left_out_of_a_later_evaluation(founded: Founded) -> None:
    """The charter counts for three, so three evaluate, whoever trained."""
    founded.train("first", without="west")
    run = founded.train("second")
    counted = CountedRosters(run.counted_rosters)
    counted.claim(founded.consortium.charter.fingerprint, NAMES[:3])
    later = run.next_evaluation()
    config = later_config(run, founded.consortium.charter)
    assert (config.without, config.quorum) == ("west", 3)
    founded.run(later, config)
    told = read_record(run.summary, Summary)
    assert told.withheld == ""
    assert told.evaluated == [*NAMES[:3]]


def test_too_few_persons_of_a_class_are_withheld_in_words(tmp_path: Path) -> None:
    run = Founded(tmp_path, minimum_count=10_000).train("first")
    told = read_record(run.summary, Summary).withheld
    assert told.startswith("withheld, because fewer than ten persons of a class are held out")
    text = page(run)
    assert "Withheld, because fewer than ten persons of a class are held out" in text
    assert "0 held-out records" not in text
    with pytest.raises(NothingWithheld):
        later_config(run, Founded(tmp_path / "other").consortium.charter)


def test_a_site_that_was_silent_at_the_end_is_named_where_the_figures_would_be(
    founded: Founded,
) -> None:
    """A sum that lacks one site is not opened, and nothing says 0."""
    run = founded.train("first", away="west", only_at_the_end=True)
    told = read_record(run.summary, Summary).withheld
    assert told.startswith("withheld, because west did not answer at the end")
    assert "0 held-out records" not in page(run)


def test_a_charter_that_releases_nothing_is_named_where_the_figures_would_be(
    founded: Founded,
) -> None:
    charter = founded.consortium.charter.model_copy(update={"release_pooled": False})
    for name in NAMES:
        charter.write(founded.consortium.run.site(name) / "charter.json")
    founded.consortium = replace(founded.consortium, charter=charter)
    run = founded.train("first")
    told = read_record(run.summary, Summary).withheld
    assert told == "withheld, because the charter releases no pooled figures (release_pooled)"
