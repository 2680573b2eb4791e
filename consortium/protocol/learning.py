"""Which learner a run has, and what its config may not ask of one.

A module of its own because both ends and the other modules of the protocol ask it.
"""

from collections.abc import Sequence

from consortium.charter.document import Charter
from consortium.config import KEYS, BadConfig, RunConfig
from privacy.differential.noisy_counts import require_deviation
from sites.learner import BoundsEachRecord, Learner
from sites.learners.registry import learner_for
from sites.schema.tables import Schema

_OF_UPDATES = (
    "rule.",
    "server-optimizer.",
    "buckets",
    "fraction",
    "personalise",
    "schedule",
    "compression",
    "prune-to",
)
_OF_STEPS = ("dp.clip-norm", "dp.sampling-rate", "dp.steps")


def learner_of(charter: Charter, config: RunConfig) -> Learner:
    """Return the learner of a run: the same at both ends.

    Raises:
        BadPlan: The run names a learner that cannot learn from the charter's records.
    """
    return learner_for(charter.task, charter.table, config.learning_with(charter.names))


def require_exact_sums(config: RunConfig, charter: Charter) -> None:
    """Check that a run of exact tallies asks for nothing that only updates have.

    A lie in a tally is bounded by its range and cannot be out-voted: all sites are summed.

    Raises:
        BadConfig: A rule, buckets, a share of the sites or a server optimizer was chosen for a
            learner that sends tallies, or noise that its tallies cannot have.
        BadDeviation: The noise would fill the tallies.
    """
    learner = learner_of(charter, config)
    if not learner.contribution.exact:
        return
    bounded = isinstance(learner, BoundsEachRecord)
    # Every setting is named at once, so that a config needs correcting only once.
    wrong = _other_than_default(config, (*_OF_UPDATES, *(_OF_STEPS if bounded else ("dp.",))))
    if wrong:
        raise BadConfig(
            f"{learner.name} sends exact tallies, of which the plain sum over all sites is "
            "taken: no rule, bucket, share of the sites, server optimizer, schedule, compression "
            f"or {'step of private training' if bounded else 'noise'} applies to them. "
            f"Set {', '.join(wrong)}{_instead(learner, wrong)}"
        )
    noise = config.learning.noise
    if noise is not None and isinstance(learner, BoundsEachRecord):
        if noise.epsilon and not noise.delta:
            raise BadConfig(
                f"{learner.name} adds the same noise at every site, so that the results can say "
                "how much: with dp.epsilon set dp.delta too, to at most one tenth of one over the "
                "number of persons of the largest site"
            )
        require_deviation(learner.noise_scales, deviation=noise.deviation)


def require_personal_part(config: RunConfig, charter: Charter) -> None:
    """Check that the model of a run has what each site is to train for itself.

    Raises:
        BadConfig: It has no normalisation layers, or they are not trained.
    """
    if config.personal.method != "own-norms":
        return
    if isinstance(charter.table, Schema):
        raise BadConfig(
            "personalise=own-norms: a model of a table has no normalisation layers; choose "
            "fine-tune, ditto or own-head"
        )
    if config.text_model.travels not in ("full", "top-k"):
        raise BadConfig(
            "personalise=own-norms trains normalisation layers, and with travels="
            f"{config.text_model.travels} they are not trained: set travels to full or top-k, or "
            "choose fine-tune, ditto or own-head"
        )


def _instead(learner: Learner, wrong: Sequence[str]) -> str:
    """Return what to do where somebody asks for noise that cannot be added."""
    if not learner.noisy_instead or not any(one.startswith("dp.") for one in wrong):
        return ""
    return f"; or, where privacy is demanded, choose {learner.noisy_instead}"


def _other_than_default(config: RunConfig, keys: tuple[str, ...]) -> list[str]:
    """Return what to set of these keys, all of which have a default that applies."""
    return [
        f"{key} to {KEYS[key]}"
        for key, value in config.flat().items()
        if key.startswith(keys) and value != KEYS[key]
    ]
