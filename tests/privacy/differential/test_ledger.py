import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.differential.accounting import BadTarget, calibrated_noise, epsilon
from privacy.differential.budget import BudgetExhausted, left_after
from privacy.differential.ledger import (
    FILE,
    Ledger,
    LedgerRolledBack,
    NotReserved,
)
from privacy.differential.ledger_entries import (
    BadBudget,
    BadDataSet,
    Budget,
    Committed,
    Content,
    DataSet,
    DataSetRenamed,
    DifferentReservation,
    LedgerBroken,
    LedgerHead,
    Released,
    Reserved,
    Used,
    entry_digest,
    from_text,
    to_text,
)
from privacy.differential.ledger_rules import ReservationEnded
from privacy.differential.mechanisms import (
    Gaussian,
    HeldOut,
    Mechanism,
    SampledGaussian,
    Unit,
    WithoutNoise,
)
from privacy.differential.renyi_filter import adaptive_epsilon
from privacy.policy.violations import EvaluatedBefore, TooManyEvaluations
from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.secret_files import ExposedSecret

NOW = datetime(2026, 3, 4, 5, 6, 7, 800, tzinfo=UTC)
PATIENTS = DataSet(name="patients", fingerprint="a" * 64)
OTHERS = DataSet(name="others", fingerprint="b" * 64)
BUDGET = Budget(epsilon=3.0, delta=1e-6)
FORK = multiprocessing.get_context("fork")


def steps(times: int = 100, noise: float = 2.0) -> SampledGaussian:
    return SampledGaussian(
        noise_multiplier=noise, sampling_rate=0.02, steps=times, clip_norm=1.0, unit="person"
    )


def figures(noise: float = 20.0, count: int = 1) -> Gaussian:
    return Gaussian(noise_multiplier=noise, count=count, sensitivity=1.0, unit="person")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger") as opened:
        yield opened


def spent(ledger: Ledger, data_set: DataSet = PATIENTS) -> float:
    return ledger.spent(data_set.name, BUDGET).planned


def test_what_is_reserved_is_spent_at_once(ledger: Ledger) -> None:
    reservation = ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET, now=NOW)
    assert reservation.fresh
    assert spent(ledger) == epsilon([steps()], BUDGET.delta)
    reservation.commit()
    assert spent(ledger) == epsilon([steps()], BUDGET.delta)
    assert [one.reserved.data_set for one in ledger.charges()] == [PATIENTS]


def test_runs_tasks_and_mechanisms_on_a_data_set_add_up(ledger: Ledger) -> None:
    done: tuple[Mechanism, ...] = (steps(), figures(), HeldOut(what="evaluation"), steps(50, 3.0))
    for number, event in enumerate(done):
        ledger.reserve(event, data_set=PATIENTS, run=f"run-{number}", budget=BUDGET)
    ledger.reserve(steps(), data_set=OTHERS, run="run-0", budget=BUDGET)
    assert ledger.events("patients") == done
    assert spent(ledger) == epsilon(done, BUDGET.delta)
    assert spent(ledger, OTHERS) == epsilon([steps()], BUDGET.delta)
    assert ledger.events() == (*done, steps())


def test_a_run_that_does_not_fit_is_refused_with_the_numbers(ledger: Ledger) -> None:
    ledger.reserve(steps(300), data_set=PATIENTS, run="one", budget=replace(BUDGET, epsilon=1.0))
    budget = replace(BUDGET, epsilon=1.3)
    with pytest.raises(BudgetExhausted) as refused:
        ledger.reserve(steps(400), data_set=PATIENTS, run="two", budget=budget)
    error = refused.value
    assert error.spent == adaptive_epsilon([steps(300)], BUDGET.delta) > spent(ledger)
    assert error.asked == epsilon([steps(400)], BUDGET.delta)
    assert error.remaining == pytest.approx(1.3 - error.spent)
    assert error.together == adaptive_epsilon([steps(700)], BUDGET.delta) > 1.3
    assert error.code == "budget-exhausted"
    assert error.counts["steps_that_fit"] == error.fits > 0
    assert f"epsilon {error.asked:.3g} asked, {error.remaining:.3g} left" in str(error)
    assert len(ledger.entries()) == 1
    with pytest.raises(BudgetExhausted):
        ledger.reserve(steps(error.fits + 1), data_set=PATIENTS, run="two", budget=budget)
    ledger.reserve(steps(error.fits), data_set=PATIENTS, run="two", budget=budget)
    with pytest.raises(BudgetExhausted, match="; 0 steps"):
        ledger.reserve(steps(100), data_set=PATIENTS, run="three", budget=budget)
    ledger.reserve(steps(100), data_set=OTHERS, run="three", budget=budget)


def planned_run(target: float = BUDGET.epsilon) -> SampledGaussian:
    """A run whose noise is calibrated for an epsilon."""
    noise = calibrated_noise(sampling_rate=0.05, steps=100, epsilon=target, delta=BUDGET.delta)
    return replace(steps(100, noise), sampling_rate=0.05)


def test_a_first_run_fits_the_budget_that_its_noise_was_calibrated_for(ledger: Ledger) -> None:
    """What calibrates and what enforces agree, though the bound for further runs is larger."""
    plan = planned_run()
    assert adaptive_epsilon([plan], BUDGET.delta) > BUDGET.epsilon
    assert ledger.reserve(plan, data_set=PATIENTS, run="one", budget=BUDGET).fresh
    found = ledger.spent(PATIENTS.name, BUDGET)
    assert found.weighed == found.planned <= BUDGET.epsilon < found.further


def test_what_a_planned_run_leaves_is_what_a_further_one_may_add(ledger: Ledger) -> None:
    assert left_after((), BUDGET) == BUDGET.epsilon
    for number in range(2):
        past = ledger.weighed_events(PATIENTS.name, BUDGET)
        planned = left_after((*past, steps()), BUDGET)
        ledger.reserve(steps(), data_set=PATIENTS, run=f"run-{number}", budget=BUDGET, now=NOW)
        assert planned == BUDGET.epsilon - ledger.spent(PATIENTS.name, BUDGET).further > 0
    assert left_after((steps(100_000),), BUDGET) == 0


def test_a_first_run_that_fits_by_its_plan_alone_gives_no_room_back(ledger: Ledger) -> None:
    """When it ends may follow from what it released; what else fits must not."""
    one = ledger.reserve(planned_run(), data_set=PATIENTS, run="one", budget=BUDGET)
    one.use("round 1", 10)
    one.commit(10)
    with pytest.raises(BudgetExhausted, match="; 0 steps"):
        ledger.reserve(steps(1, 50.0), data_set=PATIENTS, run="two", budget=BUDGET)
    wider = replace(BUDGET, epsilon=5.0)
    assert ledger.reserve(steps(1, 50.0), data_set=PATIENTS, run="two", budget=wider).fresh


def test_a_first_run_within_the_second_bound_gives_its_steps_back(ledger: Ledger) -> None:
    plan = planned_run(2.0)
    one = ledger.reserve(plan, data_set=PATIENTS, run="one", budget=BUDGET)
    one.use("round 1", 10)
    with pytest.raises(BudgetExhausted):
        ledger.reserve(plan, data_set=PATIENTS, run="two", budget=BUDGET)
    one.commit(10)
    assert ledger.reserve(plan, data_set=PATIENTS, run="two", budget=BUDGET).fresh


@given(
    runs=st.lists(
        st.builds(steps, st.integers(1, 200), st.floats(1.0, 6.0)), min_size=1, max_size=5
    )
)
@settings(max_examples=10, deadline=None)
def test_whatever_is_let_in_is_within_the_budget_by_the_bound_for_it(
    tmp_path_factory: pytest.TempPathFactory, runs: list[SampledGaussian]
) -> None:
    budget = replace(BUDGET, epsilon=1.0)
    with Ledger(tmp_path_factory.mktemp("site") / "ledger") as ledger:
        for number, event in enumerate(runs):
            with suppress(BudgetExhausted):
                ledger.reserve(event, data_set=PATIENTS, run=f"run-{number}", budget=budget)
            found, events = ledger.spent(PATIENTS.name, budget), ledger.events()
            assert found.weighed <= budget.epsilon
            if len(events) > 1:
                assert found.weighed == adaptive_epsilon(events, budget.delta)


def test_noise_calibrated_to_what_is_left_fits(ledger: Ledger) -> None:
    noise = calibrated_noise(sampling_rate=0.02, steps=200, epsilon=3.0, delta=BUDGET.delta)
    ledger.reserve(steps(200, noise), data_set=PATIENTS, run="one", budget=BUDGET)
    assert 2.97 <= spent(ledger) <= 3.0


def test_what_is_replayed_is_counted_once(tmp_path: Path) -> None:
    """A coordinator that restarts, or a site that does, asks for the same again."""
    with Ledger(tmp_path / "ledger") as first:
        made = first.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET)
        assert made.use("round 1", 10)
        once = spent(first)
    with Ledger(tmp_path / "ledger") as later:
        tight = replace(BUDGET, epsilon=once)
        again = later.reserve(steps(), data_set=PATIENTS, run="one", budget=tight)
        assert (again.number, again.fresh) == (made.number, False)
        assert not again.use("round 1", 10)
        assert again.charge.used == {"round 1": 10}
        assert spent(later) == once
        again.commit(10)
        again.commit(10)
        assert not later.reserve(steps(), data_set=PATIENTS, run="one", budget=tight).fresh
        assert not again.use("round 1", 10), "the answer of a finished run can be given again"


def test_the_same_part_of_a_run_cannot_be_reserved_as_something_else(ledger: Ledger) -> None:
    ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET)
    with pytest.raises(DifferentReservation):
        ledger.reserve(steps(99), data_set=PATIENTS, run="one", budget=BUDGET)
    assert ledger.reserve(steps(99), data_set=PATIENTS, run="one", part="more", budget=BUDGET).fresh
    assert ledger.reserve(steps(99), data_set=OTHERS, run="one", budget=BUDGET).fresh


@pytest.mark.parametrize(
    ("unit", "budget", "asked", "same"),
    [
        ("record", "record", {}, True),
        ("record", "record", {"noise_multiplier": 9.0}, False),
        ("record", "record", {"max_records_per_person": 8}, False),
        ("record", "person", {}, False),
        ("person", "person", {}, False),
    ],
)
def test_a_cap_of_an_earlier_version_costs_a_record_nothing(
    ledger: Ledger, unit: Unit, budget: Unit, asked: dict[str, Any], *, same: bool
) -> None:
    """Version 0.1.0 had one by record, too; by person it is what bounds the loss."""
    allowed = Budget(epsilon=1e6, delta=1e-6, unit=budget)
    event = replace(steps(), **{"unit": unit, "max_records_per_person": 0, **asked})
    ledger.reserve(
        replace(steps(), unit=unit, max_records_per_person=16),
        data_set=PATIENTS,
        run="one",
        budget=allowed,
    )
    if same:
        assert not ledger.reserve(event, data_set=PATIENTS, run="one", budget=allowed).fresh
    else:
        with pytest.raises(DifferentReservation):
            ledger.reserve(event, data_set=PATIENTS, run="one", budget=allowed)


def test_the_same_records_under_another_name_are_refused(ledger: Ledger) -> None:
    ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET)
    renamed = replace(PATIENTS, name="patients-2")
    with pytest.raises(DataSetRenamed, match="counted under the name patients"):
        ledger.reserve(steps(), data_set=renamed, run="two", budget=BUDGET)
    grown = replace(PATIENTS, fingerprint="c" * 64)
    ledger.reserve(steps(), data_set=grown, run="two", budget=BUDGET)
    assert spent(ledger) == epsilon([steps(200)], BUDGET.delta)


def test_no_more_steps_are_begun_than_reserved(ledger: Ledger) -> None:
    reservation = ledger.reserve(steps(100), data_set=PATIENTS, run="one", budget=BUDGET)
    assert reservation.use("round 1", 60)
    for key, times in (("round 2", 41), ("round 2", 0), ("round 1", 59)):
        with pytest.raises(NotReserved):
            reservation.use(key, times)
    assert reservation.use("round 2", 40)
    with pytest.raises(NotReserved):
        reservation.use("round 3", 1)


def test_a_run_that_ends_early_gives_back_what_was_not_begun(ledger: Ledger) -> None:
    reservation = ledger.reserve(steps(100), data_set=PATIENTS, run="one", budget=BUDGET)
    reservation.use("round 1", 30)
    for done in (29, 101):
        with pytest.raises(NotReserved):
            reservation.commit(done)
    assert spent(ledger) == epsilon([steps(100)], BUDGET.delta)
    reservation.commit(30)
    assert spent(ledger) == epsilon([steps(30)], BUDGET.delta)
    with pytest.raises(ReservationEnded):
        reservation.commit(40)
    with pytest.raises(ReservationEnded):
        reservation.commit()
    with pytest.raises(ReservationEnded):
        reservation.use("round 2", 30)


@pytest.mark.parametrize(
    ("event", "left"), [(steps(), ()), (figures(count=3), ()), (HeldOut(what="loss"), ())]
)
def test_what_never_began_costs_nothing(
    ledger: Ledger, event: Mechanism, left: tuple[Mechanism, ...]
) -> None:
    ledger.reserve(event, data_set=PATIENTS, run="one", budget=BUDGET).commit(0)
    assert ledger.events("patients") == left
    assert spent(ledger) == 0.0


@pytest.mark.parametrize("event", [figures(count=3), HeldOut(what="loss")])
def test_figures_that_were_released_count(ledger: Ledger, event: Mechanism) -> None:
    ledger.reserve(event, data_set=PATIENTS, run="one", budget=BUDGET).commit()
    assert ledger.events("patients") == (event,)
    other = ledger.reserve(figures(count=3), data_set=PATIENTS, run="two", budget=BUDGET)
    other.commit(2)
    assert ledger.events("patients") == (event, figures(count=2))


@settings(max_examples=15)
@given(st.data())
def test_what_was_begun_never_counts_less_and_no_entry_ever_goes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is asked in whatever order: the loss is between the true one and the budget."""
    budget = replace(BUDGET, epsilon=1.0)
    with Ledger(tmp_path_factory.mktemp("laws") / "ledger") as ledger:
        before: tuple[object, ...] = ()
        begun = 0
        for number in range(data.draw(st.integers(1, 6))):
            count = data.draw(st.integers(1, 5))
            try:
                made = ledger.reserve(
                    figures(count=count), data_set=PATIENTS, run=f"run {number}", budget=budget
                )
            except BudgetExhausted:
                continue
            use = data.draw(st.integers(0, count))
            if use:
                made.use("all", use)
                begun += use
            if data.draw(st.booleans()):
                made.commit(data.draw(st.integers(use, count)))
            assert ledger.entries()[: len(before)] == before
            before = ledger.entries()
            least = epsilon([figures(count=begun)], BUDGET.delta) if begun else 0.0
            assert least <= spent(ledger) <= budget.epsilon


def test_the_written_forms_are_never_re_meant() -> None:
    """A ledger of today is read by the program of a later year."""
    reserved = Reserved(
        event=HeldOut(what="loss"),
        data_set=PATIENTS,
        run="one",
        part="evaluation",
        budget=BUDGET,
        at="2026-03-04T05:06:07+00:00",
    )
    assert to_text(reserved) == (
        '{"at":"2026-03-04T05:06:07+00:00",'
        '"budget":{"delta":1e-06,"epsilon":3.0,"unit":"person"},'
        f'"data_set":{{"fingerprint":"{"a" * 64}","name":"patients"}},'
        '"event":"{\\"kind\\":\\"held-out/1\\",\\"what\\":\\"loss\\"}",'
        '"kind":"reserved","part":"evaluation","run":"one","v":1}'
    )
    used = Used(reservation=1, key="round 1", steps=2, at="now")
    assert (
        to_text(used)
        == '{"at":"now","key":"round 1","kind":"used","reservation":1,"steps":2,"v":1}'
    )
    committed = Committed(reservation=1, steps=2, at="now")
    assert to_text(committed) == '{"at":"now","kind":"committed","reservation":1,"steps":2,"v":1}'
    assert (
        entry_digest(bytes(32), to_text(used)).hex()
        == "31798728a7c382e7dcaa73ca75046179e3905df3b7961afa04cc4032a46de3d0"
    )
    for content in (reserved, used, committed):
        assert from_text(to_text(content)) == content


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kind":"used"}',
        '{"at":"now","kind":"forgiven","reservation":1,"v":1}',
        '{"at":"now","kind":"committed","reservation":1,"steps":2,"v":2}',
        '{"at": "now","kind":"committed","reservation":1,"steps":2,"v":1}',
    ],
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(LedgerBroken):
        from_text(text)


def test_the_time_is_entered_in_utc_to_the_second(ledger: Ledger) -> None:
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET, now=here)
    assert ledger.charge(1).reserved.at == "2026-03-04T05:06:07+00:00"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET written = replace(written, '\"steps\\\":100', '\"steps\\\":1') "
        "WHERE number = 2",
        "UPDATE entries SET written = written || ' ' WHERE number = 1",
        "DELETE FROM entries WHERE number = 2",
        "DELETE FROM entries WHERE number = 1",
        "UPDATE entries SET digest = zeroblob(32) WHERE number = 3",
        "UPDATE entries SET number = 9 WHERE number = 3",
    ],
)
def test_an_edited_ledger_is_noticed_before_anything_is_reserved(
    ledger: Ledger, tmp_path: Path, statement: str
) -> None:
    for number in range(3):
        ledger.reserve(steps(), data_set=PATIENTS, run=f"run {number}", budget=BUDGET)
    ledger.verify()
    connection = sqlite3.connect(tmp_path / "ledger" / FILE)
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()
    with pytest.raises(LedgerBroken):
        ledger.verify()
    with pytest.raises(LedgerBroken):
        ledger.reserve(figures(), data_set=PATIENTS, run="more", budget=BUDGET)


@pytest.mark.parametrize(
    "content",
    [
        Used(reservation=2, key="k", steps=1, at="now"),
        Used(reservation=1, key="k", steps=101, at="now"),
        Used(reservation=1, key="k", steps=0, at="now"),
        Committed(reservation=1, steps=101, at="now"),
    ],
)
def test_an_entry_that_contradicts_another_is_noticed_in_a_whole_chain(
    ledger: Ledger, tmp_path: Path, content: Used | Committed
) -> None:
    ledger.reserve(steps(100), data_set=PATIENTS, run="one", budget=BUDGET)
    text = to_text(content)
    connection = sqlite3.connect(tmp_path / "ledger" / FILE)
    with connection:
        digest = entry_digest(ledger.head().digest, text)
        connection.execute("INSERT INTO entries VALUES (2, ?, ?)", (text, digest))
    connection.close()
    with pytest.raises(LedgerBroken):
        ledger.verify()


def test_a_ledger_that_was_rolled_back_is_noticed_by_who_saw_it_later(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.check_head(LedgerHead())
        ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET)
        early = ledger.head()
        assert early.entries == 1
    copy = (tmp_path / "ledger" / FILE).read_bytes()
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.reserve(steps(), data_set=PATIENTS, run="two", budget=BUDGET)
        late = ledger.verify()
        ledger.check_head(early)
        ledger.check_head(late)
    (tmp_path / "ledger" / FILE).write_bytes(copy)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.check_head(early)
        with pytest.raises(LedgerRolledBack, match="2 entries"):
            ledger.check_head(late)
        ledger.reserve(figures(), data_set=PATIENTS, run="in its place", budget=BUDGET)
        with pytest.raises(LedgerRolledBack):
            ledger.check_head(late)
        with pytest.raises(LedgerRolledBack):
            ledger.check_head(replace(early, entries=0))


def test_it_is_durable_and_the_owners_alone(ledger: Ledger, tmp_path: Path) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ledger").iterdir()
    }
    assert FILE in modes
    assert set(modes.values()) == {0o600}
    (tmp_path / "ledger").chmod(0o755)
    with pytest.raises(ExposedSecret):
        Ledger(tmp_path / "ledger")


def test_a_ledger_of_another_version_is_left_alone(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger").close()
    connection = sqlite3.connect(tmp_path / "ledger" / FILE)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(MemoryDamaged):
        Ledger(tmp_path / "ledger")


def test_eight_processes_at_once_never_overspend(tmp_path: Path) -> None:
    budget = replace(BUDGET, epsilon=1.0)
    workers = [
        FORK.Process(target=_spend_all, args=(tmp_path / "ledger", name, budget))
        for name in "abcdefgh"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {worker.exitcode for worker in workers} == {0}
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.verify()
        count = len(ledger.charges())
        assert spent(ledger) <= budget.epsilon
        assert adaptive_epsilon([figures(count=count)], BUDGET.delta) <= budget.epsilon
        assert adaptive_epsilon([figures(count=count + 1)], BUDGET.delta) > budget.epsilon
        assert ledger.events("patients") == (figures(),) * count


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_process_killed_at_any_instant_leaves_spent_what_it_was_told_it_had(
    tmp_path: Path, kills: int
) -> None:
    rng = np.random.default_rng(11)
    budget = replace(BUDGET, epsilon=1e4)
    known = 0
    for kill in range(kills):
        told = _killed_after(rng.uniform(0.0, 0.02), tmp_path / "ledger", f"life {kill}", budget)
        with Ledger(tmp_path / "ledger") as ledger:
            ledger.verify()
            now = len(ledger.charges())
            assert now >= known
            mine = {
                charge.reserved.part
                for charge in ledger.charges()
                if charge.reserved.run == f"life {kill}"
            }
            assert set(told) <= mine, "what was told as reserved is there"
            assert len(mine) <= len(told) + 1
            known = now
    assert known > kills, "the processes lived long enough to do something"


@pytest.mark.parametrize("target", [0.0, -1.0, float("inf"), float("nan")])
def test_a_budget_is_a_positive_number(target: float) -> None:
    with pytest.raises(BadBudget):
        Budget(epsilon=target, delta=1e-6)
    with pytest.raises(BadTarget):
        Budget(epsilon=1.0, delta=0.0)


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "two\nlines"}, {"fingerprint": "A" * 64}, {"fingerprint": ""}],
)
def test_a_data_set_has_a_name_and_a_fingerprint(changes: dict[str, str]) -> None:
    with pytest.raises(BadDataSet):
        replace(PATIENTS, **changes)


def _spend_all(directory: Path, name: str, budget: Budget) -> None:
    with Ledger(directory) as ledger:
        for number in range(10**6):
            try:
                ledger.reserve(figures(), data_set=PATIENTS, run=f"{name} {number}", budget=budget)
            except BudgetExhausted:
                return


def _killed_after(seconds: float, directory: Path, run: str, budget: Budget) -> list[str]:
    """Return the parts that a process was told it had, before it was killed."""
    ours, theirs = FORK.Pipe(duplex=False)
    worker = FORK.Process(target=_reserve_for_ever, args=(theirs, directory, run, budget))
    worker.start()
    theirs.close()
    told = [ours.recv()]
    time.sleep(seconds)
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    with ours:
        while True:
            try:
                told.append(ours.recv())
            except EOFError:
                return told


def _reserve_for_ever(pipe: Connection, directory: Path, run: str, budget: Budget) -> None:
    event = figures(noise=1e4)
    with Ledger(directory) as ledger:
        for number in range(10**6):
            ledger.reserve(event, data_set=PATIENTS, run=run, part=str(number), budget=budget)
            pipe.send(str(number))


EVALUATION = HeldOut(what="evaluation")
# Two alike, and two that look like a part of an entry's text.
RUNS = ("one", "two", 'one","part":"evaluation 1', "one\\")


def release(server_round: int = 1, *, run: str = "one", asked: str = "s") -> Released:
    """What is about to leave without noise."""
    return Released(
        event=EVALUATION,
        data_set=PATIENTS,
        run=run,
        part=f"evaluation {server_round}",
        asked=asked,
        at="2026-03-04T05:06:07+00:00",
    )


@given(
    asked=st.lists(
        st.tuples(st.sampled_from(RUNS), st.integers(1, 4), st.sampled_from("st")),
        max_size=12,
    ),
    most=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_each_part_of_a_run_is_released_once_and_no_more_often_than_allowed(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int, str]], most: int
) -> None:
    """What is entered is what the first of those who asked for a part wanted."""
    expected: dict[tuple[str, int], str] = {}
    with Ledger(tmp_path_factory.mktemp("site") / "ledger") as ledger:
        for run, number, state in asked:
            wanted = release(number, run=run, asked=state)
            in_run = [place for place in expected if place[0] == run]
            if (run, number) in expected:
                if expected[run, number] == state:
                    assert not ledger.enter_release(wanted, at_most=most)
                else:
                    with pytest.raises(EvaluatedBefore):
                        ledger.enter_release(wanted, at_most=most)
            elif len(in_run) == most:
                with pytest.raises(TooManyEvaluations):
                    ledger.enter_release(wanted, at_most=most)
            else:
                assert ledger.enter_release(wanted, at_most=most)
                expected[run, number] = state
        found = {(one.run, int(one.part.split()[1])): one.asked for one in ledger.releases()}
        assert found == expected
        assert ledger.verify().entries == len(expected)


def test_a_late_round_reads_no_more_entries_than_an_early_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a deployed site each round has a process of its own, which has read nothing before."""
    with Ledger(tmp_path / "ledger") as earlier:
        for server_round in range(1, 40):
            earlier.enter_release(release(server_round), at_most=40)
    read: list[str] = []

    def from_text_counted(text: str) -> Content:
        read.append(text)
        return from_text(text)

    monkeypatch.setattr("privacy.differential.ledger.from_text", from_text_counted)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.enter_release(release(40), at_most=40)
        assert read == []
        assert not ledger.enter_release(release(40), at_most=40)
        assert len(read) == 1


def test_no_ledger_uses_what_another_one_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sites of one process have a ledger each; two may hold the same entry."""
    read: list[str] = []

    def from_text_counted(text: str) -> Content:
        read.append(text)
        return from_text(text)

    monkeypatch.setattr("privacy.differential.ledger.from_text", from_text_counted)
    for name in ("east", "west"):
        with Ledger(tmp_path / name) as ledger:
            ledger.enter_release(release(1))
            assert ledger.entries() == ledger.entries()
    assert len(read) == 2
    assert len(set(read)) == 1


def test_other_records_at_the_same_place_are_another_release(ledger: Ledger) -> None:
    """What two evaluations of one model differ by would be who came in between."""
    assert ledger.enter_release(release())
    grown = replace(release(), data_set=replace(PATIENTS, fingerprint="c" * 64))
    with pytest.raises(EvaluatedBefore):
        ledger.enter_release(grown)


@pytest.mark.parametrize("event", [EVALUATION, WithoutNoise(what="updates")])
def test_what_has_no_noise_stands_beside_the_budget(
    ledger: Ledger, event: HeldOut | WithoutNoise
) -> None:
    ledger.reserve(steps(), data_set=PATIENTS, run="one", budget=BUDGET)
    before = ledger.events(PATIENTS.name)
    ledger.enter_release(replace(release(), event=event))
    assert ledger.events(PATIENTS.name) == before
    assert ledger.reserve(steps(), data_set=PATIENTS, run="two", budget=BUDGET).fresh
    (found,) = ledger.releases()
    assert found.event == event


def test_what_has_no_noise_is_never_read_as_a_reservation() -> None:
    """Nor what has noise as a release: each would be weighed wrongly."""
    reserved = Reserved(
        event=steps(), data_set=PATIENTS, run="one", part="training", budget=BUDGET, at="t"
    )
    for entry in (reserved, release()):
        assert from_text(to_text(entry)) == entry
    noise, none = r"{\"clip_norm", r"{\"kind\":\"held-out/1\",\"what\":\"evaluation\"}"
    text = to_text(release())
    assert none in text
    event = to_text(reserved).partition('"event":"')[2].partition('","kind"')[0]
    assert event.startswith(noise)
    with pytest.raises(LedgerBroken):
        from_text(text.replace(none, event))
    plain = none.replace("held-out", "without-noise")
    with pytest.raises(LedgerBroken):
        from_text(to_text(reserved).replace(event, plain))
