"""What is said of a loss that still fell, or rose again, at the end of a run, and what to set."""

from typing import Literal

from consortium.wording.formatting import count_with_noun, figure, percent, title_in_sentence
from consortium.wording.metric_glossary import meaning_of


def convergence_warning(
    course: Literal["falling", "settled", "rising"],
    *,
    change: float,
    fall: float,
    evaluations: int,
    rounds: int,
    lowest_after: int,
) -> str:
    """Return what a reader must know before the figures are believed; "" if the loss settled.

    Args:
        course: How the pooled loss ended.
        change: How much it changed over the last evaluations.
        fall: How far it fell in the whole run.
        evaluations: The number of the last evaluations.
        rounds: Rounds of training in the run.
        lowest_after: The rounds after which the loss was lowest.
    """
    if course == "settled":
        return ""
    part = f"{figure(abs(change))} of {figure(fall)}" if fall > 0 else figure(abs(change))
    if course == "falling":
        return (
            "The model had not converged: the pooled loss still fell when training ended (by "
            f"{part} over the last {evaluations} evaluations). More training would give another "
            "model and other figures; with another seed they may differ much. Set more rounds "
            f"(num-server-rounds, {rounds} here), more passes (local-epochs), smaller batches "
            "(batch-size) or a higher learning-rate."
        )
    return (
        f"The pooled loss was lowest after {count_with_noun(lowest_after, 'round')} and has risen "
        f"since (by {figure(change)} over the last {evaluations} evaluations): the model fits its "
        "training records better and others worse. Set fewer rounds (num-server-rounds, "
        f"{rounds} here), a lower learning-rate or more weight-decay."
    )


def convergence_sentence(loss: str, *, change: float, fall: float, evaluations: int) -> str:
    """Return that the loss had settled, with the figures by which that is said."""
    share = f", {percent(abs(change) / fall)} of its whole fall" if fall > 0 else ""
    return (
        f"By its loss the model had converged: over the last {evaluations} evaluations the pooled "
        f"{title_in_sentence(meaning_of(loss).title)} changed by {figure(abs(change))}{share}, or "
        "by no more than it scatters."
    )


def too_few_rounds(fewest: int) -> str:
    """Return that nobody can tell from so few rounds."""
    return (
        "Whether the model had converged cannot be told: that takes the pooled loss of at least "
        f"{fewest} rounds."
    )
