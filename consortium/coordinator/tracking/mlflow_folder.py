"""Figures of a run in a folder that MLflow reads: the file store, as MLflow 3.17.2 writes it.

The files are written here and not by MLflow, which would name the user and the folder in them, and
starts a thread that reports its use when it is imported.
"""

import hashlib
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from privacy.storage.durable_files import write_atomically

_META = "meta.yaml"
_NO_FOLDER = "mlflow-artifacts:/"  # where a server keeps files of a run: ours has none
_RUNNING, _FINISHED, _FAILED = 1, 3, 4  # mlflow.entities.RunStatus
_LOCAL = 4  # mlflow.entities.SourceType
_REFUSED = re.compile(r"[^\w.\- ]|^\.+$")  # by MLflow in a name; a slash would be a folder


class MlflowFolder:
    """Adds a run to the experiment that has the consortium's name.

    Guarantee: in the folder are the names of the consortium and of the run, random numbers, times
    and figures. It starts no thread and imports nothing of MLflow, so whatever the system refuses
    is raised where it is called.

    Args:
        folder: What MLflow calls a file store.
        name: The run; one that is taken up again is another run of that name, whose steps go on.

    Raises:
        OSError: The system refuses a folder or a file.
    """

    def __init__(self, folder: Path, name: RunName) -> None:
        experiment = _experiment_in(folder, name.consortium)
        self._id, self._name, self._experiment = uuid.uuid4().hex, name.run, experiment.name
        self._began = _now_ms()
        self._run = experiment / self._id
        self._metrics = self._run / "metrics"
        for part in ("metrics", "params", "tags", "artifacts"):
            (self._run / part).mkdir(parents=True)
        write_atomically(self._run / "tags" / "mlflow.runName", name.run)
        self._write_state(_RUNNING, ended=None)  # last: without it, MLflow takes it for no run

    def note_round(self, told: RoundFigures) -> None:
        """Append the figures of a round to the file of each."""
        at = _now_ms()
        for part, figures in (("metrics", told.metrics), ("round", told.course)):
            folder = self._metrics / part
            folder.mkdir(exist_ok=True)
            for what, value in figures.items():
                with (folder / _file_name(what)).open("a") as file:
                    file.write(f"{at} {value!r} {told.server_round}\n")

    def close(self, *, finished: bool) -> None:
        """Say how the run ended."""
        self._write_state(_FINISHED if finished else _FAILED, ended=_now_ms())

    def _write_state(self, status: int, *, ended: int | None) -> None:
        _write_meta(
            self._run,
            artifact_uri=f"{_NO_FOLDER}{self._experiment}/{self._id}",
            deleted_time=None,
            end_time=ended,
            entry_point_name="",
            experiment_id=self._experiment,
            lifecycle_stage="active",
            run_id=self._id,
            run_name=self._name,
            source_name="",
            source_type=_LOCAL,
            source_version="",
            start_time=self._began,
            status=status,
            tags=[],
            user_id="",
        )


def _experiment_in(folder: Path, consortium: str) -> Path:
    """Return the folder of the consortium's experiment: one, whoever comes first."""
    number = str(int(hashlib.sha256(consortium.encode()).hexdigest(), 16))[:18]
    experiment = folder / number
    experiment.mkdir(parents=True, exist_ok=True)
    if not (experiment / _META).exists():
        _write_meta(
            experiment,
            artifact_location=f"{_NO_FOLDER}{number}",
            creation_time=_now_ms(),
            experiment_id=number,
            last_update_time=_now_ms(),
            lifecycle_stage="active",
            name=consortium,
        )
    return experiment


def _write_meta(folder: Path, **fields: Any) -> None:  # noqa: ANN401 -- what JSON can hold
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    write_atomically(folder / _META, "".join(lines))


def _file_name(metric: str) -> str:
    return _REFUSED.sub(lambda found: f"-{found.group().encode().hex()}-", metric)


def _now_ms() -> int:
    return time.time_ns() // 10**6
