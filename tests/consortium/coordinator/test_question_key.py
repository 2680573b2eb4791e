"""The key with which a coordinator signs its questions, from its directory to the charter."""

from pathlib import Path

import pytest

from consortium.charter.document import Charter
from consortium.cli.main import app as consortium
from consortium.coordinator.question_key import NoQuestionKey, signer_of_questions
from consortium.run.directory import COORDINATOR, RunDirectory
from privacy.protocol.signed_question import QuestionDigests
from tests.consortium.founded import Founded, found
from tests.typed import typed

QUESTION = QuestionDigests.of("ab" * 32, 3, 1, [b""] * 6)


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    """Three sites and a coordinator that have set up everything."""
    return found(tmp_path / "c")


@pytest.fixture
def named(founded: Founded, tmp_path: Path) -> Charter:
    """A charter that names the coordinator's key, as the commands make it."""
    key = tmp_path / "coordinator.key"
    key.write_text(typed(consortium, "coordinator", "key", founded.coordinator))
    drafted, revised = tmp_path / "charter.json", tmp_path / "revised.json"
    founded.charter.write(drafted)
    typed(consortium, "charter", "revise", drafted, "--to", revised, "--coordinator-key", key)
    return Charter.read(revised)


def test_a_deployed_coordinator_signs_with_the_key_that_the_charter_names(
    founded: Founded, named: Charter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    assert signer_of_questions(run, founded.charter) is None
    with pytest.raises(NoQuestionKey, match="bring the file"):
        signer_of_questions(run, named)
    monkeypatch.setenv(COORDINATOR, str(founded.coordinator))
    sign = signer_of_questions(run, named)
    assert sign is not None
    QUESTION.verify(bytes.fromhex(named.coordinator_key), QUESTION.sign(sign))


def test_the_key_is_the_same_whenever_it_is_shown(founded: Founded, named: Charter) -> None:
    shown = typed(consortium, "coordinator", "key", founded.coordinator).strip()
    assert shown == named.coordinator_key
    assert "question.secret" in {path.name for path in founded.coordinator.rglob("*.secret")}


@pytest.mark.parametrize("key", ["", "00", "zz" * 32, "01" + "00" * 31])
def test_what_is_no_usable_key_does_not_get_into_a_charter(
    founded: Founded, tmp_path: Path, key: str
) -> None:
    """The last is of small order: anybody could sign under it."""
    drafted, file = tmp_path / "charter.json", tmp_path / "key"
    founded.charter.write(drafted)
    file.write_text(key)
    words = ("charter", "revise", drafted, "--to", tmp_path / "to.json", "--coordinator-key", file)
    if key:
        with pytest.raises(AssertionError, match="BadCharter"):
            typed(consortium, *words)
    else:
        typed(consortium, *words)
        assert not Charter.read(tmp_path / "to.json").coordinator_key
