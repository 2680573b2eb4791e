"""Which learner a run has, and what its config may not ask of one.

A module of its own because both ends and the other modules of the protocol ask it.
"""

from collections.abc import Sequence

from consortium.charter.document import Charter
from consortium.config import KEYS, BadConfig, RunConfig
from sites.learner import Learner
from sites.learners.registry import learner_for

_OF_UPDATES = ("rule.", "server-optimizer.", "buckets", "fraction", "dp.")


def learner_of(charter: Charter, config: RunConfig) -> Learner:
    """Return the learner of a run: the same at both ends.

    Raises:
        BadPlan: The run names a learner that cannot learn from the charter's records.
    """
    return learner_for(charter.task, charter.table, config.learning)


def require_exact_sums(config: RunConfig, charter: Charter) -> None:
    """Check that a run of exact tallies asks for nothing that only updates have.

    A lie in a tally is bounded by its range and cannot be out-voted: all sites are summed.

    Raises:
        BadConfig: A rule, buckets, a share of the sites, a server optimizer or private training
            was chosen for a learner that sends tallies.
    """
    learner = learner_of(charter, config)
    if not learner.contribution.exact:
        return
    # Every setting is named at once, so that a config needs correcting only once.
    wrong = [
        f"{key} to {KEYS[key]}"
        for key, value in config.flat().items()
        if key.startswith(_OF_UPDATES) and value != KEYS[key]
    ]
    if wrong:
        raise BadConfig(
            f"{learner.name} sends exact tallies, of which the plain sum over all sites is "
            "taken: no rule, bucket, share of the sites, server optimizer or noise applies to "
            f"them. Set {', '.join(wrong)}{_instead(learner, wrong)}"
        )


def _instead(learner: Learner, wrong: Sequence[str]) -> str:
    """Return what to do where somebody asks for noise that cannot be added."""
    if not learner.reads_persons_exactly or not any(one.startswith("dp.") for one in wrong):
        return ""
    return "; or, where privacy is demanded, set learner to gradient, whose training has noise"
