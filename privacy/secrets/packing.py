"""Packing: integers into rows of plaintext coefficients and back, as `Placement` says.

Nothing here is secret. Digits are balanced: a coefficient is the sum of `digit[i] * 2^(w * i)`,
where each digit is signed and w is the number of bits of a digit. Adding an offset to make digits
positive would need a trusted count of the uploads in a sum.
"""

from dataclasses import dataclass

import numpy as np

from privacy.encryption.parameters import TAG_LIMB_BITS, TAG_LIMBS, TALLY_BITS, Placement
from privacy.encryption.quantisation import Levels
from privacy.errors import ConsortiumError
from privacy.layout import Tally

_TALLY_LIMB_BITS = 21
_WORD_BITS = 64


class UnfitIntegers(ConsortiumError, ValueError, code="unfit-integers"):
    """Integers do not fit the placement in which they are to be sealed."""


class FieldOverflow(ConsortiumError, ValueError, code="field-overflow"):
    """A sum holds a value that no uploads within their bounds can add up to."""


def centred_residues(words: Tally, bits: int) -> Tally:
    """Return the numbers in [-2^(bits-1), 2^(bits-1)) that are equal to `words` modulo 2^bits."""
    # The left shift drops the high bits; the arithmetic right shift extends the sign.
    shift = _WORD_BITS - bits
    return (words << shift) >> shift


def centre_residues(words: Tally, bits: int) -> None:
    """Replace words by their `centred_residues`, in place."""
    shift = _WORD_BITS - bits
    words <<= shift
    words >>= shift


@dataclass(frozen=True, kw_only=True)
class Integers:
    """The integers of one upload or of one sum.

    Args:
        placement: Which coefficient holds which integer.
        levels: Levels of an update, or their sums, shape (dim,).
        whole: Tally entries, or their limbs, which take whole coefficients; shape
            (placement.tally_coefficients,).
    """

    placement: Placement
    levels: Levels
    whole: Tally

    @classmethod
    def of(cls, placement: Placement, levels: Levels, tally: Tally) -> "Integers":
        """Return the integers of one upload.

        Raises:
            UnfitIntegers: A shape is not that of the placement, or a value is out of bounds.
        """
        if levels.shape != (placement.dim,) or tally.shape != (placement.tally_size,):
            raise UnfitIntegers(
                f"levels of shape ({placement.dim},) and a tally of shape "
                f"({placement.tally_size},) are needed, got {levels.shape} and {tally.shape}"
            )
        # Where a sum of tallies does not fit into one coefficient, an entry is split into two
        # limbs, which are added apart and joined again after opening.
        low = centred_residues(tally, _TALLY_LIMB_BITS)
        limbs = np.concatenate([low, (tally - low) >> _TALLY_LIMB_BITS])
        whole = tally if placement.parameters.tally_limbs == 1 else limbs
        integers = cls(placement=placement, levels=levels, whole=whole)
        if not integers.within_range(uploads=1):
            raise UnfitIntegers(
                f"a level must be at most {placement.parameters.levels} and a tally entry below "
                f"2^{TALLY_BITS} in size; one is out of bounds"
            )
        return integers

    @classmethod
    def blank(cls, placement: Placement) -> "Integers":
        """Return zeros, to be filled by `read_rows`."""
        return cls(
            placement=placement,
            levels=np.zeros(placement.dim, dtype=np.int32),
            whole=np.zeros(placement.tally_coefficients, dtype=np.int64),
        )

    @property
    def tally(self) -> Tally:
        """The tally, or the sum of tallies, shape (tally_size,)."""
        if self.placement.parameters.tally_limbs == 1:
            return self.whole
        low, high = np.split(self.whole, 2)
        return low + (high << _TALLY_LIMB_BITS)

    def within_range(self, *, uploads: int) -> bool:
        """Return whether so many uploads within their bounds can add up to these integers."""
        most_levels = uploads * self.placement.parameters.levels
        most_tally = uploads * ((1 << TALLY_BITS) - 1)
        tally = self.tally
        return bool(
            -most_levels <= self.levels.min(initial=0)
            and self.levels.max(initial=0) <= most_levels
            and -most_tally <= tally.min(initial=0)
            and tally.max(initial=0) <= most_tally
        )

    def write_rows(self, first: int, out: Tally) -> Tally:
        """Write the coefficients of some ciphertexts to `out`, without the tag.

        Args:
            first: Index of the first ciphertext.
            out: One row for each ciphertext, shape (count, degree).
        """
        parameters = self.placement.parameters
        for index, row in enumerate(out, start=first):
            levels, whole, packed = self._parts(index)
            short = np.zeros(parameters.digits * packed - levels.size, dtype=np.int32)
            padded = np.concatenate([levels, short]) if short.size else levels
            fields = padded.reshape(parameters.digits, packed)
            # Horner's rule in base 2^digit_bits. A negative digit borrows from the next one.
            row[:packed] = fields[-1]
            for field in fields[-2::-1]:
                row[:packed] <<= parameters.digit_bits
                row[:packed] += field
            row[packed : packed + len(whole)] = whole
            row[packed + len(whole) :] = 0
        return out

    def read_rows(self, first: int, rows: Tally) -> None:
        """Read the coefficients of ciphertexts from index `first` on: inverse of `write_rows`."""
        digits, bits = self.placement.parameters.digits, self.placement.parameters.digit_bits
        for index, row in enumerate(rows, start=first):
            levels, whole, packed = self._parts(index)
            whole[:] = row[packed : packed + len(whole)]
            padded = (
                levels if levels.size == digits * packed else np.empty(digits * packed, np.int32)
            )
            fields = padded.reshape(digits, packed)
            rest = row[:packed]
            for field in fields[:-1]:
                # The lowest digit is the centred residue. Subtracting it undoes the borrow, so
                # that the next digit is exact.
                low = centred_residues(rest, bits)
                field[:] = low
                rest = (rest - low) >> bits
            fields[-1] = rest
            levels[:] = padded[: levels.size]

    def _parts(self, index: int) -> tuple[Levels, Tally, int]:
        """Return a ciphertext's levels and tally entries, as views, and the width of its levels.

        The width is the number of coefficients that the levels take.
        """
        degree, digits = self.placement.parameters.degree, self.placement.parameters.digits
        start, update = index * degree, self.placement.update_coefficients
        packed = min(max(update - start, 0), degree)
        levels = self.levels[start * digits : (start + packed) * digits]
        first = max(start - update, 0)
        return levels, self.whole[first : first + degree - packed], packed


def put_tag(row: Tally, tag: int) -> None:
    """Write a tag, in limbs of 31 bits, to the last coefficients of the last row."""
    row[-TAG_LIMBS:] = tag & ((1 << TAG_LIMB_BITS) - 1), tag >> TAG_LIMB_BITS


def take_tag(row: Tally) -> int:
    """Return the sum of tags from the last row, and replace it by zeros.

    The tag covers the other coefficients only, so the checksum is computed with zeros there.
    """
    low, high = row[-TAG_LIMBS:].tolist()
    row[-TAG_LIMBS:] = 0
    return int(low + (high << TAG_LIMB_BITS))
