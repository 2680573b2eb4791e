"""What is said of values that were beyond the scale of an encrypted run, and what to set."""

from collections.abc import Mapping

from consortium.wording.formatting import count_with_noun

_MOST_ROUNDS = 8
_TRY = 16


UNCOUNTED = (
    "With scale-rule=doubling, as in version 0.1.0, nobody counts the values that are cut off. Set "
    "scale-rule to following: scales then leave room, and the values are counted."
)


def saturation_warning(
    values: Mapping[int, int], *, first_scale: float, liars: int = 0, uncounted: int = 0
) -> str:
    """Return how many values were cut off, in which rounds, and what to set; "" if none were.

    Args:
        values: Saturated values by round, none of them 0.
        first_scale: The setting `first-scale` of the run.
        liars: The number of lying sites that the run expects.
        uncounted: Rounds of training of which nobody released the number.
    """
    if not values:
        return ""
    rounds = sorted(values)
    number = sum(values.values())
    was = "was" if number == 1 else "were"
    cut = (
        f"{count_with_noun(number, 'value')} of the sites' updates {was} beyond the scale and "
        f"{was} cut off, in {_named_rounds(rounds)}. The model is not quite that of a run in the "
        "clear."
    )
    # What round 1 cuts off makes the next scales too small as well: its cause is mended first.
    advice = (
        f"Set first-scale higher, to {_TRY * first_scale:g} say; the charter's largest_scale "
        "bounds it."
        if rounds[0] == 1
        else "Updates grew faster than scale-rule=following lets scales grow: set a lower "
        "learning-rate or fewer local-epochs, or agree on a larger largest_scale in the charter."
    )
    # A liar's huge value is cut off as well, and may be all there is.
    whose = " They may be those of sites that lie, which this run expects." if liars else ""
    rest = (
        f" {count_with_noun(uncounted, 'other round')} counted no such values: there may be more."
        if uncounted
        else ""
    )
    return f"{cut}{rest}{whose} {advice}"


def _named_rounds(rounds: list[int]) -> str:
    if len(rounds) > _MOST_ROUNDS:
        return f"{len(rounds)} rounds from {rounds[0]} to {rounds[-1]}"
    named = ", ".join(str(one) for one in rounds)
    return f"round{'s' if len(rounds) > 1 else ''} {named}"
