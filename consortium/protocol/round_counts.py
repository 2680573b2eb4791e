"""What a round of an encrypted run counts beside its evaluation, as run config and charter say.

Two things: how many values of the round's updates were beyond the scale, and the pairs of records
within each site. docs/protocol.md, "One round".
"""

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.learning import learner_of
from consortium.protocol.parameters import count_placement
from privacy.encryption.parameters import Placement
from privacy.layout import Tally
from sites.evaluation.contract import Evaluation, pair_counts
from sites.evaluation.pairs import PAIR_ENTRIES, PairCounts
from sites.learner import MovesInSteps
from sites.statistics.tally import ImpossibleTally
from strategies.round_counts import RoundCounts

# Who takes its own part off a sum over three sites has the pairs of two others, p n + q m, and the
# sums p + q and n + m: (p - q)(n - m) follows, and its few divisors tell how many records of each
# class either of them has. Over three others there are too many answers.
FEWEST_SITES_FOR_PAIRS = 4


def round_counts(config: RunConfig, charter: Charter, evaluation: int) -> RoundCounts:
    """Return what the sites of an encrypted run count in a round.

    Args:
        config: The run config; with `scale-rule=doubling` nobody counts saturated values, and with
            `score-bins=equal` nobody counts pairs, as in version 0.1.0.
        charter: The charter; a learner that sends exact integers has no scales, and only scores of
            two classes have pairs.
        evaluation: Entries of the evaluation counts.
    """
    saturation = (
        config.scale_rule == "following" and not learner_of(charter, config).contribution.exact
    )
    pairs = bool(bin_steps(config, charter).first)
    return RoundCounts(
        evaluation=evaluation,
        saturation=int(saturation),
        pairs=PAIR_ENTRIES if pairs else 0,
    )


def evaluation_step(config: RunConfig, charter: Charter) -> int:
    """Return after how many rounds the model of a run is evaluated, but for the last round.

    A model that changes only every few exchanges is evaluated when it has.
    """
    learner = learner_of(charter, config)
    exchanges = learner.exchanges_per_step if isinstance(learner, MovesInSteps) else 1
    return config.evaluate_every * exchanges


def asks_for_counts(config: RunConfig, charter: Charter, server_round: int) -> bool:
    """Return whether a round of training asks for the counts of the model that it starts from."""
    return (server_round - 1) % evaluation_step(config, charter) == 0


def num_evaluations(config: RunConfig, charter: Charter) -> int:
    """Return how often a run asks for counts: in some rounds, and of the final state."""
    return -(-config.num_server_rounds // evaluation_step(config, charter)) + 1


def round_counts_placement(config: RunConfig, charter: Charter, evaluation: int) -> Placement:
    """Return where the counts of a round stand in their ciphertexts."""
    return count_placement(config, charter, round_counts(config, charter, evaluation).size)


def check_saturation(counts: RoundCounts, summed: Tally, *, values: int) -> None:
    """Check that so many values can be saturated.

    Args:
        counts: Which entry is what.
        summed: Pooled counts, shape (counts.size,).
        values: Values in the updates of all sites together.

    Raises:
        ImpossibleTally: They cannot.
    """
    saturated = counts.saturated_of(summed)
    if saturated is not None and not 0 <= saturated <= values:
        raise ImpossibleTally(
            f"0 to {values} values of a round can be saturated; the sum says another number"
        )


def check_pairs(counts: RoundCounts, summed: Tally, evaluation: Evaluation) -> None:
    """Check that sites whose evaluation counts add up to these can have so many pairs.

    Args:
        counts: Which entry is what.
        summed: Pooled counts, shape (counts.size,).
        evaluation: By which they were counted.

    Raises:
        ImpossibleTally: They cannot.
    """
    entries = counts.pairs_of(summed)
    if entries is not None:
        pooled = pair_counts(evaluation, counts.evaluation_of(summed))
        PairCounts.from_entries(entries).check_among(pooled)
