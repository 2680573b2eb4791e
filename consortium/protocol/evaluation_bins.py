"""The evaluation of a run and its score bins, as both ends derive them."""

from consortium.charter.document import Charter
from consortium.config import RunConfig
from privacy.layout import Tally
from sites.evaluation.contract import (
    Evaluation,
    bins_after,
    evaluation_for,
    in_bins,
    scores_are_binned,
)
from sites.evaluation.score_bins import ScoreBins, first_bins
from strategies.score_bins import BinSteps


def evaluation_of(config: RunConfig, charter: Charter) -> Evaluation:
    """Return the evaluation of a run, with the groups that it declares.

    Raises:
        UnknownSubgroup: It declares groups that the charter's records do not have.
        BadPlan: It counts a later period of records without columns.
    """
    return evaluation_for(charter.table, config.counting)


def bin_steps(config: RunConfig, charter: Charter) -> BinSteps:
    """Return how the bins of a run's evaluations follow one another.

    They stay the same in a run that counts as version 0.1.0 did, and where no bins are needed.
    """
    evaluation = evaluation_of(config, charter)

    parsed: dict[bytes, Evaluation] = {}

    def counting_by(bins: bytes) -> Evaluation:
        # A coordinator checks the tally of each site of a round by the same bins.
        if bins not in parsed:
            parsed.clear()
            parsed[bins] = in_bins(evaluation, ScoreBins(bins))
        return parsed[bins]

    def after(bins: bytes, tally: Tally) -> bytes:
        return bins_after(counting_by(bins), tally).encoded

    def check(bins: bytes, tally: Tally) -> None:
        counting_by(bins).check(tally)

    follow = config.score_bins == "following" and scores_are_binned(evaluation)
    return BinSteps(first=first_bins().encoded if follow else b"", after=after, check=check)
