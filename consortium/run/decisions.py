"""What is said of a model whose threshold separates nobody, and of its probabilities."""

from typing import Literal

from consortium.wording.formatting import count, percent

_HALF = 0.5


def flags_clause(which: Literal["none", "all"], records: int) -> str:
    """Return whom the usual threshold flags, if it separates nobody."""
    return f"flags {which} of the {count(records)} held-out records"


def one_sided_warning(which: Literal["none", "all"], records: int) -> str:
    """Return that the usual threshold separates nobody, and what to do."""
    return (
        f"At a score of 0.5 or more the model {flags_clause(which, records)}: choose a threshold "
        "for its purpose; the report lists some."
    )


def calibration_sentence(
    predicted: float, observed: float, interval: tuple[float, float], *, class_balance: str
) -> str:
    """Return whether probabilities are right on average, and why they are not.

    Args:
        predicted: Mean predicted probability.
        observed: Share of records for which it came true.
        interval: The 95 % interval of that share.
        class_balance: What the run did about rare classes.
    """
    low, high = interval
    told = f"{percent(predicted)} predicted, {percent(observed)} came true"
    if low <= predicted <= high:
        return (
            f"On average its probabilities are right within chance: {told} (95 % interval: "
            f"{percent(low)} to {percent(high)})."
        )
    way = "high" if predicted > high else "low"
    because = (
        f" The run balanced the classes (class-balance={class_balance}), which inflates the "
        "probability of the rare class."
        if class_balance != "none" and (predicted > high) == (observed < _HALF)
        else ""
    )
    return (
        f"On average its probabilities are too {way}: {told} (95 % interval: {percent(low)} to "
        f"{percent(high)}).{because} Its scores put records in order; do not read them as chances."
    )
