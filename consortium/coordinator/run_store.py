"""The files that an encrypted run keeps, and when they are on the disk."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from consortium.coordinator.audit_trail import CoordinatorAuditTrail
from consortium.run.evidence_store import EvidenceStore
from consortium.run.redo_slots import RedoSlots
from privacy.storage.deferred_sync import deferred_syncs
from strategies.coordinator.encrypted.progress import PROGRESS_FILE


@dataclass(eq=False)
class RunStore:
    """Keeps the files of an encrypted run, and syncs them together with the coordinator's log.

    Guarantee: the progress is on the disk with all that was kept before it, and with all answers in
    the log: when `keep` returns or, if `keep_before_sending` kept it, before the next request
    leaves. One sync does that.

    Args:
        vault: Where they are kept.
        trail: The coordinator's log.
        has_sets: Whether a round is kept in two steps: a set, then its confirmations.
    """

    vault: EvidenceStore
    trail: CoordinatorAuditTrail
    has_sets: bool = False
    _slots: RedoSlots = field(init=False, repr=False)
    _waits: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        log, num_slots = self.trail.journal.chain.path, 4 if self.has_sets else 2
        self._slots = RedoSlots(self.vault.folder, log, num_slots)

    def keep(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a file; the progress file is synced at once."""
        if name != PROGRESS_FILE:
            self.vault.keep(name, parts)
            return
        log = self.trail.journal.chain.path
        # One sync for the answers in the log, and for all that the next question is made of.
        with deferred_syncs([log, self.vault.folder / name], sync=self._sync):
            self.trail.commit()
            self.vault.keep(name, parts)

    def keep_before_sending(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a file; the next request is not sent before it is synced, with the log."""
        with deferred_syncs([self.vault.folder / name], sync=self._wait):
            self.vault.keep(name, parts)

    @contextmanager
    def before_sending(self) -> Iterator[None]:
        """Write requests to the log within this block; sync with it what waits for that."""
        if not self._waits:
            yield
            return
        with deferred_syncs([self.trail.journal.chain.path], sync=self._sync):
            yield

    def _wait(self) -> None:
        self._waits = True

    def _sync(self) -> None:
        self._slots.copy(self.vault.take_unsynced(), log_from=self.trail.journal.chain.synced_size)
        self._waits = False
