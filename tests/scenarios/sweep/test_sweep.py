"""A sweep on four hospitals: what goes on, what is kept, and what comes of a death."""

import json
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from consortium.config import Scalar
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import DirectoryInUse, new_run_directory
from scenarios.library.registry import scenario_named
from scenarios.sweep.order import NotTunable, SweepOrder
from scenarios.sweep.outcome import outcome_lines, write_sweep_page
from scenarios.sweep.records import SweepDirectory, SweepRecord
from scenarios.sweep.search.space import parse_searches
from scenarios.sweep.sweep import NoTrialLeft, run_sweep
from scenarios.user_data.scenario_file import named_scenario_with_data
from tests.forked import Forked

HEART = scenario_named("heart-diagnosis")
CHOSEN: Mapping[str, Scalar] = {"num-server-rounds": 4}
SEARCHES = ("learning-rate=log(1e-3,1)", "momentum=choice(0.0,0.9)")
KILLED = """
import os, signal, sys
from pathlib import Path
from consortium.coordinator import clear_run
from tests.scenarios.sweep.test_sweep import searched

real, called = clear_run.write_checkpoint, [0]

def dies(*given, **named):
    called[0] += 1
    if called[0] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

clear_run.write_checkpoint = dies
searched(Path(sys.argv[1]))
"""


def order_of(
    *searches: str, trials: int = 4, chosen: Mapping[str, Scalar] | None = None
) -> SweepOrder:
    settings = {**CHOSEN, **(chosen or {})}
    return SweepOrder(
        name=HEART.name,
        scenario=HEART,
        config=HEART.config_with(settings),
        chosen=settings,
        searches=parse_searches(searches or SEARCHES),
        trials=trials,
        reduction=2,
    )


def searched(folder: Path, *searches: str, workers: int = 0) -> SweepRecord:
    return run_sweep(
        order_of(*searches), SweepDirectory(folder), tell=lambda _line: None, workers=workers
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepDirectory, SweepRecord]:
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    return SweepDirectory(folder), searched(folder)


def test_the_best_file_is_a_scenario_whose_run_gives_the_winners_model(
    swept: tuple[SweepDirectory, SweepRecord], tmp_path: Path
) -> None:
    """Though the winner was parked twice, and that run is not."""
    directory, record = swept
    best = named_scenario_with_data(str(directory.best)).scenario
    run = new_run_directory(best, under=tmp_path, named=None)
    whole = run_scenario(ScenarioRun(scenario=best, config=best.config_with({})), run)
    assert whole.model_digest == record.model_digest
    kept = read_record(directory.trial(record.winner).summary, Summary)
    assert kept.metrics == whole.metrics
    assert kept.config == whole.config


def test_each_rung_is_reached_by_the_best_of_the_one_before(
    swept: tuple[SweepDirectory, SweepRecord],
) -> None:
    _, record = swept
    reached = Counter(judged.rounds for one in record.trials for judged in one.rungs)
    assert reached == {1: 4, 2: 2, 4: 1}
    for rounds in (1, 2):
        there = {
            one.number: judged.value
            for one in record.trials
            for judged in one.rungs
            if judged.rounds == rounds
        }
        on = {one.number for one in record.trials if one.rungs[-1].rounds > rounds}
        assert min(there[one] for one in on) >= max(there[one] for one in there.keys() - on)
    assert record.trials[0].number == record.winner


def test_only_the_winner_is_released(swept: tuple[SweepDirectory, SweepRecord]) -> None:
    """Of the losers, their pooled figures and logs stay, and no model or state of one."""
    directory, record = swept
    for one in record.trials:
        run = directory.trial(one.number)
        assert run.metrics.exists()
        models = {path.suffix for path in run.path.rglob("*")} & {".safetensors", ".bin"}
        assert bool(models) == (one.number == record.winner)


def test_a_sweep_that_is_done_is_told_again_and_another_one_is_refused(
    swept: tuple[SweepDirectory, SweepRecord],
) -> None:
    directory, record = swept
    before = directory.trial(record.winner).events.read_bytes()
    assert searched(directory.path) == record
    assert directory.trial(record.winner).events.read_bytes() == before
    with pytest.raises(DirectoryInUse, match="asked for otherwise"):
        searched(directory.path, "learning-rate=log(1e-3,1)")


def test_table_and_page_have_every_trial(
    swept: tuple[SweepDirectory, SweepRecord], tmp_path: Path
) -> None:
    _, record = swept
    lines = outcome_lines(record)
    assert [one.number for one in lines] == [one.number for one in record.trials]
    assert lines[0].remark == "the best"
    write_sweep_page(record, tmp_path / "sweep.html", made_up="All records are SYNTHETIC.")
    page = (tmp_path / "sweep.html").read_text()
    assert page.count("<figure>") == 2
    assert "All records are SYNTHETIC." in page
    for one in lines:
        assert all(value in page for value in (*one.values, one.figure))


@pytest.mark.parametrize("checkpoint", ["4", pytest.param("14", marks=pytest.mark.slow)])
def test_a_sweep_that_was_killed_goes_on_and_loses_nothing(
    swept: tuple[SweepDirectory, SweepRecord], tmp_path: Path, forked: Forked, checkpoint: str
) -> None:
    _, whole = swept
    folder = tmp_path / "sweep"
    words = [str(folder), checkpoint]
    status = forked.run(KILLED, words, folder=tmp_path, output=tmp_path / "said")
    assert status == -signal.SIGKILL, (tmp_path / "said").read_text()
    directory = SweepDirectory(folder)
    assert _sides(directory, 1) == _sides(directory, 2)
    kept = {one: _rounds_done(directory, one) for one in range(1, 5)}
    assert searched(folder) == whole
    repeated = 0
    for one, before in kept.items():
        after = _rounds_done(directory, one)
        assert before <= after
        repeated += sum((after - Counter(set(after))).values())
    assert repeated <= 1  # the round that was under way


def _rounds_done(directory: SweepDirectory, number: int) -> Counter[int]:
    events = directory.trial(number).events
    if not events.exists():
        return Counter()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    return Counter(one["server_round"] for one in lines if one["event"] == "round-finished")


def _sides(directory: SweepDirectory, number: int) -> list[bytes]:
    """Return what decides at each site who is held out."""
    sites = [SiteDirectory(directory.trial(number).site(name)) for name in HEART.sites]
    return [(one.path / "secrets" / "sides.secret").read_bytes() for one in sites]


def test_a_trial_that_fails_ends_nothing_but_itself(tmp_path: Path) -> None:
    order = order_of("rule.num-byzantine=choice(0,3)", trials=4, chosen={"weighting": "equal"})
    record = run_sweep(order, SweepDirectory(tmp_path / "sweep"), tell=print, workers=0)
    failed = [one for one in record.trials if one.failed]
    assert {one.settings["rule.num-byzantine"] for one in failed} == {3}
    assert all("does not survive 3 liars" in one.failed for one in failed)
    assert record.best.settings["rule.num-byzantine"] == 0
    write_sweep_page(record, tmp_path / "sweep.html")


def test_a_sweep_in_which_all_fail_says_why(tmp_path: Path) -> None:
    order = order_of("rule.num-byzantine=choice(3)", trials=2, chosen={"weighting": "equal"})
    with pytest.raises(NoTrialLeft, match="does not survive 3 liars"):
        run_sweep(order, SweepDirectory(tmp_path / "sweep"), tell=print, workers=0)


def test_what_counts_and_does_not_train_is_refused() -> None:
    odds = scenario_named("heart-odds")
    config = odds.config_with({})
    order = SweepOrder(
        name=odds.name,
        scenario=odds,
        config=config,
        chosen={},
        searches=parse_searches(["ridge=log(1e-3,1)"]),
        trials=4,
        reduction=2,
    )
    with pytest.raises(NotTunable, match="counts and does not train"):
        _ = order.plan


@pytest.mark.parametrize(
    ("key", "value"),
    [("evaluate-every", 2), ("schedule", "triggered"), ("schedule", "buffered")],
)
def test_a_run_that_does_not_judge_each_model_by_all_sites_is_refused(
    key: str, value: Scalar
) -> None:
    with pytest.raises(NotTunable, match=f"{key}={value}"):
        _ = order_of(chosen={key: value}).plan


@pytest.mark.slow
def test_the_same_sweep_by_two_processes_gives_the_same(
    swept: tuple[SweepDirectory, SweepRecord], tmp_path: Path
) -> None:
    _, whole = swept
    assert searched(tmp_path / "sweep", workers=2) == whole


@pytest.mark.slow
@pytest.mark.parametrize("masks", [False, True])
def test_an_encrypted_sweep_gives_the_model_of_a_run_that_was_never_parked(
    tmp_path: Path, masks: bool
) -> None:
    order = order_of(trials=2, chosen={"aggregation": "encrypted", "masks": masks})
    record = run_sweep(order, SweepDirectory(tmp_path / "sweep"), tell=print, workers=0)
    best = named_scenario_with_data(str(tmp_path / "sweep" / "best.toml")).scenario
    run = new_run_directory(best, under=tmp_path, named=None)
    whole = run_scenario(ScenarioRun(scenario=best, config=best.config_with({})), run)
    assert (len(record.best.rungs), whole.model_digest) == (2, record.model_digest)
