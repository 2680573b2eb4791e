"""How large an answer of a site can be: the bound at the door, from the layout of the model.

The process of a run learns the layout from its sites; the process at the door reads it.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.document import Charter
from consortium.run.directory import COORDINATOR
from consortium.run.party_directory import CoordinatorDirectory
from privacy.storage.durable_files import write_atomically
from sites.evaluation.contract import evaluation_for
from sites.statistics.contract import statistics_for
from strategies.coordinator.messaging.events import RunEvent, SitesJoined

CHUNK_BYTES = 5 * 2**20  # Flower cuts arrays into pieces of this size
_FRAME_BYTES = 2**16  # headers and names around a piece
_SMALLEST_BYTES = 2**20  # one ciphertext of the strictest parameters, receipts, proofs
_NUMBER_BYTES = 16  # a float64 in the clear, or a tally of two coefficients in a ciphertext
_ENVELOPE_BYTES = 2**12  # a message's metadata and the records around its arrays
_NAME_BYTES = 128  # the name of a piece in a message


@dataclass(frozen=True)
class ReplyBound:
    """The largest answer of a site.

    Args:
        numbers: The most numbers in an answer: a state, an update or a tally.
    """

    numbers: int

    @property
    def content_bytes(self) -> int:
        """Most bytes of all arrays in an answer."""
        return _SMALLEST_BYTES + _NUMBER_BYTES * self.numbers

    @property
    def piece_bytes(self) -> int:
        """Most bytes of one piece of an array, as it travels."""
        return min(CHUNK_BYTES, self.content_bytes) + _FRAME_BYTES

    @property
    def envelope_bytes(self) -> int:
        """Most bytes of a message without its content: it lists the pieces that may follow."""
        return _ENVELOPE_BYTES + _NAME_BYTES * math.ceil(self.content_bytes / CHUNK_BYTES)


def counted_numbers(charter: Charter) -> int:
    """Return the most numbers that a site counts for a question under a charter."""
    return max(
        statistics_for(charter.table, by_class=True).layout.size,
        evaluation_for(charter.table).layout.size,
    )


def note_layout(event: RunEvent, *, tally_size: int) -> None:
    """Tell the door how large the vector of a run is, once its sites agreed on a layout.

    Without a coordinator's directory in the environment there is no door.

    Args:
        event: Of the run.
        tally_size: Exact integers that a site sends in a round, which may be more.
    """
    coordinator = os.environ.get(COORDINATOR)
    if coordinator and isinstance(event, SitesJoined):
        write_atomically(
            CoordinatorDirectory(Path(coordinator)).layout_size, str(max(event.dim, tally_size))
        )


def read_bound(coordinator: Path, counted: int) -> ReplyBound:
    """Return the bound for the run that goes on.

    Args:
        coordinator: The coordinator's directory.
        counted: The most numbers that a site counts for a question.
    """
    try:
        dim = int(CoordinatorDirectory(coordinator).layout_size.read_text())
    except FileNotFoundError:  # no run has come so far: sites only introduce themselves
        dim = 0
    return ReplyBound(numbers=max(dim, counted))
