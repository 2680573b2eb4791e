"""SYNTHETIC card payments with rare fraud, generated from a seed.

Columns are those of the well-known file of European card payments of 2013 (`Time`, `V1` to `V28`,
`Amount`, `Class`), in small letters, with a card and a bank beside them. No value is taken from
that file.

Moments, before values are limited to [-40, 40]: `v1` to `v28` of honest payments are independent,
of mean 0, with standard deviations that fall evenly from 2.0 (`v1`) to 0.4 (`v28`). Of a fraud,
six of them, those of its kind, move by `shift` standard deviations, up and down in turn, and vary
by half as much again. `amount` is log-normal: median 25 and log standard deviation 1.2, of frauds
60 and 1.5. `time` is uniform over two days. A share of 0.004 of the payments is fraud, the same
at each bank to within one payment. Every card pays four times.

Banks differ in volume, in the kinds of fraud that they meet, and by the level of their `v` columns
(a tenth of a standard deviation between neighbours).
"""

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Difficulty: TypeAlias = Literal["easy", "medium", "hard"]

PAYMENTS = {
    "atlas-bank": 24_000,
    "brook-bank": 12_000,
    "crest-bank": 8_000,
    "delta-bank": 4_000,
}
FRAUD = 0.004
LARGEST = 40.0
COMPONENTS = tuple(f"v{number}" for number in range(1, 29))
# How far the frauds of a kind move, in standard deviations of each of six columns.
SHIFTS: dict[Difficulty, float] = {"easy": 2.0, "medium": 1.2, "hard": 0.7}

_SEED = 20_261_130
_PAYMENTS_OF_CARD = 4
_STDDEV = np.linspace(2.0, 0.4, len(COMPONENTS))
_KINDS = ((0, 4, 8, 12, 16, 20), (1, 5, 9, 13, 17, 21), (2, 6, 10, 14, 18, 22))
_KINDS_AT_BANK = (
    (0.6, 0.3, 0.1),
    (0.2, 0.6, 0.2),
    (0.1, 0.3, 0.6),
    (0.3, 0.1, 0.6),
)


@lru_cache(maxsize=3)
def card_payments(difficulty: Difficulty = "medium") -> pd.DataFrame:
    """Return SYNTHETIC payments: `card`, `bank`, `time`, `v1` to `v28`, `amount`, `class`.

    Guarantee: the same rows on every machine. A card has one bank. The result is cached: callers
    must not change it.

    Args:
        difficulty: How far frauds lie from honest payments.
    """
    rng = np.random.default_rng(_SEED)
    shift = SHIFTS[difficulty]
    parts = [_of_bank(bank, place, shift, rng) for place, bank in enumerate(PAYMENTS)]
    return pd.concat(parts, ignore_index=True)


def bank_of_payment(table: pd.DataFrame) -> "pd.Series[str]":
    """Return the bank of each payment."""
    return table["bank"]


def _of_bank(bank: str, place: int, shift: float, rng: np.random.Generator) -> pd.DataFrame:
    rows = PAYMENTS[bank]
    fraud = np.zeros(rows, bool)
    fraud[rng.permutation(rows)[: round(FRAUD * rows)]] = True
    values = rng.normal(size=(rows, len(COMPONENTS)))  # in standard deviations
    values[fraud] = _frauds(values[fraud], _KINDS_AT_BANK[place], shift, rng)
    values = (values + place / 10) * _STDDEV
    medians, spreads = np.where(fraud, 60.0, 25.0), np.where(fraud, 1.5, 1.2)
    amounts = medians * np.exp(spreads * rng.normal(size=rows))
    cards = np.arange(rows) // _PAYMENTS_OF_CARD
    return pd.DataFrame(
        {
            "card": [f"{bank}-{card}" for card in cards],
            "bank": bank,
            "time": np.floor(rng.uniform(0, 2 * 86_400, rows)),
            **dict(zip(COMPONENTS, np.clip(values, -LARGEST, LARGEST).round(6).T, strict=True)),
            "amount": np.clip(amounts, 0.01, 30_000).round(2),
            "class": np.where(fraud, "1", "0"),
        }
    )


def _frauds(
    values: NDArray[np.float64],
    kinds: tuple[float, ...],
    shift: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the values of frauds, shape (n, 28): six columns of each are moved."""
    moved = values.copy()
    signs = np.array([1, -1, 1, -1, 1, -1])
    for row, kind in enumerate(rng.choice(len(_KINDS), len(values), p=kinds)):
        columns = list(_KINDS[kind])
        moved[row, columns] = 1.5 * moved[row, columns] + shift * signs
    return moved
