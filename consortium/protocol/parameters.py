"""What both ends of a run derive from its config and charter, and must derive alike."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.encrypted import encryption_of
from consortium.modes.registry import mode_of
from consortium.protocol.aggregation import rule_at, rule_spec
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.learning import learner_of
from consortium.protocol.run_state import Step, SumStep, UpdateStep
from privacy.compression.update_form import UpdateForm
from privacy.encryption.parameters import Placement, SealParameters
from privacy.layout import Layout, Vector
from privacy.protocol.envelope import UploadLabel
from privacy.protocol.upload import UploadHeader
from sites.plans import TrainingPlan
from strategies.server_optimizer import OPTIMIZERS, ServerOptimizer


def optimizer_for(config: RunConfig) -> ServerOptimizer:
    """Return the server optimizer of a run."""
    return OPTIMIZERS[config.server_optimizer.name](config.server_optimizer)


def seal_parameters(config: RunConfig, charter: Charter) -> SealParameters:
    """Return the parameters of the ciphertexts, exact for sums over all members.

    Raises:
        UnsoundParameters: The set cannot be exact for so many members.
    """
    return encryption_of(config).seal_parameters(config, charter)


def update_placement(
    config: RunConfig, charter: Charter, layout: Layout, server_round: int
) -> Placement:
    """Return where what is sent in a round stands in its ciphertexts: an update, or a tally."""
    sent = learner_of(charter, config).contribution
    size = config.pruning.size(sent.update_dim(layout.dim), server_round)
    dim = planes(config, server_round) * size
    return encryption_of(config).placement(config, charter, dim=dim, tally_size=sent.tally_size)


def update_form(
    config: RunConfig, layout: Layout, vector: NDArray[np.floating], server_round: int
) -> UpdateForm | None:
    """Return how an update travels in the clear; None for one number after another.

    Args:
        config: The coordinator's choices.
        layout: Of the federated vector.
        vector: The model that the round starts from, shape (dim,).
        server_round: The round.
    """
    if not config.packs_updates:
        return None
    return UpdateForm(
        layout=layout,
        codec=config.compression.codec,
        places=config.pruning.places(vector, server_round),
    )


def pruned_plan(
    config: RunConfig, plan: TrainingPlan, vector: Vector, server_round: int
) -> TrainingPlan:
    """Return a plan by which only the numbers move that are sent in a round.

    Args:
        config: The coordinator's choices.
        plan: How a site trains.
        vector: The model that the round starts from, shape (dim,).
        server_round: The round.
    """
    places = config.pruning.places(vector, server_round)
    if places is None:
        return plan
    moves = np.zeros(vector.size, np.uint8)
    moves[places] = 1
    return replace(plan, kept=np.packbits(moves).tobytes())


def packed_bytes(config: RunConfig, layout: Layout, server_round: int) -> int:
    """Return the bytes of an update in its own form; its length says nothing of its numbers."""
    size = config.pruning.size(layout.dim, server_round)
    return config.compression.codec.num_bytes(size, len(layout.fields))


def planes(config: RunConfig, server_round: int) -> int:
    """Return how many levels a value of an update takes in a round."""
    return 2 if config.scale_rule == "following" and server_round == 1 else 1


def count_placement(config: RunConfig, charter: Charter, tally_size: int) -> Placement:
    """Return where a tally stands in its ciphertexts."""
    return encryption_of(config).placement(config, charter, tally_size=tally_size)


def weight_classes(config: RunConfig, charter: Charter) -> tuple[int, ...]:
    """Return the weight classes that a run allows for what is sent in a round."""
    # The learner has the last word: a tally that was multiplied by a class would be no count.
    allowed = encryption_of(config).weight_classes(config)
    return learner_of(charter, config).contribution.weight_classes(allowed)


def upload_header(
    label: UploadLabel, config: RunConfig, layout: Layout, placement: Placement
) -> UploadHeader:
    """Return what stands before an upload's ciphertexts: its receipt signs both."""
    return UploadHeader(
        label=label,
        parameter_set=config.parameter_set,
        layout=bytes.fromhex(layout.digest),
        blocks=placement.num_ciphertexts,
    )


def descriptor(*, config: str, charter: str, layout: str) -> bytes:
    """Return the digest of the run descriptor: what a run's opening is bound to.

    Args:
        config: Digest of the run config, hexadecimal.
        charter: Fingerprint of the charter, hexadecimal.
        layout: Digest of the layout of the model, hexadecimal.
    """
    # Each site computes it by itself: of two sites that were told different configs, one refuses
    # the opening.
    described = {"version": 1, "config": config, "charter": charter, "layout": layout}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).digest()


def step_of(config: RunConfig, charter: Charter, layout: Layout) -> Step:
    """Return how an encrypted run moves at its sites."""
    spec, learner = rule_spec(config, charter), learner_of(charter, config)
    bins = bin_steps(config, charter).first
    # A learner that counts moves the model by the exact sum: there are no updates for a rule.
    if learner.move is not None:
        return SumStep(
            layout=layout,
            first_scale=config.first_scale,
            first_bins=bins,
            contribution=learner.contribution,
            move=learner.move,
        )
    parameters, follows = seal_parameters(config, charter), config.scale_rule == "following"
    floors, first = charter.floors, config.first_scale
    # Two planes square the number of levels: half of that makes the first round finer, half wider.
    wide = min(first * math.sqrt(parameters.levels), floors.largest_scale)
    return UpdateStep(
        layout=layout,
        parameters=parameters,
        rule_at=rule_at(config, spec),
        needs_memory=spec.needs_memory,
        optimizer=optimizer_for(config),
        # With one bucket there is no other mean that a huge one could spoil.
        clip_norm=config.rule.clip_norm if config.buckets > 1 else None,
        first_scale=wide if follows else first,
        first_bins=bins,
        scale_bounds=(floors.smallest_scale, floors.largest_scale),
        follows=follows,
        pruning=config.pruning,
    )


def compares_ledgers(config: RunConfig, charter: Charter) -> bool:
    """Return whether a run begins with a comparison of ledgers (docs/protocol.md).

    That is where training is private, or counts are exact and nobody reads them of one site, if
    all members have keys to sign with.
    """
    costs = config.privacy.offered is not None or not mode_of(config).coordinator_reads
    return costs and all(member.signing for member in charter.members)
