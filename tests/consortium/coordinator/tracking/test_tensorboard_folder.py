"""TensorBoard reads what is written for it."""

from pathlib import Path

import pytest

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.tensorboard_folder import TensorBoardFolder
from tests.curves import curves_in

NAME = RunName("heart", "heart-1")


def told(server_round: int, auc: float) -> RoundFigures:
    return RoundFigures(server_round=server_round, course={"sites": 4}, metrics={"auc": auc})


def test_each_round_is_a_step_that_can_be_read_before_the_run_ends(tmp_path: Path) -> None:
    folder = TensorBoardFolder(tmp_path, NAME)
    folder.note_round(told(1, 0.5))
    assert curves_in(tmp_path / "heart-1") == {"metrics/auc": {1: 0.5}, "round/sites": {1: 4.0}}
    folder.note_round(told(2, 0.75))
    folder.close(finished=True)
    assert curves_in(tmp_path / "heart-1")["metrics/auc"] == {1: 0.5, 2: 0.75}


def test_a_run_taken_up_again_goes_on_in_the_same_curves(tmp_path: Path) -> None:
    for server_round, auc in ((1, 0.5), (2, 0.75)):
        folder = TensorBoardFolder(tmp_path, NAME)
        folder.note_round(told(server_round, auc))
        folder.close(finished=True)
    assert curves_in(tmp_path / "heart-1")["metrics/auc"] == {1: 0.5, 2: 0.75}


def test_what_the_system_refuses_is_raised_where_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "heart-1").write_text("a file")
    with pytest.raises(FileExistsError):
        TensorBoardFolder(tmp_path, NAME)


def test_a_full_disk_is_told_where_a_round_is_written(tmp_path: Path) -> None:
    folder = TensorBoardFolder(tmp_path, NAME)
    (path,) = (tmp_path / "heart-1").iterdir()
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        folder.note_round(told(1, 0.5))
