"""What a site must remember of keys so as not to be fooled.

Guarantee: what a call reported as kept is there after the process, or the machine, dies at any
moment; of two processes at once the first one's word stands. The directory must never be put
back from an older copy: a site that forgets can be asked again.
"""

from pathlib import Path
from types import TracebackType

from privacy.errors import ConsortiumError
from privacy.secrets.reply_store import AnswerMemory
from privacy.storage.blob_files import KeptFiles
from privacy.storage.sqlite import SiteDatabase

MAX_OPENINGS = 4  # of one lineage: the first, and at most three more


class StaleEpoch(ConsortiumError, ValueError):
    """An epoch is not newer than the last one this site accepted."""

    code = "stale-epoch"


class OpeningAlreadyAccepted(ConsortiumError, ValueError):
    """This run was opened before, with another opening."""

    code = "opening-already-accepted"


class TooManyOpenings(ConsortiumError, ValueError):
    """A run was opened again too often: people decide now."""

    code = "too-many-openings"


class KeyBurned(ConsortiumError, ValueError):
    """A checksum failed under this run's key once; it is never used again."""

    code = "key-burned"


class SiteMemory:
    """The memory of one site, in a directory of its own.

    `answers` is what it remembers of what it said.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        MemoryUnavailable: It cannot be opened.
        MemoryDamaged: It was written by another version.
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path) -> None:
        self._database = SiteDatabase(directory)
        self.answers = AnswerMemory(self._database, KeptFiles(directory / "kept"))

    def __enter__(self) -> "SiteMemory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()

    def last_epoch(self) -> int:
        """Return the number of the last epoch accepted; 0 before the first."""
        row = self._database.row("SELECT epoch FROM epochs ORDER BY epoch DESC LIMIT 1")
        return row[0] if row else 0

    def accept_epoch(self, epoch: int, fingerprint: bytes) -> None:
        """Remember an epoch; the same one twice is accepted once.

        Raises:
            StaleEpoch: It is older than the last one, or another of the same number.
        """
        with self._database.writing():
            last = self.last_epoch()
            known = self._database.row("SELECT fingerprint FROM epochs WHERE epoch = ?", epoch)
            if epoch == last and known == (fingerprint,):
                return
            if epoch <= last:
                raise StaleEpoch(
                    f"epoch {last} was accepted, epoch {epoch} is not newer",
                    last=last,
                    came=epoch,
                )
            self._database.execute("INSERT INTO epochs VALUES (?, ?)", epoch, fingerprint)

    def accept_opening(self, run: str, digest: bytes, *, lineage: str | None = None) -> None:
        """Remember the one opening of a run; the same one twice is accepted once.

        Raises:
            KeyBurned: The run's key is.
            OpeningAlreadyAccepted: Another opening was accepted for this run.
            TooManyOpenings: `MAX_OPENINGS` of this lineage were accepted.
        """
        with self._database.writing():
            self.require_unburned(run)
            known = self._database.row("SELECT digest FROM openings WHERE run = ?", run)
            if known == (digest,):
                return
            if known is not None:
                raise OpeningAlreadyAccepted(f"run {run} was opened before, with another opening")
            root = self._lineage_root(lineage or run)
            self._require_room(root)
            self._database.execute("INSERT INTO openings VALUES (?, ?, ?)", run, digest, root)

    def burn_key(self, run: str) -> None:
        """Never use this run's key again."""
        with self._database.writing():
            self._database.execute("INSERT OR IGNORE INTO burned VALUES (?)", run)

    def require_unburned(self, run: str) -> None:
        """Return if the run's key was not burned.

        Raises:
            KeyBurned: It was.
        """
        if self._database.row("SELECT run FROM burned WHERE run = ?", run):
            raise KeyBurned(f"a checksum failed in run {run}: its key is burned at this site")

    def _lineage_root(self, run: str) -> str:
        row = self._database.row("SELECT lineage FROM openings WHERE run = ?", run)
        return row[0] if row else run

    def _require_room(self, root: str) -> None:
        opened = self._database.column("SELECT run FROM openings WHERE lineage = ?", root)
        if len(opened) >= MAX_OPENINGS:
            raise TooManyOpenings(
                f"{len(opened)} openings of {root} were accepted: the members decide how to go on",
                at_most=MAX_OPENINGS,
            )
