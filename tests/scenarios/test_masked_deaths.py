"""Deaths at each instant at which a masked round is decided, with real programs and signals.

A site dies just before and just after it keeps its upload, and its confirmation; the coordinator
just before and just after its disk holds the set that is to be confirmed, and its disk is put back
to what it was before the round. Each happens in a round of its own, and the model is that of an
undisturbed run: nobody trains twice, and no site confirms two sets of a round.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from consortium.run.leader_lock import is_led
from consortium.run.records import Summary
from consortium.site.directory import SiteDirectory
from privacy.protocol.envelope import TRAINING
from strategies.coordinator.encrypted.progress import PROGRESS_FILE
from tests.scenarios.test_deaths import (
    SITES,
    VICTIM,
    Deployed,
    is_asked,
    require_right,
    running_deployment,
    undisturbed_digest,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OTHERS = tuple(site for site in SITES if site != VICTIM)


def rows(there: Deployed, site: str, asked: str, number: int) -> list[bytes]:
    """Return a column of a site's memory, of one round of training; nothing before it has one."""
    path = SiteDirectory(there.run.site(site)).memory / "memory.sqlite"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as memory:
        return [row[0] for row in memory.execute(asked, (TRAINING, number))]


def uploaded(there: Deployed, site: str, number: int) -> list[bytes]:
    """Return the receipts of a site's updates of a round, one for each attempt."""
    asked = "SELECT receipt FROM answers WHERE purpose = ? AND server_round = ?"
    return rows(there, site, asked, number)


def confirmed(there: Deployed, site: str, number: int) -> list[bytes]:
    """Return the digests of the sets of a round that a site confirmed or opened."""
    asked = "SELECT set_digest FROM confirmed WHERE place = ? AND server_round = ?"
    return rows(there, site, asked, number)


@contextmanager
def nothing_is_kept(there: Deployed) -> Iterator[None]:
    """Hold the lock of the victim's memory: what it decides is not on its disk."""
    path = SiteDirectory(there.run.site(VICTIM)).memory / "memory.sqlite"
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as memory:
        memory.execute("BEGIN IMMEDIATE")
        yield
        memory.execute("ROLLBACK")


def reach(there: Deployed, came: Callable[[], bool]) -> None:
    """Wait until something happened; resume the run as often as it ended before."""
    while not came():
        wait_until(lambda: came() or not is_led(there.run.leader))
        if not came():
            there.go_on()


def dies_before_its_upload_is_kept(there: Deployed, number: int) -> None:
    reach(there, lambda: is_asked(there.run, number))
    with nothing_is_kept(there):
        reach(there, lambda: all(uploaded(there, one, number) for one in OTHERS))
        assert not uploaded(there, VICTIM, number)
        there.site_dies()


def dies_after_its_upload_is_kept(there: Deployed, number: int) -> None:
    reach(there, lambda: bool(uploaded(there, VICTIM, number)))
    there.site_dies()


def dies_before_its_confirmation_is_kept(there: Deployed, number: int) -> None:
    reach(there, lambda: bool(uploaded(there, VICTIM, number)))
    with nothing_is_kept(there):
        reach(there, lambda: all(confirmed(there, one, number) for one in OTHERS))
        assert not confirmed(there, VICTIM, number)
        there.site_dies()


def dies_after_its_confirmation_is_kept(there: Deployed, number: int) -> None:
    reach(there, lambda: bool(confirmed(there, VICTIM, number)))
    there.site_dies()


def coordinator_dies_as_the_set_is_written(there: Deployed, number: int) -> None:
    """What it wrote may be gone: then the set is made anew from the same uploads."""
    reach(there, lambda: (there.run.vault / f"round-{number}" / "set.bin").exists())
    there.server_app_dies()


def coordinator_dies_after_the_set_is_kept(there: Deployed, number: int) -> None:
    reach(there, lambda: standing(there).get("set_of") == number)
    there.server_app_dies()


def coordinator_loses_its_disk_after_the_confirmations(there: Deployed, number: int) -> None:
    """It is put back to what it was when the round began."""
    copy = there.run.path / "copy"
    reach(there, lambda: is_asked(there.run, number))
    shutil.copytree(there.run.vault, copy)
    reach(there, lambda: all(confirmed(there, one, number) for one in SITES))
    there.server_app_dies()
    shutil.rmtree(there.run.vault)
    shutil.move(copy, there.run.vault)


def standing(there: Deployed) -> dict[str, object]:
    """Return what the coordinator kept of the masks of its run."""
    try:
        told = json.loads((there.run.vault / PROGRESS_FILE).read_text())
    except FileNotFoundError:
        return {}
    masks: dict[str, object] = told.get("masks", {})
    return masks


OF_A_SITE = (
    dies_before_its_upload_is_kept,
    dies_after_its_upload_is_kept,
    dies_before_its_confirmation_is_kept,
    dies_after_its_confirmation_is_kept,
)
OF_THE_COORDINATOR = (
    coordinator_dies_as_the_set_is_written,
    coordinator_dies_after_the_set_is_kept,
    coordinator_loses_its_disk_after_the_confirmations,
)


@pytest.mark.parametrize(
    ("deaths", "resumed"),
    [(OF_A_SITE, 0), (OF_THE_COORDINATOR, len(OF_THE_COORDINATOR))],
    ids=["site", "coordinator"],
)
def test_a_death_at_the_instant_at_which_a_masked_round_is_decided_costs_nothing_but_time(
    tmp_path: Path, deaths: tuple[Callable[[Deployed, int], None], ...], resumed: int
) -> None:
    rounds = len(deaths)
    with running_deployment(tmp_path, "encrypted", rounds=rounds) as there:
        for number, die in enumerate(deaths, start=1):
            die(there, number)
        summary = there.ended()
        require_decided_once(there, summary, rounds)
        assert there.run.events.read_text().count('"event": "run-resumed"') >= resumed
    require_right(there, summary, undisturbed_digest(tmp_path, "encrypted", rounds=rounds))


def require_decided_once(there: Deployed, summary: Summary, rounds: int) -> None:
    """Check that each site sealed and confirmed one thing in each round, all of them the same."""
    assert summary.rounds == rounds
    for number in range(1, rounds + 1):
        assert {len(uploaded(there, site, number)) for site in SITES} == {1}
        kept = {one for site in SITES for one in confirmed(there, site, number)}
        assert len(kept) == 1
