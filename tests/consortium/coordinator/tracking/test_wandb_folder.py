"""Weights & Biases reads what is written for it, and it says nothing else."""

import errno
import getpass
import re
import socket
from pathlib import Path

import pytest

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.wandb_folder import WandbFolder
from tests.followed_runs import run_in_wandb

NAME = RunName("heart", "heart 1: Ärzte")
OWN = {"_step", "_timestamp", "_runtime"}


def told(server_round: int, **metrics: float) -> RoundFigures:
    return RoundFigures(server_round=server_round, course={"sites": 4}, metrics=metrics)


def test_a_run_of_many_blocks_is_read_while_it_goes_on_and_after_it(tmp_path: Path) -> None:
    """A record says more than one byte can number, and a name with a dot is one name."""
    folder = WandbFolder(tmp_path, NAME)
    for server_round in range(1, 301):
        folder.note_round(told(server_round, auc=1 / server_round, **{"f1 n/a.b": 1e300}))
    going = run_in_wandb(tmp_path)
    folder.close(finished=False)
    ended = run_in_wandb(tmp_path)
    assert next(tmp_path.glob("*/*.wandb")).stat().st_size > 2 * 32768
    assert (going.status, ended.status) == ("going on", "1")
    for read in (going, ended):
        assert (read.group, read.name, read.more) == ("heart", NAME.run, {})
        assert read.curves.keys() - OWN == {"metrics/auc", "metrics/f1 n/a.b", "round/sites"}
        assert read.curves["metrics/auc"] == {at: 1 / at for at in range(1, 301)}
        assert read.curves["metrics/f1 n/a.b"][300] == 1e300
        assert read.curves["round/sites"][1] == 4


def test_no_file_names_the_machine_the_user_or_a_folder(tmp_path: Path) -> None:
    folder = WandbFolder(tmp_path, RunName("heart", "heart-1"))
    folder.note_round(told(1, auc=0.5))
    folder.close(finished=True)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    text = str(path.relative_to(tmp_path)) + path.read_bytes().decode("latin-1")
    for secret in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(secret)}\b", text)
    assert str(tmp_path) not in text
    assert tmp_path.name not in text


def test_a_run_taken_up_again_is_another_one_and_overwrites_nothing(tmp_path: Path) -> None:
    for _time in range(2):
        WandbFolder(tmp_path, NAME).close(finished=True)
    assert len([*tmp_path.glob("offline-run-*/run-*.wandb")]) == 2


def test_what_the_system_refuses_is_raised_where_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NotADirectoryError):
        WandbFolder(tmp_path / "file", NAME)
    folder = WandbFolder(tmp_path, NAME)
    (path,) = tmp_path.glob("*/*.wandb")
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as refused:
        folder.note_round(told(1, auc=0.5))
    assert refused.value.errno == errno.ENOSPC
