"""Plaintexts: uploads decrypted with the run's key, known masks off, and combined."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from consortium.audit.league.holdings import HeldUpload
from consortium.audit.league.streams import Symbol
from privacy.encryption.ciphertext_sum import Adder, summed_rows
from privacy.encryption.quantisation import Levels
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.secrets.keys import RunKeys
from privacy.secrets.linear_mac import MAX_ROWS, upload_pad, verify_tag
from privacy.secrets.masks.mask_streams import Masks
from privacy.secrets.packing import Integers, centre_residues, take_tag
from privacy.secrets.sealer import BfvSecret, exchange_checksum

_BITS_TESTED = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What a combination of uploads holds.

    Args:
        levels: Sums of levels.
        tally: Sums of tallies.
        checksum_right: Whether its checksum proves that it is what the sites sealed.
    """

    levels: Levels
    tally: Tally
    checksum_right: bool


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Plaintexts:
    """The uploads of one kind and round, decrypted, without the streams that are known.

    Args:
        uploads: The uploads.
        equations: What each is the sum of.
        seeds: Seeds of the known streams.
        secret: The run's encryption key.
        keys: The other keys of the run.
    """

    uploads: tuple[HeldUpload, ...]
    equations: tuple[Mapping[Symbol, int], ...]
    seeds: Mapping[Symbol, bytes]
    secret: BfvSecret
    keys: RunKeys

    @cached_property
    def rows(self) -> list[Tally]:
        """The coefficients of each, modulo 2^64, shape (num_ciphertexts, degree)."""
        return [
            self._stripped(upload, equation)
            for upload, equation in zip(self.uploads, self.equations, strict=True)
        ]

    def combined(self, weights: Mapping[int, Fraction]) -> Content | None:
        """Return the content of a combination; None if its weights are not whole numbers."""
        if any(one.denominator != 1 for one in weights.values()):
            return None
        whole = {place: int(one) for place, one in weights.items()}
        first = self.uploads[next(iter(whole))]
        rows = np.zeros_like(self.rows[0])
        for place, weight in whole.items():
            rows += np.int64(weight) * self.rows[place]
        centre_residues(rows, first.placement.parameters.plain_bits)
        tag, integers = take_tag(rows[-1]), Integers.blank(first.placement)
        label = first.receipt.label
        checksum = exchange_checksum(
            self.keys,
            purpose=label.slot.purpose,
            server_round=label.slot.server_round,
            placement=first.placement,
        )
        share = 0
        for start in range(0, len(rows), MAX_ROWS):
            block = rows[start : start + MAX_ROWS]
            share += checksum.of_rows(start, block)
            integers.read_rows(start, block)
        pad = sum(
            weight * upload_pad(self.keys.pad, self.uploads[place].receipt.label.encode())
            for place, weight in whole.items()
        )
        return Content(
            levels=integers.levels,
            tally=integers.tally,
            checksum_right=_holds(lambda: verify_tag(share, tag, pads=[pad])),
        )

    def p_values(self) -> list[float]:
        """Return how likely bits of each would be at least as uneven, if they were noise.

        The highest bits of all coefficients are counted. It is no proof: in an attack on two sets
        each upload looks like noise, and what they hide is open.
        """
        return [
            _chi_square_p(rows, upload.placement.parameters.plain_bits)
            for upload, rows in zip(self.uploads, self.rows, strict=True)
        ]

    def _stripped(self, upload: HeldUpload, equation: Mapping[Symbol, int]) -> Tally:
        placement, adder = upload.placement, Adder(upload.placement)
        adder.add(upload.path.read_bytes())
        ciphertexts = summed_rows(adder.sum(), placement)
        rows = np.zeros((len(ciphertexts), placement.parameters.degree), dtype=np.int64)
        for ciphertext, row in zip(ciphertexts, rows, strict=True):
            self.secret.bench.decrypt(ciphertext, row)
        known = {one: factor for one, factor in equation.items() if one in self.seeds}
        Masks(
            added=tuple(self.seeds[one] for one, factor in known.items() if factor < 0),
            removed=tuple(self.seeds[one] for one, factor in known.items() if factor > 0),
        ).add_to(rows, 0)
        return rows


def adjusted_for_their_number(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are (Holm 1979, Scand. J. Statist. 6)."""
    adjusted, largest = dict[int, float](), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return [adjusted[place] for place in range(len(p_values))]


def _chi_square_p(rows: Tally, bits: int) -> float:
    bins = 1 << _BITS_TESTED
    top = (rows >> (bits - _BITS_TESTED)) & (bins - 1)
    counts = np.bincount(top.ravel(), minlength=bins)
    expected = top.size / bins
    return float(chi2.sf(((counts - expected) ** 2).sum() / expected, bins - 1))


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except ConsortiumError:
        return False
    return True
