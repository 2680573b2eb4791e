"""The end of a ledger, as `privacy.storage.carried_tails` carries it: its last entries."""

from dataclasses import dataclass

from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import entry_digest


@dataclass(frozen=True)
class LedgerTail:
    """The end of a ledger; how far it is, is the number of its last entry.

    Args:
        ledger: The ledger.
    """

    ledger: Ledger

    @property
    def name(self) -> str:
        """Under which its end is carried."""
        return "ledger"

    def end(self) -> int:
        """Return how many entries it has."""
        return self.ledger.head().entries

    def part(self, first: int, after: int) -> bytes:
        """Return the entries after one number, up to another: a line of JSON for each."""
        return "".join(f"{text}\n" for text in self._texts(first, after)).encode()

    def sync(self) -> None:
        """Sync the ledger."""
        self.ledger.database.sync()

    def complete(self, first: int, content: bytes) -> bool:
        """Enter again what the ledger lost with the machine; return whether it has it then.

        If it holds other entries in this place, or ends before it, it was altered by somebody, and
        stays as it is. It is synced.
        """
        texts, database = content.decode().splitlines(), self.ledger.database
        with database.writing():
            head = self.ledger.head()
            held = head.entries - first
            if held < 0 or self._texts(first, first + len(texts)) != texts[:held]:
                database.touch()
                return False
            digest = head.digest
            for number, text in enumerate(texts[held:], start=head.entries + 1):
                digest = entry_digest(digest, text)
                database.execute("INSERT INTO entries VALUES (?, ?, ?)", number, text, digest)
        return True

    def _texts(self, first: int, after: int) -> list[str]:
        return self.ledger.database.column(
            "SELECT written FROM entries WHERE number > ? AND number <= ? ORDER BY number",
            first,
            after,
        )
