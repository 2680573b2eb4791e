"""Whether the codes of a category are shifted, or a value stands that nobody else has."""

import numpy as np

from privacy.layout import Tally, Vector
from sites.comparison.findings import FEWEST, Finding, chance_of, divergence
from sites.schema.tables import Category

# Hospitals of one scenario differ by up to 0.25 bits in how they read an ECG; exchanging two
# values would explain 0.19 of them.
_FALL, _REST = 0.35, 0.3
_ENOUGH = 200  # records of the others, without which "nobody else" says little
_MOST_VALUES = 40  # with more, a shift by chance fits too easily


def compare_codes(category: Category, own: Tally, others: Tally) -> Finding | None:
    """Return a finding if the codes would look like the others' once moved, or turned round.

    Args:
        category: The column.
        own: This site's records of each value, shape (n_values,).
        others: The other sites' records of each value, shape (n_values,).
    """
    values = len(category.values)
    if min(own.sum(), others.sum()) < FEWEST or values > _MOST_VALUES:
        return None
    moves = {f"shifted by {step}": np.roll(own, -step) for step in range(1, values)}
    if values > 2:
        moves["turned round"] = own[::-1]
    before = float(divergence(_real(own), _real(others)))
    after = {how: float(divergence(_real(moved), _real(others))) for how, moved in moves.items()}
    how = min(after, key=lambda one: after[one])
    deep = before - after[how] >= _FALL + chance_of(int(own.sum()))
    if not deep or after[how] > _REST * before:
        return None
    told = "exchanged" if values == 2 else how
    return Finding(
        kind="codes",
        column=category.name,
        what=told,
        sentence=f"the values of {category.name} look {told}, beside the others'",
        alarming=True,
    )


def compare_values(category: Category, own: Tally, others: Tally) -> Finding | None:
    """Return a finding, not an alarming one, if values occur here that nobody else has."""
    if others.sum() < _ENOUGH:
        return None
    lone = [category.values[code] for code in np.flatnonzero((own > 0) & (others == 0))]
    if not lone:
        return None
    told = ", ".join(f"'{value}'" for value in lone)
    return Finding(
        kind="lone-value",
        column=category.name,
        what=told,
        sentence=f"nobody else has {told} in {category.name}",
        alarming=False,
    )


def compare_missing(name: str, own: Tally, others: Tally) -> Finding | None:
    """Return a finding, not an alarming one, if missing values stand out.

    A hospital that never measures a quantity is no mistake, so this holds nobody back.

    Args:
        name: The column.
        own: This site's records without and with a value, shape (2,).
        others: The other sites', shape (2,).
    """
    if min(own.sum(), others.sum()) < FEWEST:
        return None
    shares = own[0] / own.sum(), others[0] / others.sum()
    if abs(shares[0] - shares[1]) < _STANDS_OUT:
        return None
    return Finding(
        kind="missing",
        column=name,
        what="more" if shares[0] > shares[1] else "less",
        sentence=f"{name} is missing in {100 * shares[0]:.0f} % of the records, elsewhere in "
        f"{100 * shares[1]:.0f} %",
        alarming=False,
    )


_STANDS_OUT = 0.3


def _real(counts: Tally) -> Vector:
    return counts.astype(np.float64)
