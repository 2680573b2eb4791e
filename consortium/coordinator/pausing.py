"""A run that stops of itself once a state is judged, and goes on when it is resumed.

The question after that is made and kept, and does not leave: a run that is resumed asks it first.
So a run that was paused is, to the bit, the run that was not.
"""

from collections.abc import Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from consortium.coordinator.recorder import Recorder
from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError, number_of
from privacy.storage.durable_files import write_atomically


class RunPaused(ConsortiumError, RuntimeError, code="run-paused"):
    """A run came as far as it was asked to. It is parked, and goes on when it is resumed."""


def pause_after(run: RunDirectory, rounds: int | None) -> None:
    """Say how far the next process that leads a run shall take it.

    Args:
        run: The run's directory.
        rounds: The run pauses when the model of so many rounds is judged; None for its end.
    """
    if rounds is None:
        run.pause_after.unlink(missing_ok=True)
        return
    run.coordinator.mkdir(parents=True, exist_ok=True)
    write_atomically(run.pause_after, f"{rounds}\n")


def with_pause(grid: Grid, run: RunDirectory, recorder: Recorder) -> Grid:
    """Return the grid of a run; one that pauses the run if `pause_after` said so."""
    if not run.pause_after.exists():
        return grid
    return _PausingGrid(grid, recorder, int(run.pause_after.read_text()))


class _PausingGrid(Grid):
    """Flower's Grid, which sends nothing more once the model of so many rounds is judged.

    Args:
        grid: The grid to wrap.
        recorder: Knows which rounds are recorded.
        rounds: Rounds of training behind the model that is to be judged.
    """

    def __init__(self, grid: Grid, recorder: Recorder, rounds: int) -> None:
        self._grid, self._recorder, self._rounds = grid, recorder, rounds

    def set_run(self, run: Any) -> None:  # noqa: ANN401 -- Flower's Run is private
        """Set the run."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:  # noqa: ANN401 -- Flower's Run is private
        """The run."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of the connected nodes."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Push messages, unless the run is to pause.

        Raises:
            RunPaused: The model of so many rounds is judged.
        """
        self._pause_if_due()
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pull replies."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and pull all replies, unless the run is to pause.

        Raises:
            RunPaused: The model of so many rounds is judged.
        """
        self._pause_if_due()
        return self._grid.send_and_receive(messages, timeout=timeout)

    def _pause_if_due(self) -> None:
        # The figures of an exchange are those of the model that it brought to the sites.
        last = self._recorder.last_round
        if last is not None and last.server_round > self._rounds:
            raise RunPaused(f"the model of {number_of(self._rounds, 'round')} is judged: resume it")
