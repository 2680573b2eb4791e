"""The evidence that a site gives: what it holds, and what it does not."""

from pathlib import Path

from consortium.audit.cross_check import gather_evidence, read_log
from consortium.cli.main import app as consortium_commands
from tests.small_consortium import Consortium, Course, forget_processes
from tests.typed import typed


def test_the_evidence_holds_every_question_and_no_secret(tmp_path: Path) -> None:
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start()
    assert course.error is None
    given = tmp_path / "given"
    typed(consortium_commands, "audit", "evidence", consortium.run.site("east"), "--out", given)
    files = {path.name for path in given.rglob("*") if path.is_file()}
    assert files == {"log.jsonl", "public.json"}
    (evidence,) = gather_evidence([given], consortium.charter)
    assert (evidence.site, evidence.failed) == ("east", frozenset())
    # Statistics, three rounds, the evaluation and the release.
    assert [question.server_round for question in evidence.questions] == [0, 1, 2, 3, 4, 5]
    assert read_log(given / "audit" / "log.jsonl", consortium.charter).key_from_charter


def test_the_log_of_a_stranger_is_no_evidence(tmp_path: Path) -> None:
    forget_processes()
    ours, theirs = Consortium.placed(tmp_path / "ours"), Consortium.placed(tmp_path / "theirs")
    course: Course = theirs.start()
    assert course.error is None
    others = theirs.charter.model_copy(update={"members": theirs.charter.members[1:]})
    assert not gather_evidence([theirs.run.site("east")], others)
    assert gather_evidence([theirs.run.site("east")], theirs.charter)
    assert ours.charter.fingerprint != theirs.charter.fingerprint
