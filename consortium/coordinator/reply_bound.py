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
    """The largest answer of a site, or of a hub.

    Args:
        numbers: The most numbers in an answer of a site: a state, an update or a tally.
        answers: How many of them come in one: a hub brings those of its members, and its sums.
    """

    numbers: int
    answers: int = 1

    @property
    def content_bytes(self) -> int:
        """Most bytes of all arrays in an answer of a site."""
        return _SMALLEST_BYTES + _NUMBER_BYTES * self.numbers

    @property
    def piece_bytes(self) -> int:
        """Most bytes of one piece of an array, as it travels."""
        return min(CHUNK_BYTES, self.content_bytes) + _FRAME_BYTES

    @property
    def envelope_bytes(self) -> int:
        """Most bytes of a message without its content: it lists the pieces that may follow."""
        pieces = math.ceil(self.content_bytes / CHUNK_BYTES)
        return self.answers * (_ENVELOPE_BYTES + _NAME_BYTES * pieces)


def counted_numbers(charter: Charter) -> int:
    """Return the most numbers that a site counts for a question under a charter."""
    return max(
        statistics_for(charter.table, by_class=True).layout.size,
        evaluation_for(charter.table).layout.size,
    )


def answers_in_one(charter: Charter, hub: str) -> int:
    """Return how many answers of sites come in one, at the door of a hub or of the coordinator.

    Args:
        charter: The charter.
        hub: The hub's name; empty for the coordinator.
    """
    if hub or not charter.hubs:
        return 1
    return 1 + max(len(one.members) for one in charter.hubs)


def note_layout(event: RunEvent, *, tally_size: int) -> None:
    """Tell the door how large the vector of a run is, once its sites agreed on a layout.

    Without a coordinator's directory in the environment there is no door.

    Args:
        event: Of the run.
        tally_size: Exact integers that a site sends in a round, which may be more.
    """
    if isinstance(event, SitesJoined):
        note_numbers(max(event.dim, tally_size))


def note_numbers(most: int) -> None:
    """Tell the door how many numbers an answer of this run has at most.

    Without a coordinator's directory in the environment there is no door.
    """
    coordinator = os.environ.get(COORDINATOR)
    if coordinator:
        write_atomically(CoordinatorDirectory(Path(coordinator)).layout_size, str(most))


def read_bound(coordinator: Path, counted: int, answers: int = 1) -> ReplyBound:
    """Return the bound for the run that goes on.

    Args:
        coordinator: The coordinator's directory.
        counted: The most numbers that a site counts for a question.
        answers: How many answers of sites come in one.
    """
    try:
        dim = int(CoordinatorDirectory(coordinator).layout_size.read_text())
    except FileNotFoundError:  # no run has come so far: sites only introduce themselves
        dim = 0
    return ReplyBound(numbers=max(dim, counted), answers=answers)
