"""Whether a column of numbers is in another unit than the others', or holds dates.

A site knows its own values and the others' histogram. It rescales its own values by many factors
and asks which of them makes the two histograms alike.
"""

import math
from types import MappingProxyType

import numpy as np

from privacy.layout import Tally, Vector
from sites.comparison.findings import FEWEST, Finding, chance_of, divergence
from sites.schema.tables import Ranged, column_name
from sites.statistics.histograms import bins_of
from sites.statistics.tables import BINS, scale_values

# What a factor often means, whichever of the two a site has; the more likely ones first.
_CONVERSIONS = MappingProxyType(
    {
        10.0: "cm and mm, or mm and millivolt",
        100.0: "a share and per cent",
        1000.0: "units and thousands",
        2.2046: "pounds and kilograms",
        2.54: "inches and centimetres",
        7.5006: "mm Hg and kPa",
        12.0: "years and months",
        18.016: "mmol/l and mg/dl of glucose",
        38.67: "mmol/l and mg/dl of cholesterol",
        88.4: "mg/dl and µmol/l of creatinine",
    }
)
_EVEN = 10.0 ** (np.arange(-48, 49) / 16)
_KNOWN = np.array([factor**sign for factor in _CONVERSIONS for sign in (1, -1)])
_SMALLEST = 2.1  # a smaller factor is another clientele
_FACTORS = np.concatenate([_KNOWN, _EVEN[np.abs(np.log(_EVEN)) > math.log(_SMALLEST)]])
# By how much the divergence must fall, in bits. Clienteles that differ by a factor of 2 to 4 are
# common (two banks by credit limit lose up to 0.25), so that small factors need a deeper fall.
_FALL, _FALL_OF_SMALL, _SMALL = 0.1, 0.25, 6.5
_REST = 0.5  # and at most this share of it may be left
_MOST_VALUES = 2_000  # evenly spread quantiles of a site's values say as much as all of them
_NEAR = 0.02  # bits by which a known factor may be worse than the best


def compare_units(number: Ranged, values: Vector, others: Tally) -> Finding | None:
    """Return a finding if the values look like a multiple of the others'.

    Args:
        number: The column.
        values: This site's, in the agreed unit, NaN where missing, shape (n,).
        others: Histogram of the other sites' values on the agreed scale, shape (BINS,).
    """
    own = _sample(values)
    found = _factor(number, own, others.astype(np.float64))
    zero = _zero_bin(number)
    if found is None and zero is not None:
        # Zero is zero in every unit. Where most values are, the others tell.
        rest = others.astype(np.float64)
        rest[zero] = 0.0
        found = _factor(number, own[own != 0], rest, without=zero)
    if found is None:
        return None
    name = column_name(number)
    return Finding(
        kind="units",
        column=name,
        what=f"factor {_rounded(found)}",
        sentence=f"{name} looks {_multiple(found)} the others'{_meaning(found)}",
        alarming=True,
    )


def compare_dates(number: Ranged, values: Vector, others: Tally) -> Finding | None:
    """Return a finding if the values are written like dates and the others' are elsewhere.

    Args:
        number: The column.
        values: This site's, in the agreed unit, NaN where missing, shape (n,).
        others: Histogram of the other sites' values on the agreed scale, shape (BINS,).
    """
    own = _sample(values)
    if len(own) < FEWEST or others.sum() < FEWEST:
        return None
    for form, dated in (("YYYYMMDD", _like_dates(own)), ("YYYYMM", _like_dates(own * 100 + 1))):
        if dated.mean() >= _MOSTLY:
            held = np.unique(bins_of(scale_values(number, own), BINS))
            if others[held].sum() <= (1 - _MOSTLY) * others.sum():
                name = column_name(number)
                return Finding(
                    kind="dates",
                    column=name,
                    what=form,
                    sentence=f"{name} looks like dates that were read as numbers ({form})",
                    alarming=True,
                )
    return None


_MOSTLY = 0.95


def _like_dates(values: Vector) -> Vector:
    whole = values == np.rint(values)
    years, rest = np.divmod(values, 10_000)
    months, days = np.divmod(rest, 100)
    within = (years >= 1900) & (years < 2100) & (months >= 1) & (months <= 12)
    return np.asarray(whole & within & (days >= 1) & (days <= 31), np.float64)


def _sample(values: Vector) -> Vector:
    held = np.sort(values[~np.isnan(values)])
    if len(held) <= _MOST_VALUES:
        return held
    return held[(np.arange(_MOST_VALUES) * len(held)) // _MOST_VALUES]


def _zero_bin(number: Ranged) -> int | None:
    if not number.low <= 0 <= number.high:
        return None
    return int(bins_of(scale_values(number, np.zeros(1)), BINS)[0])


def _factor(
    number: Ranged, own: Vector, others: Vector, *, without: int | None = None
) -> float | None:
    """Return the factor between these values and the others', or None if they look alike."""
    if len(own) < FEWEST or others.sum() < FEWEST:
        return None
    others = np.append(others, 0.0)  # nobody is outside the bounds
    by_chance = chance_of(len(own))
    as_they_are = _histograms(number, own, np.ones(1))
    if without is not None:
        as_they_are[:, without] = 0.0
    before = float(divergence(as_they_are, others)[0])
    if before < _FALL + by_chance:
        return None  # nothing could make it fall that far
    after = divergence(_histograms(number, own, _FACTORS), others)
    best = int(after.argmin())
    near = after[: len(_KNOWN)] <= after[best] + _NEAR
    chosen = int(near.argmax()) if near.any() else best
    factor, left = float(_FACTORS[chosen]), float(after[chosen])
    small = abs(math.log(factor)) < math.log(_SMALL)
    needed = (_FALL_OF_SMALL if small else _FALL) + by_chance
    return factor if before - left >= needed and left <= _REST * before else None


def _histograms(number: Ranged, values: Vector, factors: Vector) -> Vector:
    """Return the histogram of the values divided by each factor, shape (n_factors, BINS + 1).

    What is then outside the declared bounds, where nobody else has a value, counts in the last bin.
    """
    divided = values[None, :] / factors[:, None]
    inside = (divided >= number.low) & (divided <= number.high)
    scaled = scale_values(number, np.clip(divided, number.low, number.high))
    width = BINS + 1
    cells = np.where(inside, bins_of(scaled, BINS), BINS)
    cells += width * np.arange(len(factors))[:, None]
    counts = np.bincount(cells.ravel(), minlength=width * len(factors))
    return counts.reshape(len(factors), width).astype(np.float64)


def _rounded(factor: float) -> str:
    """Return a factor to one digit, so that more records do not make another finding of it."""
    return f"{factor:.0e}"


def _multiple(factor: float) -> str:
    return f"{factor:.3g} times" if factor > 1 else f"1/{1 / factor:.3g} of"


def _meaning(factor: float) -> str:
    size = max(factor, 1 / factor)
    near = min(_CONVERSIONS, key=lambda known: abs(math.log(known / size)))
    return f" (as between {_CONVERSIONS[near]})" if abs(math.log(near / size)) < 0.1 else ""
