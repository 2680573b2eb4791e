"""One disk sync for all that a site writes while it answers in a round of an encrypted run."""

from collections.abc import Iterator
from contextlib import contextmanager

from consortium.client.site_ledger import shared_ledger
from consortium.site.key_ring import member_at
from consortium.site.site import Site
from consortium.site.tails import ledger_file, log_file, memory_file
from privacy.audit.log_tail import LogTail
from privacy.differential.ledger_tail import LedgerTail
from privacy.errors import ConsortiumError
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.carried_tails import AppendOnly
from privacy.storage.deferred_sync import deferred_syncs


@contextmanager
def one_sync(site: Site) -> Iterator[None]:
    """Sync the disk once for what a site writes in this block, when it ends.

    Guarantee: memory, log and ledger of the site are on the disk when the block is left, by an
    exception too. Nothing of the answer may leave before. At any moment the disk holds the answer
    only if it holds what is to be in the ledger about it. A site that has no memory yet syncs each
    by itself, as it does outside the block. So does the ledger of a run with noise: what is
    reserved for training stands there before the trained update is kept elsewhere.

    Args:
        site: The site.

    Raises:
        MemoryUnavailable: The disk does not take it.
    """
    directory, memory = site.directory, _memory_of(site)
    if memory is None:
        yield
        return
    entered = [] if site.run_config.privacy.offered else [ledger_file(directory)]

    def sync() -> None:
        stores: list[AppendOnly] = [LogTail(log_file(directory))]
        if entered and entered[0].exists():
            stores.append(LedgerTail(shared_ledger(directory)))
        memory.tails.carry(*stores)

    with deferred_syncs([memory_file(directory), log_file(directory), *entered], sync=sync):
        yield


def _memory_of(site: Site) -> SiteMemory | None:
    """Return the memory of a site; None if it has none, or none that it can use."""
    if not memory_file(site.directory).exists():
        return None
    try:
        return member_at(site.directory, site.config.name, site.charter).memory
    except ConsortiumError:
        return None  # whatever is asked is refused for this within the block, and told
