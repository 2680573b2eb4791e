"""Which openers failed the others in earlier runs of this coordinator: they are asked last."""

import json
from dataclasses import dataclass
from pathlib import Path

from consortium.run.directory import RunDirectory
from privacy.storage.durable_files import replace_atomically
from strategies.coordinator.encrypted.opening.key_setup import FAILED_AS_OPENER
from strategies.coordinator.messaging.events import RunEvent, SiteQuarantined


@dataclass
class FailedOpeners:
    """The members whose keys or deliveries other members could not use.

    Guarantee: a member stays on the list until somebody deletes the file, because asked last it
    rarely opens a run by which it could clear itself. The list only orders; it excludes nobody.

    Args:
        path: The file; None if nothing is remembered.
    """

    path: Path | None

    @classmethod
    def of(cls, run: RunDirectory) -> "FailedOpeners":
        """Return the list of the coordinator that leads a run.

        A run on one machine has keys and members of its own, so nothing is remembered of it.
        """
        return cls(run.failed_openers if run.order.exists() else None)

    @property
    def names(self) -> tuple[str, ...]:
        """Who failed, sorted; nobody if the file cannot be read: an order is not worth a run."""
        try:
            read = json.loads(self.path.read_text(encoding="utf-8")) if self.path else []
        except (OSError, ValueError):
            return ()
        return tuple(sorted({str(name) for name in read})) if isinstance(read, list) else ()

    def note(self, event: RunEvent) -> None:
        """Remember who failed."""
        failed = isinstance(event, SiteQuarantined) and event.code in FAILED_AS_OPENER
        if self.path and failed and isinstance(event, SiteQuarantined):
            names = sorted({*self.names, event.site})
            with replace_atomically(self.path) as file:
                json.dump(names, file)
