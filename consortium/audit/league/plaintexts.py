"""Plaintexts: uploads decrypted with the run's key, known masks off, combined, and read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from consortium.audit.league.elimination import Combination
from consortium.audit.league.holdings import HeldUpload
from consortium.audit.league.streams import Symbol, Value
from consortium.audit.sum_verification import Auditor
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.parameters import planes, step_of
from consortium.protocol.run_state import RunState
from privacy.encryption.ciphertext_sum import Adder, summed_rows
from privacy.encryption.quantisation import Levels, Scales, joined_levels, mean_from_levels
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from privacy.protocol.envelope import SealedState
from privacy.secrets.keys import RunKeys
from privacy.secrets.linear_mac import MAX_ROWS, upload_pad, verify_tag
from privacy.secrets.masks.mask_streams import Masks
from privacy.secrets.packing import Integers, centre_residues, take_tag
from privacy.secrets.sealer import BfvSecret, Decryption, exchange_checksum
from privacy.secrets.state_encryption import open_state
from sites.statistics.contract import statistics_for

STATE_FILE = "state.bin"

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
        decryption = Decryption(self.secret)
        for ciphertext, row in zip(ciphertexts, rows, strict=True):
            decryption.write(ciphertext, row)
        known = {one: factor for one, factor in equation.items() if one in self.seeds}
        Masks(
            added=tuple(self.seeds[one] for one, factor in known.items() if factor < 0),
            removed=tuple(self.seeds[one] for one, factor in known.items() if factor > 0),
        ).add_to(rows, 0)
        return rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """The numbers that open.

    Args:
        values: An update, times the share of its site in the average; or counts.
        checksum_right: Whether the checksum proves that this is what the sites sealed.
    """

    values: Vector
    checksum_right: bool

    @property
    def norm(self) -> float:
        """Their Euclidean length."""
        return float(np.linalg.norm(self.values))


@dataclass(frozen=True, eq=False)
class RoundNumbers:
    """Reads what is open of the uploads of one kind in one round.

    Args:
        auditor: Of the coordinator's files.
        keys: Of the run.
        plaintexts: The uploads.
    """

    auditor: Auditor
    keys: RunKeys
    plaintexts: Plaintexts

    def of(self, combination: Combination[Value]) -> Numbers | None:
        """Return what a combination holds; None if that cannot be computed."""
        content = self.plaintexts.combined(combination.weights)
        if content is None:
            return None
        return Numbers(values=self._values(content), checksum_right=content.checksum_right)

    def _values(self, content: Content) -> Vector:
        if not content.levels.size:
            return content.tally.astype(np.float64)
        config, server_round = self.auditor.config, self._server_round
        parameters = self.plaintexts.uploads[0].placement.parameters
        split = planes(config, server_round)
        return mean_from_levels(
            self._scales.spread(joined_levels(content.levels, parameters, split)),
            total_class=8,  # the whole: each update counts by its own class
            scales=self._scales,
            parameters=parameters,
            planes=split,
        )

    @property
    def _server_round(self) -> int:
        return self.plaintexts.uploads[0].receipt.label.slot.server_round

    @cached_property
    def _scales(self) -> Scales:
        """What the sites' levels of this round stand for, from the state they trained from."""
        auditor, layout = self.auditor, self.auditor.read_layout()
        path = auditor.vault.folder / f"round-{self._server_round}" / STATE_FILE
        sealed = SealedState.decode(path.read_bytes())
        content = open_state(
            sealed,
            keys=self.keys,
            server_round=sealed.context.server_round,
            digest=self.plaintexts.uploads[0].receipt.label.state,
        )
        state = RunState.decode(
            content,
            layout=layout,
            statistics_size=statistics_for(
                auditor.charter.table, by_class=auditor.config.counts_by_class
            ).layout.size,
            bins_size=len(bin_steps(auditor.config, auditor.charter).first),
        )
        return step_of(auditor.config, auditor.charter, layout).scales(state)


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
