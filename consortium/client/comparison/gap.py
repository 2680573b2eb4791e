"""The gap in a ledger that was put back: what the runs cost that only other members know of."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consortium.client.comparison.announcing import PlannedCost
from consortium.client.private_training import budget_of, planned_event
from consortium.client.site_ledger import EVALUATION, STATISTICS, UPDATES
from consortium.site.directory import SiteDirectory, read_site_config
from privacy.differential.announced_ledger import AnnouncedLedger, Lost
from privacy.differential.ledger_entries import (
    DataSet,
    Released,
    Reserved,
    event_size,
    utc_timestamp,
)
from privacy.differential.mechanisms import Release
from privacy.errors import number_of
from privacy.policy.document import Policy, read_policy
from privacy.protocol.announcements import Announcement
from privacy.secrets.keys import Identity
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData, OtherSites, RosterMemory, Start
from sites.data.fingerprint import fingerprint_of


@dataclass(frozen=True, kw_only=True)
class LostRun:
    """A run that the ledger did not know, as it was entered.

    Args:
        number: Under which the site announced it.
        entries: What was entered, at the full cost of its plan.
    """

    number: int
    entries: tuple[Reserved | Released, ...]

    @property
    def what(self) -> str:
        """What was entered, in words."""
        return ", ".join(dict.fromkeys(_what(entry) for entry in self.entries))


def enter_gap(directory: Path) -> tuple[LostRun, ...]:
    """Enter the runs that other members know of and this site's ledger does not.

    Guarantee: each is entered with all its planned rounds, whatever the budget says, because nobody
    knows how many of them came about; afterwards the site takes part in runs again. For the charter
    of the time the site counts exactly for the roster that the others counted for, and seals no
    updates without noise from the seeds of then.

    Raises:
        CannotOpen: The site has other keys than at that time.
        ConsortiumError: The site's directory cannot be read.
    """
    config, paths = read_site_config(directory), SiteDirectory(directory)
    identity = Identity.read(paths.identity, name=config.name)
    with AnnouncedLedger(paths.ledger) as ledger:
        lost = ledger.lost()
        if not lost:
            return ()
        writer = _EntryWriter(
            policy=read_policy(directory),
            fingerprint=fingerprint_of(config.source),
            at=utc_timestamp(datetime.now(UTC)),
        )
        plans = _plans(lost, identity)
        runs = [
            LostRun(number=number, entries=writer.entries(number, plan)) for number, plan in plans
        ]
        # First: if the process dies here, the command finds all that it needs once more.
        with SiteMemory(paths.memory) as memory:
            _take_over_rosters(memory.rosters, config.name, config.data_set, lost)
            _close_starts(memory.rosters, config.name, plans, lost)
        ledger.enter_lost([entry for run in runs for entry in run.entries], lost)
    return tuple(runs)


@dataclass(frozen=True, kw_only=True)
class _EntryWriter:
    """Writes the entries of one gap.

    Args:
        policy: The site's.
        fingerprint: Of the site's records now; what they were at the time is not known.
        at: When they are entered.
    """

    policy: Policy
    fingerprint: str
    at: str

    def entries(self, number: int, plan: PlannedCost) -> tuple[Reserved | Released, ...]:
        """Return what a run cost at most: all planned rounds, and an evaluation before each."""
        run, data_set = f"lost {number}", DataSet(name=plan.data_set, fingerprint=self.fingerprint)

        def released(event: Release, part: str) -> Released:
            return Released(
                event=event, data_set=data_set, run=run, part=part, asked="", at=self.at
            )

        evaluations = [
            released(EVALUATION, f"evaluation {one}") for one in range(1, plan.rounds + 2)
        ]
        if not plan.rounds:
            return tuple(evaluations)
        if plan.privacy is None:
            counted = (released(STATISTICS, STATISTICS.what), released(UPDATES, UPDATES.what))
            return (*counted, *evaluations)
        reserved = Reserved(
            event=planned_event(plan.privacy, rounds=plan.rounds, delta=plan.delta),
            data_set=data_set,
            run=run,
            part="training",
            budget=budget_of(self.policy, plan.data_set, delta=plan.delta),
            at=self.at,
        )
        return (reserved, *evaluations)


def _what(entry: Reserved | Released) -> str:
    if isinstance(entry, Released):
        return entry.event.what
    return f"{number_of(event_size(entry.event), 'step')} of {entry.part}"


def _plans(lost: Sequence[Lost], identity: Identity) -> list[tuple[int, PlannedCost]]:
    """Return the plans of the lost runs, by number; each plan of a number once.

    A site announces itself under one number until a run of it begins, so several announcements of
    one number and plan are one run.
    """
    plans = []
    for one in lost:
        note = Announcement.decode(one.encoded).note
        plan = (one.number, PlannedCost.opened(note, identity))
        if plan not in plans:
            plans.append(plan)
    return plans


def _take_over_rosters(
    rosters: RosterMemory, name: str, data_set: str, lost: Sequence[Lost]
) -> None:
    """Count exactly, under each charter, for the roster that others counted for with this site.

    Where they name several, this site counts for nobody: which of them is right cannot be known.
    """
    for charter in {one.charter for one in lost}:
        named = {one.roster for one in lost if one.charter == charter and name in one.roster}
        if named:
            roster = named.pop() if len(named) == 1 else (name,)
            rosters.claim_roster(CountedData(charter=charter, data_set=data_set), roster)


def _close_starts(
    rosters: RosterMemory,
    name: str,
    plans: Sequence[tuple[int, PlannedCost]],
    lost: Sequence[Lost],
) -> None:
    """Seal no updates without noise any more from the starts of lost runs: for whom is not known.

    Where the memory knows for whom, that holds.
    """
    for charter in {one.charter for one in lost}:
        for _, plan in plans:
            if plan.rounds and plan.privacy is None:
                counted = CountedData(charter=charter, data_set=plan.data_set)
                with suppress(OtherSites):
                    rosters.claim_start(Start(counted=counted, seed=plan.seed), (name,))
