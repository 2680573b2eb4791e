"""How a site waits; tests/scenarios/test_deaths.py waits in this way at real sites."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.charter.document import Member
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.waits import (
    LONGEST_PAUSE_S,
    Doorbell,
    NodeWaits,
    Wait,
    shortest_pause_of_hub_s,
    shortest_question_pause_s,
)
from tests.consortium.founded import NAMES, found, found_with_hubs

LISTENER = """
import sys, time
from consortium.site.waits import wait_for_ring
print("listening", flush=True)
for _ in range(int(sys.argv[1])):
    print(wait_for_ring(float(sys.argv[2])), flush=True)
"""


class Clock:
    """Time that passes only while somebody waits."""

    now = 50.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def looks(shortest_s: float, longest_s: float, until_s: float) -> Iterator[float]:
    """Yield when one looks, in seconds since the wait began."""
    clock = Clock()
    wait = Wait(shortest_s, longest_s, clock)
    while clock.now < 50.0 + until_s:
        clock.now += wait.pause_s()
        yield clock.now - 50.0


@given(
    came_s=st.floats(0.001, 2_000.0),
    shortest_s=st.floats(0.02, 3.0),
    more_s=st.floats(0.0, 10.0),
)
def test_what_comes_is_seen_after_a_tenth_of_the_time_that_it_was_waited_for(
    came_s: float, shortest_s: float, more_s: float
) -> None:
    longest_s = shortest_s + more_s
    seen_s = next(look for look in looks(shortest_s, longest_s, 3_000.0) if look >= came_s)
    assert seen_s - came_s <= min(longest_s, max(shortest_s, came_s / 10)) + 1e-9


@given(shortest_s=st.floats(0.02, 3.0))
def test_an_idle_site_asks_hardly_more_than_flowers_own(shortest_s: float) -> None:
    """Within an hour, 200 questions more; and from a minute after the last answer on, as often."""
    asked = list(looks(shortest_s, LONGEST_PAUSE_S, 3_600.0))
    assert len(asked) <= 3_600 / 3 + 200
    late = [look for look in asked if look > 60]
    assert late[-1] - late[0] == pytest.approx(3.0 * (len(late) - 1))


def with_members(path: Path, count: int, shortest_s: float) -> Path:
    """Return a site of a consortium with so many members, which chose a shortest pause."""
    founded = found(path)
    founded.provision()
    founded.install()
    site = founded.site(NAMES[0])
    members = founded.charter.members
    more = [members[0].model_copy(update={"name": f"more-{n}"}) for n in range(3, count)]
    charter = founded.charter.model_copy(update={"members": (*members[:count], *more)})
    charter.write(site / "charter.json")
    config = json.loads((site / "site.json").read_text())
    (site / "site.json").write_text(json.dumps({**config, "shortest_pause_s": shortest_s}))
    return site


@pytest.mark.parametrize(
    ("members", "chosen_s", "pause_s"),
    [(3, 0.1, 0.12), (3, 0.5, 0.5), (40, 0.02, 1.6), (100, 0.1, 3.0)],
)
def test_many_members_ask_less_often_each(
    members: int, chosen_s: float, pause_s: float, tmp_path: Path
) -> None:
    """All together at most 25 times a second, until each asks as seldom as Flower's own does."""
    site = with_members(tmp_path / "sites", members, chosen_s)
    assert shortest_question_pause_s(site) == pytest.approx(pause_s)


def test_who_comes_to_a_hub_asks_as_often_as_those_beside_it_allow(tmp_path: Path) -> None:
    """The members of other hubs ask elsewhere."""
    founded = found_with_hubs(tmp_path / "all")
    many = tuple(f"member-{at}" for at in range(20))
    members = (*founded.charter.members, *(Member(name=name) for name in many))
    alps, sea = founded.charter.hubs
    larger = sea.model_copy(update={"members": (*sea.members, *many)})
    charter = founded.charter.model_copy(update={"members": members, "hubs": (alps, larger)})
    for name in ("east", "west"):
        charter.write(SiteDirectory(founded.site(name)).charter)
    charter.write(founded.path / "charter.json")
    assert shortest_question_pause_s(founded.site("east")) == 0.1
    assert shortest_question_pause_s(founded.site("west")) == pytest.approx(21 * 0.04)
    assert shortest_pause_of_hub_s(founded.path) == pytest.approx(2 * 0.04)


def test_a_site_that_an_earlier_version_set_up_has_a_shortest_pause(tmp_path: Path) -> None:
    site = found(tmp_path / "sites").site("east")
    config = json.loads((site / "site.json").read_text())
    del config["shortest_pause_s"]
    (site / "site.json").write_text(json.dumps(config))
    assert read_site_config(site).shortest_pause_s == 0.1


def listen(bell: Doorbell, rounds: int, longest_s: float) -> "subprocess.Popen[bytes]":
    """Start a process that listens, and tells whether it heard the bell each time."""
    return bell.start([sys.executable, "-c", LISTENER, str(rounds), str(longest_s)])


def test_a_ring_ends_a_wait_and_many_unheard_ones_are_one(
    capfd: pytest.CaptureFixture[str],
) -> None:
    bell = Doorbell()
    for _ in range(100_000):  # more than a pipe holds
        bell.ring()
    process, said = listen(bell, 40, 600.0), ""
    while process.poll() is None:
        said += capfd.readouterr().out
        if "listening" in said:  # before, the pipe is full anyway
            bell.ring()
        time.sleep(0.01)
    said += capfd.readouterr().out
    assert process.returncode == 0
    assert said.partition("listening")[2].split() == ["True"] * 40


def test_without_a_bell_a_wait_is_as_long_as_it_was_to_be() -> None:
    """Where Flower starts the process itself, or its starter is dead, nobody rings."""
    code = f"import time\nbegan = time.monotonic()\n{LISTENER}\nprint(time.monotonic() - began)"
    said = subprocess.check_output(
        [sys.executable, "-c", code, "2", "0.2"], stdin=subprocess.DEVNULL, text=True
    )
    *heard, seconds = said.split()
    assert heard == ["listening", "False", "False"]
    assert float(seconds) >= 0.4


class Ringing:
    """Counts rings."""

    count = 0

    def ring(self) -> None:
        """Ring."""
        self.count += 1


def test_a_site_rings_when_a_message_is_there_whole_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two questions it waits by the site's pause, and by shorter ones for an answer."""
    slept: list[float] = []
    monkeypatch.setattr("consortium.site.waits.time.sleep", slept.append)
    bell = Ringing()
    waits = NodeWaits(1.5, bell)  # type: ignore[arg-type]  # counts, and tells nobody
    there: list[int | None] = [None, 7]

    def pull(*, state: str) -> int | None:
        assert state == "of the node"
        assert bell.count == 0
        return there.pop(0)

    def push(*, state: str) -> None:
        waits.sleep(0.5)

    pull_and_ring = waits.with_ring(pull)
    assert (pull_and_ring(state="of the node"), bell.count) == (None, 0)
    waits.sleep(3.0)
    assert (pull_and_ring(state="of the node"), bell.count) == (7, 1)
    waits.with_wait(push)(state="of the node")
    waits.sleep(3.0)
    assert slept == pytest.approx([1.5, 0.02, 1.5])
