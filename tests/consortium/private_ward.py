"""A hospital that trains privately, asked by hand."""

from pathlib import Path

import numpy as np
from flwr.app import RecordDict

from consortium.config import Scalar
from privacy.layout import Vector
from privacy.policy.document import Ceiling, PrivacyTerms
from privacy.wire import messages
from tests.consortium.staged import Ward, ward
from tests.decisions import decide

DP: dict[str, Scalar] = {
    "dp.unit": "person",
    "dp.epsilon": 2.0,
    "dp.steps": 5,
    "dp.sampling-rate": 0.2,
    "num-server-rounds": 4,
}


def private_ward(folder: Path, budget: float | None = 3.0, **chosen: Scalar) -> Ward:
    """A hospital with so much epsilon left."""
    chosen = {**DP, **chosen}
    at = ward(folder, "hungary", **chosen)
    ceilings = {} if budget is None else {"*": Ceiling(epsilon=budget, delta=1e-4)}
    decide(at.site.directory, privacy=PrivacyTerms(required=True, ceilings=ceilings))
    return at


def trained(
    at: Ward, vector: Vector, server_round: int = 1, *, run: str = "r"
) -> messages.Contribution:
    """Return what a hospital sends that trained from a vector."""
    task = at.site.task
    return messages.read_contribution(
        at.ask(messages.TRAIN, position(at, vector, server_round, run)),
        dim=task.layout.dim,
        tally_size=task.evaluation.layout.size,
        max_examples=10**9,
    )


def position(at: Ward, vector: Vector, server_round: int, run: str = "r") -> RecordDict:
    """Return a message that trains or evaluates from a vector; nothing was told before."""
    return messages.position(
        messages.Position(
            charter=at.site.charter.fingerprint,
            run=run,
            server_round=server_round,
            state=vector,
            statistics=np.zeros(at.site.task.statistics.layout.size, np.int64),
            score_bins=at.first_bins,
        )
    )
