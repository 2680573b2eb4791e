"""What the trials of a sweep share is the records; each still has the whole directory of a run."""

import sqlite3
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory
from scenarios.data.datasets import load_dataset
from scenarios.engines.runner import ScenarioRun, do_nothing, run_scenario
from scenarios.library.registry import scenario_named
from scenarios.sweep.crew import crew_of
from scenarios.sweep.shared_records import SHARED_RECORDS
from scenarios.sweep.trial import Reached, Rise, Trial, rise

READS: Counter[str] = Counter()


def counted_records() -> pd.DataFrame:
    READS["dealt"] += 1
    return load_dataset("heart-disease")


HEART = replace(scenario_named("heart-diagnosis"), records=counted_records)
ORDER = ScenarioRun(
    scenario=HEART, config=HEART.config_with({"num-server-rounds": 2}), on_staged=do_nothing
)


def way(folder: Path, number: int, *, rounds: int = 1) -> Rise:
    run = RunDirectory(folder / f"{number}" / "run")
    trial = Trial(number=number, settings={}, order=ORDER, run=run)
    return Rise(trial=trial, rounds=rounds, ends=rounds == 2)


def files(run: RunDirectory) -> set[str]:
    return {str(one.relative_to(run.path)) for one in run.path.rglob("*") if one.is_file()}


def sides(run: RunDirectory, site: str) -> list[tuple[bytes, str]]:
    memory = SiteDirectory(run.site(site)).sides / "sides.sqlite"
    with sqlite3.connect(memory) as database:
        return sorted(database.execute("SELECT digest, side FROM persons"))


@dataclass(frozen=True)
class Risen:
    """Three trials at their first rung, of which all but the first found the records read."""

    folder: Path
    reached: list[Reached]
    dealt: int  # how often records were dealt
    tables_left: int


@pytest.fixture(scope="module")
def risen(tmp_path_factory: pytest.TempPathFactory) -> Risen:
    folder = tmp_path_factory.mktemp("risen")
    READS.clear()
    with crew_of(0, HEART.task) as crew:
        reached = crew.all_risen([way(folder, number) for number in (1, 2, 3)])
    return Risen(folder, list(reached), READS["dealt"], SHARED_RECORDS.tables.num_tables)


def test_the_records_are_dealt_once_and_let_go_at_the_end(risen: Risen, tmp_path: Path) -> None:
    assert (risen.dealt, risen.tables_left) == (1, 0)
    assert risen.reached[0].course == risen.reached[1].course
    assert risen.reached[0].course
    READS.clear()
    SHARED_RECORDS.clear()
    rise(way(tmp_path, 4))
    assert READS == {"dealt": 1}
    assert SHARED_RECORDS.tables.num_tables == len(HEART.sites)
    SHARED_RECORDS.clear()
    assert not SHARED_RECORDS.tables.num_tables


def test_each_trial_has_the_whole_directory_of_a_run(risen: Risen) -> None:
    """Also what its sites remember of who is held out, though another one's file was read."""
    first, second = (way(risen.folder, number).trial.run for number in (1, 2))
    assert files(first) == files(second)
    for name in HEART.sites:
        assert sides(first, name) == sides(second, name) != []
        config = SiteDirectory(second.site(name)).config.read_text()
        assert str(second.path) in config
        assert str(first.path) not in config


def test_a_trial_goes_on_alone_to_the_model_of_a_run_that_was_never_parked(
    risen: Risen, tmp_path: Path
) -> None:
    """As in another process, when the others' directories are gone."""
    SHARED_RECORDS.clear()
    reached = rise(way(risen.folder, 3, rounds=2))
    whole = run_scenario(ORDER, RunDirectory(tmp_path))
    assert not reached.failed
    assert reached.model_digest == whole.model_digest
