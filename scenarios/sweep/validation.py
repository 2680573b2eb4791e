"""The part of the training records on which an experiment chooses between models.

It is a fifth of the training persons of each site, by a keyed hash, as the held-out persons are a
fifth of all: the same in each trial and for each way of training.
"""

import hashlib

from consortium.charter.document import Charter
from consortium.run.directory import RunDirectory
from consortium.site.validation_part import Use, ValidationPart

_TAG = "consortium.scenario-validation-key/1"


def judge_within_training(run: RunDirectory, *, seed: int) -> None:
    """Let the sites of a staged run judge models on a part of their training records.

    Guarantee: nobody who is held out is judged or trained on.
    """
    _set_part(run, "judged", seed)


def leave_validation_out(run: RunDirectory, *, seed: int) -> None:
    """Let the sites of a staged run train on nobody on whom models were judged."""
    _set_part(run, "left-out", seed)


def _set_part(run: RunDirectory, use: Use, seed: int) -> None:
    for name in Charter.read(run.charter).names:
        key = hashlib.sha256(f"{_TAG} {seed} {name}".encode()).hexdigest()
        ValidationPart(use=use, key=key).write(run.site(name))
