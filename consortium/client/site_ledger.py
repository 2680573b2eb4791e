"""A site's ledger as its answers use it: what leaves without noise is entered before it leaves.

What is reserved for private training is in `consortium.client.private_training`.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from consortium.site.directory import SiteDirectory
from consortium.site.key_ring import member_at
from consortium.site.site import Site
from consortium.site.tails import complete_tails
from privacy.differential.announced_ledger import AnnouncedLedger
from privacy.differential.ledger_entries import DataSet, Released, utc_timestamp
from privacy.differential.ledger_tail import LedgerTail
from privacy.differential.mechanisms import HeldOut, Release, WithoutNoise
from privacy.storage.deferred_sync import deferral_of
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.wire.messages import Position

EVALUATION = HeldOut(what="evaluation")
UPDATES = WithoutNoise(what="updates")
STATISTICS = WithoutNoise(what="statistics")

_LEDGERS: Cache[Path, AnnouncedLedger] = SITE_PROCESS.cache(
    "ledgers", most=1_024, close=lambda ledger: ledger.close()
)


def ledger_of(directory: Path) -> AnnouncedLedger:
    """Return the ledger in a site's directory, with what it announced; close it after use."""
    complete_tails(directory)
    return AnnouncedLedger(SiteDirectory(directory).ledger)


def shared_ledger(directory: Path) -> AnnouncedLedger:
    """Return the ledger in a site's directory that this process keeps open."""
    return _LEDGERS.get(directory, lambda: ledger_of(directory))


def data_set_of(site: Site) -> DataSet:
    """Return the records of a site, as its ledger counts them."""
    return DataSet(name=site.config.data_set, fingerprint=site.record_fingerprint)


def run_digest(site: Site, run: str) -> str:
    """Return the digest of all that a run agreed on beforehand."""
    agreed = {
        "run": run,
        "charter": site.fingerprint,
        "config": site.config_digest,
        "layout": site.task.layout.digest,
        # By its name: records that are corrected during a run do not make it another run.
        "data": site.config.data_set,
    }
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()


def enter_statistics(site: Site, run: int) -> None:
    """Enter that exact counts of training records are about to leave; once a run.

    Args:
        site: Which counts.
        run: Flower's id of the run: such a question comes before the run has another name.

    Raises:
        ConsortiumError: As the ledger says.
    """
    _enter(site, STATISTICS, run=str(run), part=STATISTICS.what)


def enter_updates(site: Site, stands: Position) -> None:
    """Enter that what training without noise gives is about to leave; once a run.

    Raises:
        ConsortiumError: As the ledger says.
    """
    _enter(site, UPDATES, run=stands.run, part=UPDATES.what)


def enter_evaluation(site: Site, stands: Position) -> None:
    """Enter that exact counts of held-out persons are about to leave; once a round.

    Raises:
        EvaluatedBefore: The round was evaluated from another state or other records.
        TooManyEvaluations: The run was evaluated as often as the policy allows.
        ConsortiumError: As the ledger says.
    """
    model = site.run_config.evaluate_model
    _enter(
        site,
        EVALUATION,
        # A model that is only evaluated counts once, however often it is asked for.
        run=f"model {model}" if model else stands.run,
        part=f"evaluation {stands.server_round}",
        asked=stands.digest.hex(),
        at_most=site.policy.most_evaluations(site.run_config.num_server_rounds),
    )


def _enter(
    site: Site,
    event: Release,
    *,
    run: str,
    part: str,
    asked: str = "",
    at_most: int | None = None,
) -> None:
    wanted = Released(
        event=event,
        data_set=data_set_of(site),
        run=run_digest(site, run),
        part=part,
        asked=asked,
        at=utc_timestamp(datetime.now(UTC)),
    )
    ledger = shared_ledger(site.directory)
    ledger.enter_release(wanted, at_most=at_most)
    if deferral_of(ledger.database.path):
        # The memory is next to hold the answer. If the machine died with that on the disk, and
        # without the entry, the answer would be given again and never be counted.
        memory = member_at(site.directory, site.config.name, site.charter).memory
        memory.tails.carry(LedgerTail(ledger))
