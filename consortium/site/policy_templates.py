"""Policies to begin with: the strict one of a new site, and the one of a scenario."""

from typing import get_args

from consortium.charter.document import Charter
from consortium.config import ENCODER
from privacy.differential.mechanisms import Unit
from privacy.policy.document import LEARNERS, Pace, Policy, PrivacyTerms, Releases, Volume
from sites.plans import ModelName

MODELS: tuple[str, ...] = (*get_args(ModelName), ENCODER)

_NO_LIMIT = 2**62


def strict(charter: Charter) -> Policy:
    """Return the policy that a new member of a consortium starts with.

    It names the charter's task and columns; everything else is the strict default, so it allows
    training and no exact sums. Its operator decides what is loosened, by editing the file.
    """
    return Policy(tasks=(charter.task,), models=MODELS, columns=charter.table.columns)


def for_a_scenario(charter: Charter, *, unit: Unit = "record") -> Policy:
    """Return the policy of a site that exists on one machine, to try things: never of a real one.

    It allows what the scenario's charter does, encrypted or not, with or without noise, as often
    as asked, and shows figures of single sites from ten persons of each class on.

    Args:
        charter: Of the scenario.
        unit: By what the ledger counts.
    """
    return Policy(
        tasks=(charter.task,),
        models=MODELS,
        # Whoever stages a scenario owns all of its sites, and may add up what it likes.
        learners=LEARNERS,
        columns=charter.table.columns,
        max_dim=_NO_LIMIT,
        require_encryption=charter.floors.encrypted,
        privacy=PrivacyTerms(required=False, unit=unit, ceilings={}),
        min_examples=0,
        min_sites=1,
        pace=Pace(rounds_per_run=_NO_LIMIT, rounds_per_day=_NO_LIMIT, messages_per_hour=_NO_LIMIT),
        volume=Volume(per_message=_NO_LIMIT, per_round=_NO_LIMIT),
        releases=Releases(
            own_figures=True,
            minimum_pooled=0,
            examples_rounded_to=1,
            # What a scenario lets out is seen by who staged it, who has all records anyway.
            evaluation_rosters="any",
            refusal_counts=True,
        ),
    )
