"""One run: repeatable, independent of where data are, and robust against bad data."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import Context, Message

from consortium.client_app import app as client_app
from consortium.config import Scalar
from consortium.deployment.processes import LaunchFailed
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines import runner
from scenarios.engines.in_process import Vanished
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from sites.data.source import SqlQuery, TableFile
from tests.scenarios.conftest import Done, done

HEART = scenario_named("heart-diagnosis")
ONE: dict[str, Scalar] = {"num-server-rounds": 1, "local-epochs": 1, "deadline-s": 0.5}


def heart_run(source: TableFile | SqlQuery | None = None, **chosen: Scalar) -> ScenarioRun:
    named = {key.replace("_", "-"): value for key, value in chosen.items()}
    own = {} if source is None else {"hungary": source}
    return ScenarioRun(scenario=HEART, config=HEART.config_with({**ONE, **named}), own_data=own)


def run_in(folder: Path, order: ScenarioRun) -> tuple[RunDirectory, Summary]:
    run = new_run_directory(HEART, under=folder, named=None)
    return run, run_scenario(order, run)


def quarantine_codes(summary: Summary) -> set[str]:
    return {record.code for record in summary.quarantined}


# The same request gives the same run.


def test_the_source_and_format_of_the_records_do_not_change_the_model(
    heart: Done, hungarian_records: pd.DataFrame, tmp_path: Path
) -> None:
    own = {"hungary": table(tmp_path, hungarian_records)}
    order = ScenarioRun(scenario=HEART, config=heart.config, own_data=own)
    _, summary = run_in(tmp_path, order)
    assert summary.model_digest == heart.summary.model_digest
    assert summary.metrics == heart.summary.metrics


def test_the_order_of_rows_does_not_change_who_is_held_out(
    heart: Done, hungarian_records: pd.DataFrame, tmp_path: Path
) -> None:
    """Training takes the records in another order, so the model may differ in its last digits."""
    shuffled = hungarian_records.iloc[np.random.default_rng(7).permutation(len(hungarian_records))]
    own = {"hungary": table(tmp_path, shuffled)}
    order = ScenarioRun(scenario=HEART, config=heart.config, own_data=own)
    _, summary = run_in(tmp_path, order)
    value, expected = (one.metrics["roc_auc"].value for one in (summary, heart.summary))
    assert summary.held_out == heart.summary.held_out
    assert value == pytest.approx(expected, abs=0.01)


def test_the_environment_is_restored_even_if_the_run_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "mine")
    run_in(tmp_path, heart_run())
    assert os.environ[ENVIRONMENT] == "mine"
    monkeypatch.delenv(ENVIRONMENT)
    with pytest.raises(RunFailed):
        run_in(tmp_path, heart_run(quorum=5))
    assert ENVIRONMENT not in os.environ


def test_the_model_is_copied_from_a_site_that_has_it(heart: Done) -> None:
    names = {path.name for path in heart.run.model.iterdir()}
    for site in HEART.sites:
        kept = heart.run.site(site) / "model"
        for name in names:
            assert (kept / name).read_bytes() == (heart.run.model / name).read_bytes()


def test_a_failed_launch_without_a_summary_is_raised_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_given: Any, **_named: Any) -> None:
        raise LaunchFailed("Flower's SuperLink did not start")

    monkeypatch.setattr(runner, "simulate_run", failing)
    with pytest.raises(LaunchFailed, match="did not start"):
        run_in(tmp_path, replace(heart_run(), engine="simulation"))


@pytest.mark.parametrize("flower_says_so", [True, False])
def test_a_failed_run_is_reported_with_the_error_in_its_own_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, flower_says_so: bool
) -> None:
    """Flower says at most that the run failed; the run's summary says why."""

    def failing(run: RunDirectory, **_named: Any) -> None:
        failed = {**json.loads(template), "status": "failed", "error": "quorum-not-reached: x"}
        run.summary.write_text(json.dumps(failed))
        if flower_says_so:
            raise LaunchFailed("the run did not finish")

    first, _ = run_in(tmp_path, heart_run())
    template = first.summary.read_text()
    monkeypatch.setattr(runner, "simulate_run", failing)
    with pytest.raises(RunFailed, match="quorum-not-reached: x"):
        run_in(tmp_path, replace(heart_run(), engine="simulation"))


# With bad data at a site the run continues, and the details stay at the site.

Damage = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def hungarian_records(heart: Done) -> pd.DataFrame:
    return pd.read_parquet(heart.run.site("hungary") / "data.parquet")


def with_cell(column: str, value: str | int | None) -> Damage:
    def damage(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.astype(object)
        changed.loc[changed.index[2], column] = value
        return changed

    return damage


DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "text in a number column": (with_cell("age", "sixty-one"), "bad-table", "sixty-one"),
    "unknown category": (with_cell("chest_pain", "severe"), "bad-table", "severe"),
    "a missing value where none may be": (with_cell("age", None), "bad-table", "age"),
    "infinity": (with_cell("age", "inf"), "bad-table", "age"),
    "minus infinity": (with_cell("st_depression", "-Infinity"), "bad-table", "st_depression"),
    "out of bounds": (with_cell("cholesterol", 9_999), "bad-table", "cholesterol"),
    "no label": (with_cell("disease", None), "bad-table", "disease"),
    "a column is missing": (lambda f: f.drop(columns=["thallium"]), "missing-columns", "thallium"),
    "no rows": (lambda f: f.iloc[:0], "empty-table", "no rows"),
}


def table(folder: Path, frame: pd.DataFrame, *, separator: str = ",") -> TableFile:
    path = folder / "own.csv"
    frame.to_csv(path, index=False, sep=separator)
    return TableFile(path=path)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_table_is_reported_at_its_site_with_the_cell_and_elsewhere_by_a_code(
    name: str, hungarian_records: pd.DataFrame, tmp_path: Path
) -> None:
    damage, code, told = DAMAGES[name]
    source = table(tmp_path, damage(hungarian_records))
    run, summary = run_in(tmp_path, heart_run(source))
    assert summary.status == "finished"
    assert quarantine_codes(summary) == {f"site-refused.{code}"}
    assert set(summary.evaluated) == set(HEART.sites) - {"hungary"}
    assert told in (run.site("hungary") / "site.log").read_text()
    for path in (run.summary, run.events, run.metrics, run.evaluation):
        assert "sixty-one" not in path.read_text()


def unreadable(folder: Path, frame: pd.DataFrame) -> dict[str, tuple[TableFile | SqlQuery, str]]:
    garbage = folder / "garbage.parquet"
    garbage.write_bytes(b"PAR1 and nothing more")
    ending = folder / "own.xls"
    ending.touch()
    (folder / "x.db").touch()  # an empty database
    latin = folder / "latin.csv"
    latin.write_bytes(frame.to_csv(index=False).encode().replace(b"male", b"m\xe4le"))
    return {
        "missing-file": (TableFile(path=folder / "nowhere.csv"), "there is no file"),
        "wrong-separator": (table(folder, frame, separator=";"), "separat"),
        "broken-file": (TableFile(path=garbage), "cannot be read as .parquet"),
        "unknown-format": (TableFile(path=ending), "can be read"),
        "broken-file ": (TableFile(path=latin), "save it as UTF-8"),
        "query-failed": (
            SqlQuery(url=f"sqlite:///{folder}/x.db", query="SELECT * FROM nothing"),
            "nothing",
        ),
    }


@pytest.mark.parametrize(
    "code",
    [
        "missing-file",
        "wrong-separator",
        "broken-file",
        "broken-file ",
        "unknown-format",
        "query-failed",
    ],
)
def test_an_unreadable_source_is_reported_at_its_site_with_advice(
    code: str, hungarian_records: pd.DataFrame, tmp_path: Path
) -> None:
    source, told = unreadable(tmp_path, hungarian_records)[code]
    run, summary = run_in(tmp_path, heart_run(source))
    assert summary.status == "finished"
    assert quarantine_codes(summary) == {f"site-refused.{code.strip()}"}
    assert told in (run.site("hungary") / "site.log").read_text()
    assert str(tmp_path / "own") not in run.summary.read_text()


WORKS: dict[str, Damage] = {
    "one class": lambda frame: frame[frame["disease"] == "yes"],
    "the other class": lambda frame: frame[frame["disease"] == "no"],
    "a column all missing": lambda frame: frame.assign(cholesterol=np.nan, thallium=None),
    "three persons": lambda frame: frame.head(3),
    "columns in another order": lambda frame: frame[sorted(frame.columns)],
    "columns that nobody asked for": lambda frame: frame.assign(room=7),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_small_or_lopsided_site_takes_part(
    name: str, hungarian_records: pd.DataFrame, tmp_path: Path
) -> None:
    source = table(tmp_path, WORKS[name](hungarian_records))
    _, summary = run_in(tmp_path, heart_run(source))
    assert summary.quarantined == []
    assert set(summary.evaluated) == set(HEART.sites)
    assert all(np.isfinite(metric.value) for metric in summary.metrics.values())


def test_all_sites_learn_classes_that_no_two_of_them_share(heart: Done, tmp_path: Path) -> None:
    """Three hospitals have only ill patients and one has only healthy ones."""
    sources = {}
    for name in HEART.sites:
        frame = pd.read_parquet(heart.run.site(name) / "data.parquet")
        kept = frame[frame["disease"] == ("no" if name == "hungary" else "yes")]
        (tmp_path / name).mkdir()
        sources[name] = table(tmp_path / name, kept)
    order = ScenarioRun(scenario=HEART, config=heart.config, own_data=sources)
    _, summary = run_in(tmp_path, order)
    assert summary.quarantined == []
    assert summary.metrics["roc_auc"].value > 0.7


# Sites that fail during a run.


def misbehaving(site: int, kind: str, how: Callable[[], Message]) -> Callable[..., Message]:
    def app(message: Message, context: Context) -> Message:
        if message.metadata.message_type == kind and context.node_config["partition-id"] == site:
            return how()
        return client_app(message, context)

    return app


def vanish() -> Message:
    raise Vanished


def crash() -> Message:
    raise MemoryError("patient Jane Roe")


@pytest.mark.parametrize(
    ("how", "code"), [(vanish, "silent"), (crash, "node-failed")], ids=["silent", "crashed"]
)
@pytest.mark.parametrize("kind", ["query.hello", "query.statistics", "train", "evaluate"])
def test_a_site_that_fails_at_any_point_costs_the_others_nothing(
    kind: str,
    how: Callable[[], Message],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "client_app", misbehaving(1, kind, how))
    order = heart_run(join_deadline_s=0.3, deadline_s=0.3)
    run, summary = run_in(tmp_path, order)
    assert summary.status == "finished"
    assert set(HEART.sites) - {"hungary"} <= set(summary.evaluated)
    if kind != "query.hello":
        assert quarantine_codes(summary) == {code}
    for path in (run.summary, run.events):
        assert "Jane" not in path.read_text()


def test_a_failed_run_is_an_error_and_recorded_in_its_directory(tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    with pytest.raises(RunFailed, match="quorum=5 can never be reached"):
        run_scenario(heart_run(quorum=5), run)
    summary = read_record(run.summary, Summary)
    assert (summary.status, summary.rounds) == ("failed", 0)
    assert not run.model.exists()


def test_a_severity_that_some_hospitals_never_saw_is_learnt_from_the_others(
    tmp_path: Path,
) -> None:
    """Hungary recorded only 0 and 1; its model still predicts five grades."""
    over = done("heart-severity", tmp_path, {"num-server-rounds": 1})
    assert over.summary.quarantined == []
    assert set(over.summary.evaluated) == set(over.scenario.sites)
