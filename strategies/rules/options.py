"""What the rules are told."""

import math
from dataclasses import dataclass

from privacy.errors import ConsortiumError


class OptionRefused(ConsortiumError, ValueError):
    """An option of a rule is out of its range."""


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
        if self.num_byzantine < 0:
            raise OptionRefused(f"num_byzantine must be at least 0, got {self.num_byzantine}")
        if not (self.clip_norm > 0 and math.isfinite(self.clip_norm)):
            raise OptionRefused(f"clip_norm must be finite and above 0, got {self.clip_norm}")
        if not 0 <= self.momentum < 1:
            raise OptionRefused(f"momentum must be in [0, 1), got {self.momentum}")
        if self.iterations < 1:
            raise OptionRefused(f"iterations must be at least 1, got {self.iterations}")
