"""What another library says that events cost: Opacus, beside the figure that is counted.

Epsilon is counted with dp-accounting. Opacus' PRV accountant (Gopi et al. 2021, arXiv:2106.02848)
shares no code with it and discretises another quantity, so an error in one of the two shows as a
difference. It loads torch, which takes seconds: it is asked only where a person wants it.
"""

import warnings
from collections.abc import Sequence

from privacy.differential.accounting import epsilon, require_delta
from privacy.differential.mechanisms import Gaussian, HeldOut, Mechanism, SampledGaussian, Unit

ERROR = 0.01  # of epsilon, by which the figure may be above the true one; and a thousandth of it
LARGEST = 500.0  # an epsilon above it protects nobody, and would take minutes


def opacus_epsilon(
    events: Sequence[Mechanism], delta: float, *, unit: Unit = "person"
) -> float | None:
    """Return an upper bound by Opacus of the epsilon that events cost the units of a data set.

    Guarantee: it is at most `ERROR` and a thousandth above the true epsilon, by Opacus' own
    promise.

    Args:
        events: All of them.
        delta: At least `SMALLEST_DELTA`, below 1.
        unit: Whom to protect.

    Returns:
        Epsilon; None where Opacus has no way to say it: an event was made for another unit, or
        the loss is above `LARGEST`.

    Raises:
        BadTarget: Delta is out of range.
    """
    require_delta(delta)
    history = _history(events, unit)
    if history is None:
        return None
    if not history:
        return 0.0
    about = epsilon(events, delta, unit=unit)
    if about > LARGEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's import, and of Renyi orders Opacus tries first
        from opacus.accountants import PRVAccountant

        accountant = PRVAccountant()
        accountant.history = history
        # Its upper bound is up to twice `eps_error` above the truth.
        within = (ERROR + about / 1_000) / 2
        return float(accountant.get_epsilon(delta, eps_error=within))


def _history(events: Sequence[Mechanism], unit: Unit) -> list[tuple[float, float, int]] | None:
    """Return noise multiplier, sampling rate and steps of each event, as Opacus keeps them."""
    history = []
    for event in events:
        match event:
            case HeldOut():
                continue
            case _ if event.unit != unit:
                return None
            case SampledGaussian():
                history.append((event.noise_multiplier, event.sampling_rate, event.steps))
            case Gaussian():
                history.append((event.noise_multiplier, 1.0, event.count))
    return history
