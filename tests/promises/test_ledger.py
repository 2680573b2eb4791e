"""The ledger counts everything that left, with noise or without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.client.site_ledger import ledger_of
from privacy.differential.ledger_entries import Content
from privacy.policy.document import Ceiling, PrivacyTerms
from privacy.wire import messages
from tests.carrier import staged
from tests.consortium.private_ward import position, private_ward, trained
from tests.consortium.staged import Ward, code_of, ward
from tests.decisions import decide
from tests.small_consortium import Consortium, forget_processes

ONE_STEP: dict[str, Any] = {"dp.epsilon": 1.0, "dp.steps": 1, "num-server-rounds": 1}


def entries(at: Ward) -> tuple[Content, ...]:
    """Return all that a site's ledger holds."""
    with ledger_of(at.site.directory) as ledger:
        return ledger.entries()


@pytest.mark.parametrize("kind", [messages.TRAIN, messages.STATISTICS])
def test_what_leaves_without_noise_leaves_its_trace_beside_what_has_it(
    tmp_path: Path, kind: str
) -> None:
    """The policy allows both."""
    at = private_ward(tmp_path, seed=1, **ONE_STEP)
    terms = PrivacyTerms(required=False, ceilings={"*": Ceiling(epsilon=3.0, delta=1e-4)})
    decide(at.site.directory, privacy=terms)
    trained(at, at.vector() * 0, run="private")
    before = entries(at)
    staged(so=bool(before), what="the private run was not counted")
    forget_processes()
    plain = ward(tmp_path, "hungary", **{"num-server-rounds": 1, "seed": 1})
    counting = messages.question(plain.site.charter.fingerprint)
    asked = {messages.TRAIN: plain.position(plain.vector()), messages.STATISTICS: counting}
    sent = plain.ask(kind, asked[kind])
    assert code_of(sent) or len(entries(plain)) > len(before)


def models_in_turn(at: Ward) -> list[RecordDict]:
    """Return what a site answers that is asked to evaluate three models at the same place."""
    answers = []
    for number in range(3):
        vector = np.zeros(at.site.task.layout.dim)
        vector[0] = 50.0 * number
        answers.append(at.ask(messages.EVALUATE, position(at, vector, 5)))
    return answers


def logistic_ward(folder: Path) -> Ward:
    """A hospital in the clear that demands noise of whoever trains."""
    forget_processes()
    at = private_ward(folder, model="logistic")
    decide(at.site.directory, require_encryption=False)
    return at


def test_an_evaluation_without_training_leaves_its_trace(tmp_path: Path) -> None:
    at = logistic_ward(tmp_path)
    answers = models_in_turn(at)
    assert all(code_of(one) for one in answers) or entries(at)


def test_the_coordinator_does_not_choose_one_model_after_the_other_to_be_evaluated(
    tmp_path: Path,
) -> None:
    answers = models_in_turn(logistic_ward(tmp_path))
    assert sum(not code_of(one) for one in answers) <= 1


def test_an_encrypted_run_without_noise_leaves_its_trace_at_every_site(tmp_path: Path) -> None:
    """What is sealed leaves, too: who reads the model reads what it gave."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    consortium.start(num_server_rounds=2)
    for name in consortium.charter.names:
        with ledger_of(consortium.run.site(name)) as ledger:
            left = [(one.event.what, one.part) for one in ledger.releases()]
        assert left == [
            ("statistics", "statistics"),
            ("updates", "updates"),
            ("evaluation", "evaluation 2"),
            ("evaluation", "evaluation 3"),
        ]
