"""How a site trains so that nobody's records can be told from the model."""

from dataclasses import dataclass
from typing import Literal

from privacy.errors import ConsortiumError


class BadPrivacyPlan(ConsortiumError, ValueError):
    """A privacy plan has a value out of range."""


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """Differentially private gradient descent, as it is done and as it is counted.

    Every field is public; who a site's persons are is not in it.

    Args:
        unit: Who is protected: a `person` with all records, or each `record` by itself.
        noise_multiplier: Standard deviation of the noise of a step over `clip_norm`, above 0.
        clip_norm: Most that one unit moves the sum of a step, in L2, above 0.
        sampling_rate: Probability that a unit is in a step, in (0, 1].
        steps: Steps in a round, at least 1.
        max_records_per_person: Records of a person that are trained on, at least 1; which ones,
            a draw by `cap_seed` and the person alone decides.
        cap_seed: Of that draw; it protects nobody.
        rows_at_once: Records whose gradients are taken together: memory against speed, and
            nothing else.

    Raises:
        BadPrivacyPlan: A value is out of range.
    """

    unit: Literal["person", "record"] = "person"
    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    steps: int
    max_records_per_person: int = 16
    cap_seed: int = 0
    rows_at_once: int = 1024

    def __post_init__(self) -> None:
        ranges = {
            "noise_multiplier": (0 < self.noise_multiplier <= 1e6, "above 0, at most 1e6"),
            "clip_norm": (1e-6 <= self.clip_norm <= 1e6, "in [1e-6, 1e6]"),
            "sampling_rate": (0 < self.sampling_rate <= 1, "in (0, 1]"),
            "steps": (self.steps >= 1, "at least 1"),
            "max_records_per_person": (self.max_records_per_person >= 1, "at least 1"),
            "rows_at_once": (self.rows_at_once >= 1, "at least 1"),
        }
        for name, (fits, needed) in ranges.items():
            if not fits:
                raise BadPrivacyPlan(f"{name} must be {needed}, got {getattr(self, name)}")
