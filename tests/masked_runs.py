"""Masked runs of a small consortium, in process, whose coordinator or sites may die on the way."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from consortium.charter.document import Floors
from consortium.coordinator.assembly import encrypted_strategy
from consortium.provisioning.charter_drafts import ContinuedRun, revise_charter
from consortium.run.evidence_store import EvidenceStore
from privacy.errors import ConsortiumError
from privacy.protocol.masks.confirmations import decode_confirmations
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.progress import (
    PROGRESS_FILE,
    SealedStanding,
    read_standing,
)
from strategies.coordinator.masked.parameters import SitesAwaited
from strategies.coordinator.masked.progress import AWAITED_FILE, AwaitedSites
from strategies.coordinator.masked.strategy import Masked
from strategies.coordinator.messaging.events import SumConfirmed
from tests.small_consortium import (
    COORDINATOR,
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    configured,
    forget_processes,
    read_round,
)

CONFIRM = "query.confirm"
ROUNDS = 3
GONE = "west"


class Died(BaseException):
    """The coordinator's process is gone."""


def placed(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    *,
    sets_in_run: str = "",
    floors: Floors | None = None,
) -> Consortium:
    """Return a consortium whose charter says how many sets of sites a bucket may sum in a run."""
    consortium = Consortium.placed(folder, names, floors=floors)
    if not sets_in_run:
        return consortium
    charter = consortium.charter.model_copy(update={"sets_in_run": sets_in_run})
    for name in names:
        charter.write(consortium.run.site(name) / "charter.json")
    return replace(consortium, charter=charter)


def begun(
    consortium: Consortium,
    dies_at: str,
    *,
    before: bool = False,
    down: Hook = as_it_is,
    up: Hook = as_it_is,
    **overrides: Any,
) -> Course:
    """Run until a file is to be kept, and die just before or just after it is.

    The progress is named `progress.json:ROUND`, with a `+` behind it once the set of the round
    before is confirmed.
    """
    course, config = Course(), configured({"masks": True, **overrides})
    vault = EvidenceStore(consortium.run.vault)

    def keep(name: str, parts: Iterable[bytes]) -> None:
        told = b"".join(parts)
        here = name
        if name == PROGRESS_FILE:
            said = json.loads(told)
            here = f"{name}:{said['server_round']}{'+' if said['masks']['confirmed'] else ''}"
        if here == dies_at and before:
            raise Died
        vault.keep(name, [told])
        if here == dies_at:
            raise Died

    strategy = encrypted_strategy(
        config,
        consortium.charter,
        observe=course.events.append,
        keep=keep,
        reach=lambda _progress: None,
        sign=COORDINATOR.sign,
    )
    with pytest.raises(Died):
        strategy.start(consortium.bus(course, config, down=down, up=up), config.num_server_rounds)
    return course


def standing_of(consortium: Consortium, num_rounds: int = ROUNDS) -> SealedStanding:
    """Return what the coordinator kept of how far the run is."""
    read = EvidenceStore(consortium.run.vault).read
    return read_standing(read, consortium.charter.fingerprint, num_rounds)


def gone_on(
    consortium: Consortium, *, down: Hook = as_it_is, up: Hook = as_it_is, **overrides: Any
) -> Course:
    """Go on, in a coordinator that knows only what was kept."""
    course, config = Course(), configured({"masks": True, **overrides})
    strategy = consortium.strategy(course, masks=True, **overrides)
    assert isinstance(strategy, Masked)
    bus = consortium.bus(course, config, down=down, up=up)
    since = standing_of(consortium, config.num_server_rounds)
    try:
        course.progress = strategy.start(bus, config.num_server_rounds, since=since)
    except ConsortiumError as error:
        course.error = error
    return course


def silent(kind: str, number: int, *sites: str, times: int = 1000) -> Hook:
    """Return a hook that keeps the first messages of a kind, in a round, from reaching sites."""
    left = dict.fromkeys(sites, times)

    def hook(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) == (kind, number) and left.get(passing.site, 0):
            left[passing.site] -= 1
            raise Vanished
        return passing.content

    return hook


def confirmed(course: Course) -> dict[int, SumConfirmed]:
    """Return the sets that were confirmed, by round."""
    told = [event for event in course.events if isinstance(event, SumConfirmed)]
    assert len({one.server_round for one in told}) == len(told)
    return {one.server_round: one for one in told}


def asked_together(course: Course, kind: str = "train") -> list[tuple[int, int, tuple[str, ...]]]:
    """Return round, attempt and who was asked together, of each question of a kind, in order."""
    asked = (read_round(passing.content) for passing, _ in course.answers(kind))
    said = [(one.server_round, one.attempt, one.mask_part.asked) for one in asked]
    return list(dict.fromkeys(said))


def shown_digests(course: Course) -> dict[int, set[bytes]]:
    """Return which sets the confirmations are of that the questions of each round show."""
    shown: dict[int, set[bytes]] = {}
    for kind in ("train", "evaluate", "query.release"):
        for passing, _ in course.answers(kind):
            request = read_round(passing.content)
            part = request.mask_part
            held = decode_confirmations(part.confirmations) if part.confirmations else ()
            shown.setdefault(request.server_round, set()).update(one.set_digest for one in held)
    return shown


@dataclass(frozen=True)
class Parked:
    """A run that waits, or was left as it is, in its second round."""

    consortium: Consortium
    course: Course
    run: str
    state: bytes

    def under(
        self, *without: str, installed: tuple[str, ...] | None = None, state: bytes | None = None
    ) -> Consortium:
        """Install a revision without some sites, by default at all who remain."""
        reached = ContinuedRun(run=self.run, state=(state or self.state).hex())
        charter = revise_charter(
            self.consortium.charter, without=without, keep_statistics=True, continued=reached
        )
        for name in charter.names if installed is None else installed:
            charter.write(self.consortium.run.site(name) / "charter.json")
        forget_processes()
        return replace(self.consortium, charter=charter)

    def goes_on(self, under: Consortium, *, down: Hook = as_it_is, **overrides: Any) -> Course:
        """Let the coordinator go on, with the rounds that are left unless it wants otherwise."""
        chosen: dict[str, Any] = {
            "num_server_rounds": ROUNDS - 1,
            "continues": self.run,
            **overrides,
        }
        forget_processes()
        return under.start(down=down, masks=True, **chosen)


def parked(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    *,
    gone: str = GONE,
    photographed: Path | None = None,
) -> Parked:
    """Return a run that waits for a site in its second round."""
    consortium = placed(folder, names)
    course = consortium.start(down=silent("train", 2, gone), masks=True, photographed=photographed)
    assert isinstance(course.error, SitesAwaited), course.error
    return waiting(consortium, course, 2)


def waiting(consortium: Consortium, course: Course, number: int) -> Parked:
    """Return a run as it waits in a round."""
    run = standing_of(consortium).opening.run
    return Parked(consortium, course, run, awaited(consortium, number).state)


def awaited(consortium: Consortium, number: int) -> AwaitedSites:
    """Return what the coordinator kept of for whom its run waits."""
    return AwaitedSites.decode(
        EvidenceStore(consortium.run.vault).read(f"round-{number}/{AWAITED_FILE}")
    )
