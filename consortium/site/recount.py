"""A site's training records are counted again, once, at its operator's word.

Statistics are counted once under a charter. After a column was mended its operator may want them to
be right in later runs. docs/protocol.md, "Counted again".
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from consortium.charter.document import Charter
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.tails import complete_tails
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import DataSet, Released, utc_timestamp
from privacy.differential.mechanisms import WithoutNoise
from privacy.errors import ConsortiumError
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData
from sites.data.fingerprint import fingerprint_of

RECOUNT = WithoutNoise(what="statistics, counted again")


class NothingCounted(ConsortiumError, LookupError, code="nothing-counted"):
    """A site has counted nothing yet under the charter in force."""


@dataclass(frozen=True, kw_only=True)
class Recount:
    """What a site would count again.

    Args:
        data_set: Name of the records.
        charter: Fingerprint of the charter in force.
        roster: The sites for which they are counted, before as afterwards.
        number: How often this was done before, and once more.
    """

    data_set: str
    charter: str
    roster: tuple[str, ...]
    number: int


def planned_recount(directory: Path) -> Recount:
    """Return what would be counted again at a site; nothing changes.

    Raises:
        NothingCounted: It counted nothing yet, so its next run counts the records as they are.
        ConsortiumError: The site cannot be read.
    """
    place, config = SiteDirectory(directory), read_site_config(directory)
    agreed = Charter.read(place.charter)
    charter = agreed.fingerprint
    if agreed.statistics_of:
        raise NothingCounted(
            "under the charter in force the statistics of an earlier revision stand, and no site "
            "counts its training records: let all sign a revision without --keep-statistics"
        )
    counted = CountedData(charter=charter, data_set=config.data_set)
    nothing = NothingCounted(
        f"this site counted nothing of '{config.data_set}' under the charter in force: its next "
        "run counts the records as they are"
    )
    if not place.memory.exists():  # to ask must not make one
        raise nothing
    with SiteMemory(place.memory) as memory:
        if memory.rosters.own_statistics(counted) is None:
            raise nothing
        return Recount(
            data_set=config.data_set,
            charter=charter,
            roster=memory.rosters.claimed_roster(counted),
            number=memory.rosters.recounts(counted) + 1,
        )


def allow_recount(directory: Path, recount: Recount, reason: str, *, now: datetime) -> None:
    """Let a site count its training records again in its next run with the same roster.

    Guarantee: it is in the ledger before the site's memory allows it, and it allows one count.

    Args:
        directory: The site's.
        recount: As planned.
        reason: The operator's, kept as a digest.
        now: The time.

    Raises:
        ConsortiumError: As the ledger says.
    """
    place, config = SiteDirectory(directory), read_site_config(directory)
    entry = Released(
        event=RECOUNT,
        data_set=DataSet(name=recount.data_set, fingerprint=fingerprint_of(config.source)),
        run=recount.charter,
        part=f"recount {recount.number}",
        asked=hashlib.sha256(reason.encode()).hexdigest(),
        at=utc_timestamp(now),
    )
    complete_tails(place.path)
    with Ledger(place.ledger) as ledger:
        ledger.enter_release(entry)
    counted = CountedData(charter=recount.charter, data_set=recount.data_set)
    with SiteMemory(place.memory) as memory:
        memory.rosters.forget_own_statistics(counted, number=recount.number)
