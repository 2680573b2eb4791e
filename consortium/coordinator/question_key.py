"""The key with which a coordinator signs its questions; the charter names its public half."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from consortium.charter.document import Charter
from consortium.run.directory import COORDINATOR, RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey


class NoQuestionKey(ConsortiumError, LookupError, code="no-question-key"):
    """The charter names a key of the coordinator, and the coordinator does not hold it."""


def signer_of_questions(run: RunDirectory, charter: Charter) -> Callable[[bytes], bytes] | None:
    """Return what signs questions of a run; None if the charter names no key of the coordinator.

    Raises:
        NoQuestionKey: The coordinator does not hold the key that the charter names.
        ExposedSecret: The key's file is open to others.
    """
    if not charter.coordinator_key:
        return None
    for path in _places(run):
        if path.exists():
            key = SigningKey.at(path)
            if key.public.hex() == charter.coordinator_key:
                return key.sign
    raise NoQuestionKey(
        "the charter names a key of the coordinator that is not in this coordinator's directory: "
        "bring the file secrets/question.secret back, or revise the charter with the public half "
        "of a new key (`consortium coordinator key`)"
    )


def _places(run: RunDirectory) -> Iterator[Path]:
    yield run.question_key
    judged = run.judged_run()
    if judged is not None:
        yield judged.question_key
    deployed = os.environ.get(COORDINATOR, "")
    if deployed:
        yield CoordinatorDirectory(Path(deployed)).question_key
