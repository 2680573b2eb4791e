"""A run that stops of itself once a state is judged, and goes on when it is resumed.

The question after that is made and kept, and does not leave: a run that is resumed asks it first.
So a run that was paused is, to the bit, the run that was not.
"""

from collections.abc import Iterable

from flwr.app import Message
from flwr.serverapp import Grid

from consortium.coordinator.audit_trail import WrappedGrid
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


class _PausingGrid(WrappedGrid):
    """Flower's Grid, which sends nothing more once the model of so many rounds is judged.

    Args:
        grid: The grid to wrap.
        recorder: Knows which rounds are recorded.
        rounds: Rounds of training behind the model that is to be judged.
    """

    def __init__(self, grid: Grid, recorder: Recorder, rounds: int) -> None:
        super().__init__(grid)
        self._recorder, self._rounds = recorder, rounds

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Push messages, unless the run is to pause.

        Raises:
            RunPaused: The model of so many rounds is judged.
        """
        self._pause_if_due()
        return super().push_messages(messages)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and pull all replies, unless the run is to pause.

        Raises:
            RunPaused: The model of so many rounds is judged.
        """
        self._pause_if_due()
        return super().send_and_receive(messages, timeout=timeout)

    def _pause_if_due(self) -> None:
        # The figures of an exchange are those of the model that it brought to the sites.
        last = self._recorder.last_round
        if last is not None and last.server_round > self._rounds:
            raise RunPaused(f"the model of {number_of(self._rounds, 'round')} is judged: resume it")
