"""The inputs of the rules: updates in rows, checked, and read one block of columns at a time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from privacy.declarations import require_declared
from privacy.errors import ConsortiumError, number_of
from privacy.layout import Vector

LARGEST = float(np.finfo(np.float32).max)
WIDTH = 16_384  # columns of a block, unless there are so many rows that it must be narrower
_CHECKED_WIDTH = 262_144  # of values that are only looked at: nothing has to stay in the cache


class TooFewSites(ConsortiumError, ValueError, code="too-few-sites"):
    """There are fewer updates than the rule needs for its guarantee."""


class NonFiniteUpdate(ConsortiumError, ValueError, code="non-finite-update"):
    """An update holds NaN, infinity, or a value that float32 cannot carry."""


class WeightsRefused(ConsortiumError, ValueError, code="weights-refused"):
    """The weights are not positive, or they differ and the rule has no weighted form."""


class UpdatesRefused(ConsortiumError, ValueError, code="updates-refused"):
    """The updates are not one row of real numbers for each site."""


class Rows(Protocol):
    """Updates, one row for each site, shape (n_sites, dim): an array, or rows computed lazily."""

    @property
    def shape(self) -> Any:  # noqa: ANN401  # NumPy types it as any tuple
        """Number of sites, and dim."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:  # noqa: ANN401  # as NumPy does
        """Return a block of rows and columns."""


Rule: TypeAlias = Callable[[Rows, Vector], Vector]
SitesNeeded: TypeAlias = Callable[[int], int]


def honest_majority(num_byzantine: int) -> int:
    """Return the fewest sites of which more than half are honest."""
    return 2 * num_byzantine + 1


def admit(
    updates: Rows,
    weights: Vector,
    *,
    num_byzantine: int = 0,
    needs: SitesNeeded = lambda _num_byzantine: 1,
    weighted: bool = False,
) -> tuple[int, int]:
    """Check a rule's arguments, except the values of the updates; return n_sites and dim.

    Guarantee: every rule refuses the same arguments with the same messages. The values are checked
    by `checked_blocks`, through which every rule reads them, or by `measure_distances`.

    Args:
        updates: Shape (n_sites, dim), integers or floats of at most 64 bits.
        weights: Shape (n_sites,), each finite and above 0.
        num_byzantine: Byzantine sites that the rule must survive.
        needs: Returns the fewest rows with which the rule survives so many.
        weighted: Whether the rule has a weighted form; otherwise weights must be equal.

    Raises:
        OptionRefused: `num_byzantine` is negative.
        UpdatesRefused: The shape is wrong, or the numbers are not real.
        TooFewSites: There are fewer rows than the rule needs.
        WeightsRefused: A weight is not positive, or the rule has no weighted form.
    """
    require_at_least(0, num_byzantine=num_byzantine)
    if len(updates.shape) != 2 or updates.shape[1] < 1:
        raise UpdatesRefused(f"updates need shape (n_sites, dim), got {updates.shape}")
    if updates.dtype.kind not in "fiu" or updates.dtype.itemsize > 8:
        raise UpdatesRefused(
            f"updates need integers or floats of at most 64 bits, got {updates.dtype}"
        )
    n_sites, dim = updates.shape
    sites_needed = needs(num_byzantine)
    if n_sites < sites_needed:
        raise TooFewSites(
            f"the rule with num_byzantine={num_byzantine} needs at least "
            f"{number_of(sites_needed, 'site')}, "
            f"got {n_sites}: lower num_byzantine or wait for more sites",
            needed=sites_needed,
            got=n_sites,
        )
    _admit_weights(np.asarray(weights), n_sites, weighted=weighted)
    return n_sites, dim


def _admit_weights(weights: Vector, n_sites: int, *, weighted: bool) -> None:
    if weights.shape != (n_sites,):
        raise WeightsRefused(
            f"{number_of(n_sites, 'site')} need {n_sites} weights, got {weights.shape}"
        )
    if not np.all((weights > 0) & (weights <= LARGEST)):
        raise WeightsRefused("every weight must be finite and above 0")
    if not weighted and np.any(weights != weights[0]):
        raise WeightsRefused(
            "this rule has no weighted form in the literature: give every site the same weight"
        )


def width_for(n_sites: int) -> int:
    """Return the number of columns with which a block of so many rows takes about 8 MiB."""
    return max(1_024, min(WIDTH, 2**20 // n_sites))


def fits_float32(updates: Rows) -> bool:
    """Return whether float32 holds every number of this dtype exactly."""
    return bool(np.promote_types(updates.dtype, np.float32) == np.float32)


def column_slices(dim: int, width: int) -> Iterator[slice]:
    """Yield slices of so many columns that cover all; the last one may be narrower."""
    for start in range(0, dim, width):
        yield slice(start, min(start + width, dim))


def blocks(updates: Rows, width: int) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the updates in blocks of columns, as float32 or float64, unchecked.

    Guarantee: the numbers are exactly those given (64-bit integers are rounded to float64). A block
    may be a view, so the caller must not write to it.

    Args:
        updates: Shape (n_sites, dim).
        width: Columns of each block; the last one may be narrower.
    """
    dtype = np.promote_types(updates.dtype, np.float32)
    for columns in column_slices(updates.shape[1], width):
        yield columns, np.asarray(updates[:, columns]).astype(dtype, copy=False)


def checked_blocks(updates: Rows, width: int) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield what `blocks` yields, each number finite and within float32's range.

    Every rule reads its updates through this function once, unless it measures their distances,
    which tells, too. Later passes use `blocks`.

    Raises:
        NonFiniteUpdate: A value is NaN, infinite or beyond float32's range.
    """
    for columns, block in blocks(updates, width):
        if not _within_range(block):
            raise _non_finite(finite_sites(updates))
        yield columns, block


def check_all_values(updates: Rows) -> None:
    """Check all values in a pass of their own, for a caller that cannot check as it reads.

    Raises:
        NonFiniteUpdate: A value is NaN, infinite or beyond float32's range.
    """
    for _ in checked_blocks(updates, _CHECKED_WIDTH):
        pass


def finite_sites(updates: Rows) -> NDArray[np.bool_]:
    """Return which sites' updates are finite and within float32's range, shape (n_sites,)."""
    good = np.ones(updates.shape[0], np.bool_)
    for _, block in blocks(updates, WIDTH):
        good &= [_within_range(row) for row in block]
    return good


def check_values(update: NDArray[Any]) -> None:
    """Check one update, shape (dim,), or a block of one.

    Raises:
        NonFiniteUpdate: A value is NaN, infinite or beyond float32's range.
    """
    if not _within_range(update):
        raise _non_finite(np.zeros(1, np.bool_))


def _within_range(numbers: NDArray[Any]) -> bool:
    if numbers.dtype == np.float32:
        # A sum of squares with NaN or infinity in it is not finite, in whatever order it is added.
        # It takes half the time of minimum and maximum, which decide only where it overflowed.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.vecdot(numbers, numbers)).all():
                return True
    # Minimum and maximum of values with NaN are NaN, and every comparison with NaN is false.
    return float(numbers.min()) >= -LARGEST and float(numbers.max()) <= LARGEST


def _non_finite(good: NDArray[np.bool_]) -> NonFiniteUpdate:
    bad = np.flatnonzero(~good).tolist()
    return NonFiniteUpdate(
        f"{len(bad)} of {good.size} updates (rows {bad[:10]}) hold NaN, infinity or a value "
        f"beyond {LARGEST:.3g}: leave those sites out of the round",
        refused=len(bad),
        first_row=bad[0],
    )


class OptionRefused(ConsortiumError, ValueError, code="option-refused"):
    """An option of a rule is out of its range."""


def require_at_least(least: int, **option: int) -> None:
    """Check that each option, given by name, is at least `least`.

    Raises:
        OptionRefused: One is below it.
    """
    for name, value in option.items():
        if value < least:
            raise OptionRefused(f"{name} must be at least {least}, got {value}")


def require_positive(**option: float) -> None:
    """Check that each option, given by name, is finite and above 0.

    Raises:
        OptionRefused: One is not.
    """
    for name, value in option.items():
        if not (value > 0 and math.isfinite(value)):
            raise OptionRefused(f"{name} must be finite and above 0, got {value}")


ClipNorm: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        description="Largest L2 norm of an update that counts in full: for the clipping rules and "
        "pre-steps, and for a bucket mean under encryption.",
    ),
]
ClipQuantile: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        description="For `adaptive-clipping`: share of the updates that shall not be clipped.",
    ),
]
ClipRate: TypeAlias = Annotated[
    float,
    Field(gt=0, le=1, description="For `adaptive-clipping`: how fast the norm follows."),
]


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """The rule that aggregates the updates, the pre-steps before it, and the options of both.

    A rule or a pre-step uses the options that concern it.

    Raises:
        OptionRefused: An option is out of its range.
    """

    name: Annotated[
        str, Field(description="The aggregation rule; `scenario rules` lists them.")
    ] = "mean"
    num_byzantine: Annotated[int, Field(ge=0, description="Liars to survive.")] = 0
    clip_norm: ClipNorm = 10.0
    pre_step: Annotated[
        Literal[
            "none", "norm-clipping", "adaptive-clipping", "nearest-neighbour-mixing", "bucketing"
        ],
        Field(description="What is done to the updates before the rule sees them."),
    ] = "none"
    bucket_size: Annotated[
        int, Field(ge=1, le=1_024, description="For `bucketing`: updates in a bucket.")
    ] = 2
    clip_quantile: ClipQuantile = 0.5
    clip_rate: ClipRate = 0.2
    momentum: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="For `centered-clipping`: how much of the last aggregate stays.",
        ),
    ] = 0.0
    iterations: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="For `centered-clipping`: steps from the last aggregate.",
        ),
    ] = 1

    def __post_init__(self) -> None:
        require_declared(self, OptionRefused)
