"""Whoever breaks in after the sums were audited finds no upload to open with a member's keys."""

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app as program
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import hold_leadership
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.upload_deletion import delete_old_uploads
from privacy.errors import number_of
from tests.carrier import staged
from tests.small_consortium import (
    NAMES,
    SEALED,
    Consortium,
    Course,
    forget_processes,
    read_reply,
    refusal,
)

RUN = "first"


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Consortium, list[bytes]]:
    """A run that has ended at a coordinator, and every upload that a site sent in it."""
    forget_processes()
    coordinator = tmp_path_factory.mktemp("coordinator")
    key = CoordinatorDirectory(coordinator).server_key
    key.parent.mkdir(parents=True)
    key.touch()
    consortium = Consortium.placed(coordinator / "runs" / RUN)
    course = consortium.start(num_server_rounds=2, keep_uploads="all")
    staged(so=course.error is None, what="the run did not end")
    return consortium, uploads_of(course)


@pytest.fixture
def coordinator(tmp_path: Path, run_once: tuple[Consortium, list[bytes]]) -> Path:
    """The directory of the coordinator, a copy for each test."""
    there = run_once[0].run.path.parents[1]
    return Path(shutil.copytree(there, tmp_path / "coordinator"))


@pytest.fixture
def ended(
    coordinator: Path, run_once: tuple[Consortium, list[bytes]]
) -> tuple[Consortium, list[bytes]]:
    """The run in that directory, and the uploads."""
    consortium, uploads = run_once
    return replace(consortium, run=RunDirectory(coordinator / "runs" / RUN)), uploads


def uploads_of(course: Course) -> list[bytes]:
    """Return all uploads of a run, as they passed on the line."""
    replies = [
        read_reply(answer)
        for passing, answer in course.seen
        if passing.kind in SEALED and not refusal(answer)
    ]
    return [one for reply in replies for one in (reply.upload, reply.count_upload) if one]


def held_at(coordinator: Path, uploads: list[bytes]) -> int:
    """Return how many of the uploads stand in any file of the coordinator's, whole or in part.

    The sites of a run on one machine are in its directory, too, and keep their own answers.
    """
    files = [
        path.read_bytes()
        for path in coordinator.rglob("*")
        if path.is_file() and "sites" not in path.parts
    ]
    pieces = [upload[len(upload) // 2 :][:64] for upload in uploads]
    return sum(any(piece in content for content in files) for piece in pieces)


def delete(coordinator: Path, *options: str) -> str:
    """Let the operator delete uploads; return what the command says."""
    words = ["coordinator", "delete-uploads", str(coordinator), *options]
    done = CliRunner().invoke(program, words)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def test_after_the_audit_no_upload_is_left(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    consortium, uploads = ended
    staged(so=held_at(coordinator, uploads) == len(uploads) > 0, what="uploads were not kept")
    assert set(consortium.audited().values()) == {""}
    assert delete(coordinator, "--name", RUN) == f"{number_of(len(uploads), 'upload')} deleted"
    assert held_at(coordinator, uploads) == 0


def test_what_came_before_the_clock_was_set_back_goes_too(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    consortium, uploads = ended
    ahead = (datetime.now(UTC) + timedelta(days=400)).timestamp()
    for path in consortium.run.vault.rglob("upload-*"):
        os.utime(path, (ahead, ahead))
    assert delete(coordinator) == f"{number_of(len(uploads), 'upload')} deleted"
    assert held_at(coordinator, uploads) == 0


def test_without_an_operator_no_upload_of_a_run_that_ended_is_older_than_the_rule_says(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    _, uploads = ended
    now = datetime.now(UTC)
    assert delete_old_uploads(coordinator, now=now + timedelta(days=29)) == 0
    assert held_at(coordinator, uploads) == len(uploads)
    assert delete_old_uploads(coordinator, now=now + timedelta(days=31)) == len(uploads)
    assert held_at(coordinator, uploads) == 0


def test_what_a_death_left_half_written_goes_too(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    consortium, uploads = ended
    folder = consortium.run.vault / "round-1" / "updates"
    (folder / "upload-east.bin").rename(folder / ".upload-east.bin.partial")
    delete(coordinator)
    assert held_at(coordinator, uploads) == 0


def test_uploads_that_were_deleted_accuse_nobody_and_clear_nobody(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    """Also if the coordinator died after it had deleted the first of them."""
    consortium, _ = ended
    sums = {f"round {check.split()[1]} {check.split()[0]}" for check in consortium.audited()}
    delete(coordinator)
    auditor = consortium.auditor(*NAMES)
    assert list(auditor.check_sums()) == []
    assert set(auditor.sums_with_deleted_uploads()) == sums


def test_an_upload_that_is_missing_by_no_rule_is_told(
    ended: tuple[Consortium, list[bytes]],
) -> None:
    consortium, _ = ended
    (consortium.run.vault / "round-1" / "updates" / "upload-east.bin").unlink()
    assert "did not keep the upload" in consortium.audited()["updates 1"]


def test_uploads_of_a_run_in_progress_stay(
    coordinator: Path, ended: tuple[Consortium, list[bytes]]
) -> None:
    consortium, uploads = ended
    with hold_leadership(consortium.run.leader):
        assert delete(coordinator) == "0 uploads deleted"
        words = ["coordinator", "delete-uploads", str(coordinator), "--name", RUN]
        assert CliRunner().invoke(program, words).exit_code != 0
    assert held_at(coordinator, uploads) == len(uploads)
