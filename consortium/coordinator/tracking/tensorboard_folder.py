"""Figures of a run as an event file of TensorBoard; TensorFlow is not needed."""

import time
from pathlib import Path

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.event_records import framed_record
from privacy.errors import require_library

PURPOSE = "to write event files of TensorBoard"
LIBRARY = "tensorboard"
EXTRA = "tracking"


class TensorBoardFolder:
    """Appends a step for each round to an event file in a folder of the run.

    Guarantee: it starts no thread, so whatever the system refuses is raised where it is called.

    Args:
        folder: What TensorBoard is started with; runs are folders in it.
        name: The run; its folder has the run's name.

    Raises:
        MissingLibrary: TensorBoard is not installed.
        OSError: The system refuses the folder or the file.
    """

    def __init__(self, folder: Path, name: RunName) -> None:
        require_library(PURPOSE, LIBRARY, extra=EXTRA)
        from tensorboard.compat.proto import event_pb2  # loaded where it is needed

        self._event = event_pb2.Event
        place = folder / name.run
        place.mkdir(parents=True, exist_ok=True)
        # a run that is taken up again writes another file, which TensorBoard reads after the first
        self._path = place / f"events.out.tfevents.{time.time_ns()}.consortium"
        self._path.touch(exist_ok=False)
        self._write(file_version="brain.Event:2")

    def note_round(self, told: RoundFigures) -> None:
        """Append the figures of a round."""
        named = {f"metrics/{what}": value for what, value in told.metrics.items()}
        named |= {f"round/{what}": value for what, value in told.course.items()}
        values = [{"tag": tag, "simple_value": value} for tag, value in named.items()]
        self._write(step=told.server_round, summary={"value": values})

    def close(self, *, finished: bool) -> None:
        """Leave the event file: it says nothing of a run's end."""

    def _write(self, **fields: object) -> None:
        event = self._event(wall_time=time.time(), **fields)
        # opened for each record: nothing is left to write when a tracker is dropped
        with self._path.open("ab") as file:
            file.write(framed_record(event.SerializeToString()))
