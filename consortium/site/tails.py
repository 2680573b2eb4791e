"""The ends of a site's log and ledger: carried in its memory, and completed after a power loss.

While a site answers in a round of an encrypted run, nothing is synced by itself. Before the answer
leaves, its memory is: with what came to the log and the ledger meanwhile. So an answer takes one
sync, and what it promises survives the machine. Whoever opens the log or the ledger of a site
first completes them from there.
"""

from pathlib import Path

from consortium.site.directory import SiteDirectory
from privacy.audit.log_tail import LogTail
from privacy.differential.ledger import FILE, Ledger
from privacy.differential.ledger_tail import LedgerTail
from privacy.secrets.replay_guard import MEMORY, SiteMemory
from privacy.storage.site_process import SITE_PROCESS, Cache

_COMPLETED: Cache[Path, bool] = SITE_PROCESS.cache("completed tails", most=1_024)


def log_file(directory: Path) -> Path:
    """Return the log of a site."""
    return SiteDirectory(directory).audit_log


def ledger_file(directory: Path) -> Path:
    """Return the database of a site's ledger."""
    return SiteDirectory(directory).ledger / FILE


def memory_file(directory: Path) -> Path:
    """Return the database of a site's memory."""
    return SiteDirectory(directory).memory / MEMORY.file


def complete_tails(directory: Path) -> None:
    """Put back what a site's log and ledger lost with the machine; once a process.

    Raises:
        MemoryUnavailable: The site's memory, or its ledger, cannot be read.
        ExposedSecret: Others can access the site's directory.
    """
    _COMPLETED.get(directory, lambda: _complete(directory))


def _complete(directory: Path) -> bool:
    if memory_file(directory).exists():
        with SiteMemory(SiteDirectory(directory).memory) as memory:
            memory.tails.complete(LogTail(log_file(directory)))
            if ledger_file(directory).exists():
                with Ledger(SiteDirectory(directory).ledger) as ledger:
                    memory.tails.complete(LedgerTail(ledger))
    return True
