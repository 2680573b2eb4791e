"""Privacy events: frozen descriptions of the mechanisms that were applied, never their cost.

A description is public: it holds nothing computed from records. Its canonical form is stored in
ledgers that outlive this program. So an event kind is never removed and never changes its
meaning; a new meaning gets a new kind.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from privacy.errors import ConsortiumError

if TYPE_CHECKING:  # loaded where an epsilon is computed
    from dp_accounting import DpEvent

Unit: TypeAlias = Literal["record", "person"]
UNITS: tuple[Unit, ...] = get_args(Unit)
AddOrRemove: TypeAlias = Literal["add-or-remove-one"]

_MOST = 10**9
_MOST_RECORDS = 10**5


class BadEvent(ConsortiumError, ValueError, code="bad-event"):
    """An event has a value out of range, or its written form is not the canonical one."""


@dataclass(frozen=True, kw_only=True)
class SampledGaussian:
    """Steps of noisy gradient descent, each on a Poisson sample of the units.

    Args:
        noise_multiplier: Standard deviation of a step's noise, divided by `clip_norm`.
        sampling_rate: Probability that a unit is in a step, in (0, 1].
        steps: Number of steps, at least 1.
        clip_norm: Most that one unit moves a step's sum, in L2; epsilon does not depend on it.
        unit: Unit of privacy, by which a step was clipped and sampled.
        max_records_per_person: Where each record is a unit, the most records of one person. 0
            means unknown: then persons are not protected at all.
        neighbouring: Two data sets are neighbours when one has one unit more than the other.

    Raises:
        BadEvent: A value is out of range.
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int
    clip_norm: float
    unit: Unit
    max_records_per_person: int = 0
    neighbouring: AddOrRemove = "add-or-remove-one"

    def __post_init__(self) -> None:
        _require_noise(self.noise_multiplier)
        _require("sampling_rate", _finite(self.sampling_rate) and 0 < self.sampling_rate <= 1)
        _require("steps", _counts(self.steps))
        _require("clip_norm", _finite(self.clip_norm) and self.clip_norm > 0)
        _require_whom(self.unit, self.max_records_per_person, self.neighbouring)

    def to_dp_event(self) -> "DpEvent":
        """Return the event in dp-accounting's form, for the event's own unit."""
        import dp_accounting as dp

        step = dp.PoissonSampledDpEvent(
            self.sampling_rate, dp.GaussianDpEvent(self.noise_multiplier)
        )
        return dp.SelfComposedDpEvent(step, self.steps)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Figures computed from all units and released with Gaussian noise.

    Args:
        noise_multiplier: Standard deviation of the noise, divided by `sensitivity`.
        count: Number of vectors released, at least 1.
        sensitivity: Most that one unit moves a vector, in L2; epsilon does not depend on it.
        unit: Unit of privacy whose contribution is bounded.
        max_records_per_person: As for `SampledGaussian`.
        neighbouring: As for `SampledGaussian`.

    Raises:
        BadEvent: A value is out of range.
    """

    noise_multiplier: float
    count: int
    sensitivity: float
    unit: Unit
    max_records_per_person: int = 0
    neighbouring: AddOrRemove = "add-or-remove-one"

    def __post_init__(self) -> None:
        _require_noise(self.noise_multiplier)
        _require("count", _counts(self.count))
        _require("sensitivity", _finite(self.sensitivity) and self.sensitivity > 0)
        _require_whom(self.unit, self.max_records_per_person, self.neighbouring)

    def to_dp_event(self) -> "DpEvent":
        """Return the event in dp-accounting's form, for the event's own unit."""
        import dp_accounting as dp

        return dp.SelfComposedDpEvent(dp.GaussianDpEvent(self.noise_multiplier), self.count)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Figures of persons who are in no training set, released without noise.

    It costs nothing for the persons in the training set. It does not protect the held-out persons
    at all. It is recorded so that a privacy officer sees every release.

    Args:
        what: What was released, such as `evaluation`: 1 to 128 printable ASCII characters.
    """

    what: str

    def __post_init__(self) -> None:
        _require_name_of_release(self.what)

    def to_dp_event(self) -> "DpEvent":
        """Return dp-accounting's event for 'nothing was done to the training set'."""
        import dp_accounting as dp

        return dp.NoOpDpEvent()


@dataclass(frozen=True, kw_only=True)
class WithoutNoise:
    """What was computed from training records left the site without noise: epsilon is infinite.

    It is no `Mechanism`: it is listed beside the budget of private runs, and no budget holds it.

    Args:
        what: What left, such as `updates`: 1 to 128 printable ASCII characters.
    """

    what: str

    def __post_init__(self) -> None:
        _require_name_of_release(self.what)


Mechanism: TypeAlias = SampledGaussian | Gaussian | HeldOut
Release: TypeAlias = WithoutNoise | HeldOut

_KINDS: dict[str, type[SampledGaussian | Gaussian | HeldOut | WithoutNoise]] = {
    "sampled-gaussian/1": SampledGaussian,
    "gaussian/1": Gaussian,
    "held-out/1": HeldOut,
    "without-noise/1": WithoutNoise,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def kind_of(event: Mechanism | WithoutNoise) -> str:
    """Return the name and version of an event's kind."""
    return _NAMES[type(event)]


def to_json(event: Mechanism | WithoutNoise) -> str:
    """Return the canonical text of an event: one event has one text."""
    return _text({"kind": kind_of(event), **asdict(event)})


def from_json(text: str) -> Mechanism | WithoutNoise:
    """Parse what `to_json` wrote.

    Raises:
        BadEvent: The text is anything else, or a value is out of range.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        event = _KINDS[fields.pop("kind")](**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, BadEvent):
            raise
        raise BadEvent("this text is not an event of a known kind") from error
    if to_json(event) != text:
        raise BadEvent("this text is not the canonical form of its event")
    return event


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _require(name: str, fits: bool) -> None:
    if not fits:
        raise BadEvent(f"{name} of an event is out of range")


def _require_name_of_release(what: str) -> None:
    _require("what", 1 <= len(what) <= 128 and what.isascii() and what.isprintable())


def _require_noise(noise_multiplier: float) -> None:
    _require("noise_multiplier", _finite(noise_multiplier) and 0 < noise_multiplier <= _MOST)


def _require_whom(unit: str, max_records: int, neighbouring: str) -> None:
    _require("unit", unit in UNITS)
    fits = type(max_records) is int and 0 <= max_records <= _MOST_RECORDS
    _require("max_records_per_person", fits)
    _require("neighbouring", neighbouring in get_args(AddOrRemove))


def _finite(value: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _counts(value: int) -> bool:
    return type(value) is int and 1 <= value <= _MOST
