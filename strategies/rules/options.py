"""What the rules are told."""

import math
from dataclasses import dataclass

from privacy.errors import ConsortiumError


class OptionRefused(ConsortiumError, ValueError):
    """An option of a rule is out of its range."""

    code = "option-refused"


def at_least(least: int, **option: int) -> None:
    """Refuse an option, given by its name, that is below the least.

    Raises:
        OptionRefused: It is.
    """
    for name, value in option.items():
        if value < least:
            raise OptionRefused(f"{name} must be at least {least}, got {value}")


def positive(**option: float) -> None:
    """Refuse an option, given by its name, that is not a finite number above 0.

    Raises:
        OptionRefused: It is not.
    """
    for name, value in option.items():
        if not (value > 0 and math.isfinite(value)):
            raise OptionRefused(f"{name} must be finite and above 0, got {value}")


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """What the rules are told; each takes what concerns it.

    Args:
        num_byzantine: Liars to survive, f in the formulas, at least 0.
        clip_norm: Largest L2 norm that counts in full, above 0.
        momentum: Of centred clipping: how much of the last aggregate stays, in [0, 1).
        iterations: Of centred clipping: steps from the last aggregate, at least 1.

    Raises:
        OptionRefused: An option is out of its range.
    """

    num_byzantine: int = 0
    clip_norm: float = 10.0
    momentum: float = 0.0
    iterations: int = 1

    def __post_init__(self) -> None:
        at_least(0, num_byzantine=self.num_byzantine)
        at_least(1, iterations=self.iterations)
        positive(clip_norm=self.clip_norm)
        if not 0 <= self.momentum < 1:
            raise OptionRefused(f"momentum must be in [0, 1), got {self.momentum}")
