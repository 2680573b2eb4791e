"""Read the events of a run while the run appends them, whichever process does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class EventReader:
    """Reads each event once.

    Args:
        path: The file of the events; it need not be there yet.
        position: How much of it has been read, in bytes.
    """

    path: Path
    position: int = 0

    def new_events(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last call; a line that is still being written comes later."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            file.seek(self.position)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    return
                self.position = file.tell()
                yield json.loads(line)


def tracker_failure_text(tracker: str, why: str) -> str:
    """Return how a terminal says that a tracker failed, from the event that says so."""
    return f"the tracker {tracker} failed ({why}): it gets no more figures, and the run goes on"
