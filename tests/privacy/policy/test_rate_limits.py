import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.policy.document import Pace, Policy, Volume
from privacy.policy.rate_limits import Coming, RateLimits, TrafficUnavailable
from privacy.policy.violations import TooManyBytes, TooManyRounds, TooOften
from privacy.storage.secret_files import ExposedSecret

HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[RateLimits]:
    opened = RateLimits(tmp_path / "traffic")
    yield opened
    opened.close()


def slow(**pace: int) -> Policy:
    return Policy(pace=Pace(**pace))


def trained(at: float, server_round: int, run: str = "1") -> Coming:
    return Coming(at=at, run=run, server_round=server_round)


def test_an_hour_has_so_many_questions_and_the_next_one_more(traffic: RateLimits) -> None:
    policy = slow(messages_per_hour=3)
    for second in range(3):
        traffic.admit(Coming(at=1_000.0 + second, run="1"), policy)
    with pytest.raises(TooOften) as caught:
        traffic.admit(Coming(at=1_010.0, run="2"), policy)
    assert caught.value.counts == {"allowed": 3}
    traffic.admit(Coming(at=1_000.5 + HOUR, run="2"), policy)


def test_a_run_has_so_many_rounds_however_often_each_is_tried(traffic: RateLimits) -> None:
    policy = slow(rounds_per_run=2)
    for server_round in (1, 1, 2, 2, 1):
        traffic.admit(trained(1_000.0, server_round), policy)
    with pytest.raises(TooManyRounds):
        traffic.admit(trained(1_000.0, 3), policy)
    traffic.admit(Coming(at=1_000.0, run="1"), policy)
    traffic.admit(trained(1_000.0, 1, run="2"), policy)


def test_a_day_has_so_many_rounds_over_all_runs(traffic: RateLimits) -> None:
    policy = slow(rounds_per_day=2)
    traffic.admit(trained(1_000.0, 1, run="1"), policy)
    traffic.admit(trained(1_000.0, 1, run="2"), policy)
    assert traffic.rounds_today(1_001.0) == 2
    with pytest.raises(TooOften):
        traffic.admit(trained(2_000.0, 1, run="3"), policy)
    traffic.admit(trained(1_001.0 + DAY, 1, run="3"), policy)


def test_bytes_are_counted_by_message_and_by_round(traffic: RateLimits) -> None:
    policy = Policy(volume=Volume(per_message=100, per_round=150))
    first, again = (trained(1_000.0, 1) for _ in range(2))
    traffic.count_bytes(traffic.admit(first, policy), first, 100, policy)
    with pytest.raises(TooManyBytes):
        traffic.count_bytes(traffic.admit(again, policy), again, 51, policy)
    traffic.count_bytes(traffic.admit(again, policy), again, 50, policy)
    later = trained(1_000.0, 2)
    with pytest.raises(TooManyBytes):
        traffic.count_bytes(traffic.admit(later, policy), later, 101, policy)
    for _ in range(3):  # what is of no round goes by the message alone
        hello = Coming(at=1_000.0, run="1")
        traffic.count_bytes(traffic.admit(hello, policy), hello, 100, policy)


@given(times=st.lists(st.floats(0, 10 * HOUR), max_size=30), allowed=st.integers(1, 5))
def test_no_hour_ever_has_more_questions_than_allowed(
    times: list[float], allowed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    traffic = RateLimits(tmp_path_factory.mktemp("traffic") / "t")
    answered = []
    for at in sorted(times):
        try:
            traffic.admit(Coming(at=at, run="1"), slow(messages_per_hour=allowed))
        except TooOften:
            continue
        answered.append(at)
    traffic.close()
    for end in answered:
        assert sum(end - HOUR < at <= end for at in answered) <= allowed


def test_what_was_counted_holds_after_a_restart(tmp_path: Path) -> None:
    first = RateLimits(tmp_path / "t")
    first.admit(Coming(at=1_000.0, run="1"), slow(messages_per_hour=1))
    first.close()
    again = RateLimits(tmp_path / "t")
    with pytest.raises(TooOften):
        again.admit(Coming(at=1_000.0, run="1"), slow(messages_per_hour=1))
    again.close()


def test_several_at_once_are_let_in_as_one_after_the_other(tmp_path: Path) -> None:
    policy, let_in = slow(messages_per_hour=5), []

    def ask() -> None:
        traffic = RateLimits(tmp_path / "t")
        for _ in range(5):
            try:
                let_in.append(traffic.admit(Coming(at=1_000.0, run="1"), policy))
            except TooOften:
                continue
        traffic.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == len(set(let_in)) == 5


def test_questions_of_last_month_are_forgotten(traffic: RateLimits) -> None:
    traffic.admit(trained(0.0, 1), slow(rounds_per_run=1))
    traffic.admit(trained(31 * DAY, 2), slow(rounds_per_run=1))


def test_without_its_database_a_site_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir(mode=0o700)
    (tmp_path / "t" / "traffic.sqlite").write_text("no database, and long enough to see it is none")
    with pytest.raises(TrafficUnavailable):
        RateLimits(tmp_path / "t")
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ExposedSecret):
        RateLimits(tmp_path / "open")


def test_a_closed_database_is_not_available(tmp_path: Path) -> None:
    traffic = RateLimits(tmp_path / "t")
    traffic.close()
    with pytest.raises(TrafficUnavailable):
        traffic.rounds_today(0.0)
