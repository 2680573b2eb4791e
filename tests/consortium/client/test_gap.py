"""What is entered of runs that only other members know of, and what a site takes over from them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app as command_line
from consortium.client.comparison.announcing import PlannedCost
from consortium.client.comparison.gap import enter_gap
from consortium.client.comparison.witnesses import attest_others
from consortium.differential_privacy import DifferentiallyPrivate, PrivacyKeys
from privacy.differential.announced_ledger import AnnouncedLedger, Held, Lost
from privacy.identity.public_identity import BadSignature
from privacy.protocol.announcements import Announcement, Attestation
from privacy.secrets.keys import CannotOpen, Identity
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData, OtherSites, Start
from tests.small_consortium import NAMES, Consortium, forget_processes

KEYS = PrivacyKeys(unit="person", noise_multiplier=2.0, sampling_rate=0.1, steps=4)
PRIVATE = PlannedCost(
    data_set="records",
    rounds=3,
    seed=5,
    delta=1e-6,
    privacy=DifferentiallyPrivate("person", KEYS),
)
PLAIN = replace(PRIVATE, delta=0.0, privacy=None)
ROSTER = tuple(NAMES[:3])


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    forget_processes()
    yield Consortium.placed(tmp_path / "run")
    forget_processes()


def announced(
    consortium: Consortium, plan: PlannedCost, number: int = 1, *, salt: bytes = bytes(32)
) -> Announcement:
    """Return what north announced, and forgot."""
    north = consortium.identity("north")
    made = Announcement(
        site="north", number=number, since=number, salt=salt, note=plan.sealed(north)
    )
    return made.with_signature(north.sign)


def lose(consortium: Consortium, *runs: Announcement, roster: tuple[str, ...] = ROSTER) -> Path:
    """Let north be shown what it does not know; return its directory."""
    directory = consortium.run.site("north")
    with AnnouncedLedger(directory / "ledger") as ledger:
        ledger.note_lost(
            [
                Lost(
                    number=one.number,
                    digest=one.digest,
                    encoded=one.encode(),
                    charter=consortium.charter.fingerprint,
                    roster=roster,
                )
                for one in runs
            ]
        )
    return directory


def test_a_private_run_is_entered_with_all_its_steps_and_evaluations(
    consortium: Consortium,
) -> None:
    directory = lose(consortium, announced(consortium, PRIVATE))
    (run,) = enter_gap(directory)
    assert run.what == "12 steps of training, evaluation"
    with AnnouncedLedger(directory / "ledger") as ledger:
        (event,) = ledger.events("records")
        assert (event.noise_multiplier, event.sampling_rate, event.steps) == (2.0, 0.1, 12)  # type: ignore[union-attr]
        assert [one.part for one in ledger.releases()] == [
            f"evaluation {number}" for number in (1, 2, 3, 4)
        ]


def test_a_run_without_rounds_cost_an_evaluation(consortium: Consortium) -> None:
    directory = lose(consortium, announced(consortium, replace(PLAIN, rounds=0)))
    (run,) = enter_gap(directory)
    assert run.what == "evaluation"
    assert len(run.entries) == 1


def test_several_starts_of_one_number_and_plan_are_one_run(consortium: Consortium) -> None:
    """Only the last of them can have begun."""
    again = announced(consortium, PRIVATE, salt=b"a" * 32)
    other = announced(consortium, PLAIN, salt=b"o" * 32)
    later = announced(consortium, PRIVATE, 2)
    directory = lose(consortium, announced(consortium, PRIVATE), again, other, later)
    assert sorted(run.number for run in enter_gap(directory)) == [1, 1, 2]
    assert enter_gap(directory) == ()


def claims(directory: Path, consortium: Consortium, roster: tuple[str, ...]) -> bool:
    """Return whether north counts exactly for a roster."""
    counted = CountedData(charter=consortium.charter.fingerprint, data_set="records")
    with SiteMemory(directory / "memory") as memory:
        return memory.rosters.claim_roster(counted, roster)


def test_the_site_counts_for_the_roster_that_the_others_counted_for(
    consortium: Consortium,
) -> None:
    directory = lose(consortium, announced(consortium, PLAIN))
    enter_gap(directory)
    assert not claims(directory, consortium, NAMES)
    assert claims(directory, consortium, ROSTER)


def test_where_others_name_several_rosters_the_site_counts_for_none_of_them(
    consortium: Consortium,
) -> None:
    lose(consortium, announced(consortium, PLAIN))
    directory = lose(consortium, announced(consortium, PLAIN, 2), roster=NAMES)
    enter_gap(directory)
    assert not claims(directory, consortium, NAMES)
    assert not claims(directory, consortium, ROSTER)


def test_a_roster_without_the_site_is_not_its_own(consortium: Consortium) -> None:
    directory = lose(consortium, announced(consortium, PLAIN), roster=("east", "south", "west"))
    enter_gap(directory)
    assert claims(directory, consortium, NAMES)


@pytest.mark.parametrize(("plan", "closed"), [(PLAIN, True), (PRIVATE, False)])
def test_from_a_lost_start_no_updates_without_noise_are_sealed_again(
    consortium: Consortium, plan: PlannedCost, closed: bool
) -> None:
    directory = lose(consortium, announced(consortium, plan))
    enter_gap(directory)
    counted = CountedData(charter=consortium.charter.fingerprint, data_set="records")
    with SiteMemory(directory / "memory") as memory:
        memory.rosters.claim_start(Start(counted=counted, seed=6), NAMES)
        if closed:
            with pytest.raises(OtherSites):
                memory.rosters.claim_start(Start(counted=counted, seed=5), NAMES)
        else:
            memory.rosters.claim_start(Start(counted=counted, seed=5), NAMES)


def test_nobody_else_reads_what_a_run_was_planned_to_cost(consortium: Consortium) -> None:
    """Nor does its length tell: noise, delta and the name of the data set have no say in it."""
    note = PRIVATE.sealed(consortium.identity("north"))
    with pytest.raises(CannotOpen):
        PlannedCost.opened(note, consortium.identity("east"))
    assert PlannedCost.opened(note, consortium.identity("north")) == PRIVATE
    other = replace(PRIVATE, data_set="a-longer-name-of-records", delta=1.2345678e-5)
    assert len(other.sealed(consortium.identity("north"))) == len(note)


def test_the_ledger_says_that_something_is_missing(consortium: Consortium) -> None:
    directory = lose(consortium, announced(consortium, PRIVATE))
    told = CliRunner().invoke(command_line, ["site", "ledger", str(directory)])
    assert "that other members know of and this ledger does not: 1" in told.output


def test_a_member_says_what_it_held_before_and_nothing_of_earlier_keys(
    consortium: Consortium,
) -> None:
    """North cannot open what it made with keys that it has no more."""
    east = consortium.place("east").site
    first, second = announced(consortium, PRIVATE), announced(consortium, PRIVATE, 2)
    stranger = Identity.generate("north")
    with AnnouncedLedger(consortium.run.site("east") / "ledger") as ledger:
        old = replace(first, salt=b"k" * 32).with_signature(stranger.sign)
        ledger.hold([Held(member="north", number=1, digest=old.digest, encoded=old.encode())])
    said = [
        Attestation.decode(attest_others(east, {"north": one.encode(), "east": b""})["north"])
        for one in (first, second, second)
    ]
    assert [one.held for one in said] == [(), (first.encode(),), (first.encode(),)]
    with pytest.raises(BadSignature):
        attest_others(east, {"north": replace(second, number=9).encode()})
