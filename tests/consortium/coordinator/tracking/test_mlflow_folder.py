"""MLflow reads what is written for it, and it says nothing else."""

import errno
import getpass
import re
import socket
from pathlib import Path

import pytest

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.mlflow_folder import MlflowFolder
from tests.followed_runs import runs_in_mlflow

NAME = RunName("heart", "heart 1: Ärzte")


def told(server_round: int, **metrics: float) -> RoundFigures:
    return RoundFigures(server_round=server_round, course={"sites": 4}, metrics=metrics)


def test_runs_of_a_consortium_are_curves_of_one_experiment_that_can_be_read_at_any_time(
    tmp_path: Path,
) -> None:
    """One finished, one failed, one goes on, and another consortium has the same folder."""
    odd = {"f1 n/a": 1e300, "..": -0.0, "<5 %": 1 / 3}
    for finished in (True, False):
        folder = MlflowFolder(tmp_path, NAME)
        folder.note_round(told(1, auc=0.5))
        folder.note_round(told(2, auc=0.75))
        folder.close(finished=finished)
    MlflowFolder(tmp_path, NAME).note_round(told(3, **odd))
    MlflowFolder(tmp_path, RunName("lung", "lung-1"))

    runs = [one for one in runs_in_mlflow(tmp_path) if one.group == "heart"]
    assert len(runs) == 3
    # By their status: two may have begun in one millisecond.
    found = {one.status: one for one in runs}
    assert found.keys() == {"FINISHED", "FAILED", "RUNNING"}
    going = found.pop("RUNNING")
    for one in found.values():
        assert one.name == NAME.run
        assert one.curves == {
            "metrics/auc": {1: 0.5, 2: 0.75},
            "round/sites": {1: 4.0, 2: 4.0},
        }
        assert one.more == {"tags": {"mlflow.runName": NAME.run}}
    assert going.curves == {
        "metrics/f1 n-2f-a": {3: 1e300},
        "metrics/-2e2e-": {3: 0.0},
        "metrics/-3c-5 -25-": {3: 1 / 3},
        "round/sites": {3: 4.0},
    }
    assert sum(one.is_file() for one in tmp_path.glob("*/meta.yaml")) == 2


def test_no_file_names_the_machine_the_user_or_a_folder(tmp_path: Path) -> None:
    folder = MlflowFolder(tmp_path, RunName("heart", "heart-1"))
    folder.note_round(told(1, auc=0.5))
    folder.close(finished=True)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    text = "\n".join(f"{path.relative_to(tmp_path)}\n{path.read_text()}" for path in files)
    for secret in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(secret)}\b", text)
    assert str(tmp_path) not in text
    assert tmp_path.name not in text
    assert {path.name for path in files} == {"meta.yaml", "mlflow.runName", "auc", "sites"}


def test_what_the_system_refuses_is_raised_where_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NotADirectoryError):
        MlflowFolder(tmp_path / "file", NAME)
    folder = MlflowFolder(tmp_path, NAME)
    full = next(tmp_path.glob("*/*/metrics")) / "metrics"
    full.mkdir()
    (full / "auc").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as refused:
        folder.note_round(told(1, auc=0.5))
    assert refused.value.errno == errno.ENOSPC
