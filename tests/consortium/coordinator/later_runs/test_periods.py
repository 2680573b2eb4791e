"""A later period is counted once for a model: of who has records of it, sealed and in the clear."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consortium.coordinator.later_runs.periods import CannotMonitor, period_config
from consortium.model.files import read_model
from consortium.report.monitoring.counted_periods import counted_periods
from consortium.report.monitoring.rows import missing_sentences
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.site.periods import PeriodMemory
from consortium.site.policy_templates import strict
from privacy.layout import Tally
from privacy.wire import messages
from sites.data.holdout import NobodyHeldOut
from sites.data.source import TableFile
from sites.evaluation.score_bins import ScoreBins
from sites.plans import Counting, ModelPlan
from sites.tasks.registry import task_for
from tests.decisions import decide
from tests.founded import Founded
from tests.later_periods import declare_later
from tests.small_consortium import NAMES, TABLE, Place, forget_processes

CLEAR: dict[str, Any] = {"aggregation": "clear", "on_finding": "warn"}
MASKED: dict[str, Any] = {"masks": True, "score_bins": "following"}


def counted(founded: Founded, run: RunDirectory, period: str, **who: Any) -> RunDirectory:
    config = period_config(run, founded.consortium.charter, period)
    return founded.run(run.period(period), config, **who)


def tally_of(run: RunDirectory) -> Tally:
    return np.array(read_record(run.evaluation, Tallies).pooled, np.int64)


def in_one_place(founded: Founded, period: str, sites: tuple[str, ...], bins: str) -> Tally:
    """Return what one site counts that has the records of all of them."""
    site = founded.consortium.run.site("east")
    model = read_model(site / "model")
    path = site / "all.csv"
    frames = [pd.read_csv(founded.consortium.run.site(name) / f"{period}.csv") for name in sites]
    pd.concat(frames).to_csv(path, index=False)
    plan = ModelPlan(name="logistic")
    counting = Counting(columns=True)
    task = task_for("diagnosis", TABLE, plan, seed=model.config.seed, counting=counting)
    data = task.load(TableFile(path=path), sides=NobodyHeldOut())
    return task.evaluate(data, model.statistics, model.vector, ScoreBins(bytes.fromhex(bins)))


@pytest.mark.parametrize("chosen", [CLEAR, MASKED])
def test_a_period_counts_as_if_all_its_records_were_in_one_place(
    tmp_path: Path, chosen: dict[str, Any]
) -> None:
    founded = Founded(tmp_path, encrypted=chosen is MASKED)
    run = founded.train("model", chosen=chosen)
    declare_later(founded, "2026-03")
    period = counted(founded, run, "2026-03")
    told = read_record(period.summary, Summary)
    found = read_record(period.evaluation, Tallies)
    assert (told.status, told.rounds, set(told.evaluated)) == ("finished", 0, set(NAMES))
    expected = in_one_place(founded, "2026-03", NAMES, found.score_bins)
    assert tally_of(period).tolist() == expected.tolist()
    assert not found.by_site
    assert told.metrics["roc_auc"].value > 0.6
    own = np.zeros_like(expected)
    for name in NAMES:
        with PeriodMemory.at(founded.consortium.run.site(name)) as memory:
            (count,) = memory.counts("2026-03")
        own += count.tally
        assert count.model == told.model_digest
    assert own.tolist() == expected.tolist()


def test_records_without_a_label_yet_are_in_no_metric(tmp_path: Path) -> None:
    founded = Founded(tmp_path)
    run = founded.train("model")
    declare_later(founded, "march", unlabelled=15)
    period = counted(founded, run, "march")
    (found,) = counted_periods(run)
    assert found.figures is not None
    assert found.figures.records == 60 * len(NAMES)
    assert found.figures.now.records_without_label == 15 * len(NAMES)
    assert read_record(period.summary, Summary).held_out == 45 * len(NAMES)
    assert "60 records had no label yet" in " ".join(missing_sentences(found)).replace("\xa0", " ")


def test_who_is_away_or_waits_in_march_is_in_april(tmp_path: Path) -> None:
    founded = Founded(tmp_path)
    run = founded.train("model")
    declare_later(founded, "march", sites=NAMES[:3])
    declare_later(founded, "april")
    declare_later(founded, "march", sites=("west",), count=12)
    march = read_record(counted(founded, run, "march").summary, Summary)
    assert set(march.evaluated) == set(NAMES[:3])
    assert [(one.site, one.code) for one in march.quarantined] == [
        ("west", "site-refused.period-waits")
    ]
    assert march.quarantined[0].counts == {}
    april = read_record(counted(founded, run, "april").summary, Summary)
    assert set(april.evaluated) == set(NAMES)


def test_a_period_is_counted_for_one_roster(tmp_path: Path) -> None:
    """Who came too late for a period stays out of it: the difference would be this site."""
    founded = Founded(tmp_path)
    run = founded.train("model")
    declare_later(founded, "march")
    first = counted(founded, run, "march", away="west")
    assert set(read_record(first.summary, Summary).evaluated) == set(NAMES[:3])
    first.path.rename(run.path / "first")
    again = counted(founded, run, "march")
    told = read_record(again.summary, Summary)
    assert told.withheld
    assert not tally_of(again).any()


@pytest.mark.parametrize("chosen", [CLEAR, {}])
def test_nobody_trains_on_a_period_whatever_a_coordinator_asks(
    tmp_path: Path, chosen: dict[str, Any]
) -> None:
    founded = Founded(tmp_path, encrypted=not chosen)
    run = founded.train("model", chosen=chosen)
    declare_later(founded, "march")
    forget_processes()
    charter = founded.consortium.charter
    config = period_config(run, charter, "march")
    place = Place(founded.consortium.run.site("west"), config)
    asked = messages.question(charter.fingerprint)
    assert place.refusal("train", asked) == "question-not-allowed"
    if chosen:  # an encrypted run makes its first state of the answers
        assert place.refusal("query.statistics", asked) == "question-not-allowed"


def test_a_policy_that_demands_privacy_refuses_a_period(tmp_path: Path) -> None:
    founded = Founded(tmp_path)
    run = founded.train("model")
    declare_later(founded, "march")
    terms = strict(founded.consortium.charter).privacy.model_dump()
    decide(founded.consortium.run.site("west"), privacy=terms)
    told = read_record(counted(founded, run, "march").summary, Summary)
    assert [(one.site, one.code) for one in told.quarantined] == [
        ("west", "site-refused.privacy-required")
    ]
    assert set(told.evaluated) == set(NAMES[:3])


def test_a_run_without_a_model_of_this_charter_is_not_monitored(tmp_path: Path) -> None:
    founded = Founded(tmp_path)
    run = founded.train("model")
    revised = founded.consortium.charter.model_copy(update={"revision": 2})
    with pytest.raises(CannotMonitor, match="another revision"):
        period_config(run, revised, "march")
    with pytest.raises(CannotMonitor, match="needs a name"):
        period_config(run, founded.consortium.charter, "")
    parked = read_record(run.summary, Summary).model_copy(update={"status": "parked"})
    run.summary.write_text(parked.model_dump_json())
    with pytest.raises(CannotMonitor, match="not finished"):
        period_config(run, founded.consortium.charter, "march")
