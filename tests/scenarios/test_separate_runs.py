"""Each run of a scenario has a charter and sites of its own: nothing is remembered between two."""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flwr.app import Context, Message

from consortium.charter.document import Charter
from consortium.client.site_ledger import ledger_of
from consortium.client_app import app as client_app
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.site.directory import SiteDirectory
from privacy.wire import messages
from scenarios.engines import runner
from scenarios.engines.in_process import SiteApp, Vanished
from scenarios.engines.runner import (
    RunParked,
    ScenarioRun,
    interrupted_run,
    resume_run,
    run_scenario,
)
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.comparison import compare
from scenarios.library.registry import scenario_named

HEART = scenario_named("heart-diagnosis")
CONFIG = HEART.config_with(
    {
        "aggregation": "encrypted",
        "num-server-rounds": 1,
        "quorum": 3,
        "deadline-s": 0.2,
        "join-deadline-s": 0.2,
    }
)
_WATCHED: list[set[Path]] = []


def _note_opened(event: str, arguments: tuple[object, ...]) -> None:
    if _WATCHED and event in {"open", "sqlite3.connect", "os.listdir", "os.rename"}:
        named = arguments[0]
        if isinstance(named, str | bytes):
            path = named.decode() if isinstance(named, bytes) else named
            _WATCHED[-1].add(Path(path.removeprefix("file:").partition("?")[0]).absolute())


sys.addaudithook(_note_opened)  # cannot be taken away: it does nothing unless something is watched


@contextmanager
def opened() -> Iterator[set[Path]]:
    """Collect every path that this process opens or lists."""
    _WATCHED.append(set())
    try:
        yield _WATCHED[-1]
    finally:
        _WATCHED.pop()


def staged_run(folder: Path, *, left_out: str = "") -> RunDirectory:
    run = new_run_directory(HEART, under=folder, named=None)
    config = CONFIG.model_copy(update={"without": left_out})
    run_scenario(ScenarioRun(scenario=HEART, config=config), run)
    return run


def files(run: RunDirectory) -> dict[Path, str]:
    """Return the digest of every file of a run but SQLite's lock files."""
    found = (path for path in run.path.rglob("*") if path.is_file())
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if not path.name.endswith(("-shm", "-wal"))
    }


def rosters(run: RunDirectory, name: str) -> list[tuple[str, bytes]]:
    """Return for whom a site counts exactly, and under which charters."""
    path = SiteDirectory(run.site(name)).memory / "memory.sqlite"
    with sqlite3.connect(path) as database:
        return database.execute("SELECT charter, roster FROM exact_rosters").fetchall()


def remembered_persons(run: RunDirectory, name: str) -> int:
    (path,) = SiteDirectory(run.site(name)).sides.glob("*.sqlite")
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM persons").fetchone()[0])


@contextmanager
def without(name: str, monkeypatch: pytest.MonkeyPatch, kind: str = "") -> Iterator[None]:
    """Let a site answer nothing, or no message of a kind."""

    def silent(message: Message, context: Context) -> Message:
        if kind and message.metadata.message_type != kind:
            return client_app(message, context)
        raise Vanished

    def apps(order: ScenarioRun) -> dict[int, SiteApp]:
        return {
            index: silent if site == name else client_app
            for index, site in enumerate(order.scenario.sites)
        }

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_site_apps", apps)
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run before all others, in the same process."""
    return staged_run(tmp_path_factory.mktemp("first"))


def test_a_run_opens_no_file_of_an_earlier_one_and_changes_none(
    first: RunDirectory, tmp_path: Path
) -> None:
    before = files(first)
    with opened() as paths:
        second = staged_run(tmp_path)
    assert any(path.is_relative_to(second.path) for path in paths)
    assert not [path for path in paths if path.is_relative_to(first.path)]
    # A memory that all runs share would lie elsewhere.
    databases = [path for path in paths if path.suffix == ".sqlite"]
    assert databases
    assert all(path.is_relative_to(second.path) for path in databases)
    assert files(first) == before


def test_two_runs_have_no_file_in_common(first: RunDirectory, tmp_path: Path) -> None:
    """Neither by a link nor by a name: each file of a site is its own."""
    second = staged_run(tmp_path)
    places = [{path.stat().st_ino for path in files(run)} for run in (first, second)]
    assert not places[0] & places[1]
    assert not [path for path in second.path.rglob("*") if path.is_symlink()]
    assert Charter.read(first.charter).fingerprint != Charter.read(second.charter).fingerprint


def test_a_second_run_of_other_sites_counts_anew_for_its_own_roster(
    first: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that remembered the first run would withhold, or carry the statistics of all."""
    with without("hungary", monkeypatch):
        second = staged_run(tmp_path, left_out="hungary")
    summary = read_record(second.summary, Summary)
    assert summary.withheld == ""
    assert len(summary.evaluated) == 3
    charter = Charter.read(second.charter).fingerprint
    for name in summary.evaluated:
        (known,) = rosters(second, name)
        assert known[0] == charter
        assert b"hungary" not in known[1]
        assert known != rosters(first, name)[0]
        with ledger_of(second.site(name)) as mine, ledger_of(first.site(name)) as theirs:
            assert len(mine.entries()) == len(theirs.entries())
            runs = [{one.run for one in ledger.releases()} for ledger in (mine, theirs)]
        assert remembered_persons(second, name) == remembered_persons(first, name)
        assert runs[0]
        assert not runs[0] & runs[1]
    assert not (second.site("hungary") / "memory").exists()


def test_resume_and_compare_stay_within_their_run(
    first: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(first)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=CONFIG.model_copy(update={"quorum": 4}))
    with without("hungary", monkeypatch, messages.TRAIN), pytest.raises(RunParked):
        run_scenario(order, run)
    with opened() as paths:
        again = interrupted_run(run, engine="inprocess", verbose=False)
        assert resume_run(again, run).status == "finished"
        compare(HEART, order.config, run, tell=lambda _line: None, n_resamples=20)
    assert not [path for path in paths if path.is_relative_to(first.path)]
    assert files(first) == before
    told = [read_record(one.evaluation, Tallies).pooled for one in (first, run)]
    assert told[0] == told[1]
