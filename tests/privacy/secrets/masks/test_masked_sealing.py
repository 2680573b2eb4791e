"""Masked uploads open to the same integers; without all masks to none; without masks as before."""

from collections.abc import Sequence

import numpy as np
import pytest

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import PARAMETER_SETS, TALLY_BITS, Placement
from privacy.protocol.envelope import TRAINING, Slot
from privacy.protocol.masks.groups import cohort_digest
from privacy.secrets.linear_mac import PRIME, Checksum, ChecksumFailed
from privacy.secrets.masks.mask_streams import UPDATE_DOOR, MaskPlace, Masks, OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.packing import Integers
from privacy.secrets.sealer import BfvSecret, Decryption, Opened, Sealer

NAMES = ("east", "north", "south")
SITES = {"strict-256": 95, "default": 95, "default of 381": 381, "default of 1524": 1_524}
PLAIN_BITS = {"strict-256": 45, "default": 48, "default of 381": 46, "default of 1524": 44}
SETS = {name: PARAMETER_SETS[name.partition(" ")[0]](sites) for name, sites in SITES.items()}
LARGEST = 2**TALLY_BITS - 1


def place(attempt: int = 1) -> MaskPlace:
    return MaskPlace(
        slot=Slot(run="run-1", purpose=TRAINING, server_round=3, attempt=attempt),
        state=b"\x01" * 32,
        question=b"\x02" * 32,
        cohort=cohort_digest(NAMES),
        bucket=0,
        door=UPDATE_DOOR,
    )


def masks_of(owns: Sequence[OwnMask], *, attempt: int = 1) -> list[Masks]:
    """The masks of three sites, each with both others."""
    secrets = {
        (first, second): PairSecret(f"{first} {second}".encode().ljust(32))
        for first in NAMES
        for second in NAMES
        if first < second
    }
    return [
        Masks.to_seal(
            place(attempt),
            site=site,
            own=own,
            pairs={
                other: secrets[min(site, other), max(site, other)]
                for other in NAMES
                if other != site
            },
        )
        for site, own in zip(NAMES, owns, strict=True)
    ]


class Sealed:
    """Three sites that seal under one key, with several ciphertexts each."""

    def __init__(self, name: str, *, num_full: int = 5) -> None:
        parameters = SETS[name]
        dim = num_full * parameters.degree * parameters.digits + 17
        self.placement = Placement(parameters=parameters, dim=dim, tally_size=9)
        checksum = Checksum(
            bytes(32),
            b"run",
            num_rows=self.placement.num_ciphertexts,
            row_length=parameters.degree,
        )
        self.sealer = Sealer(BfvSecret.generate(parameters), self.placement, checksum)
        rng = np.random.default_rng(7)
        limit = parameters.levels
        self.levels = [
            rng.integers(-limit, limit, self.placement.dim, endpoint=True, dtype=np.int32)
            for _ in NAMES
        ]
        self.tallies = [rng.integers(-LARGEST, LARGEST, 9, endpoint=True) for _ in NAMES]

    def uploads(self, masks: Sequence[Masks | None], *, processes: int = 1) -> list[bytes]:
        """Return an upload of each site."""
        return [
            self.sealer.seal(levels, tally, pad=pad, masks=mask, processes=processes)
            for pad, levels, tally, mask in zip(
                (1, 2, PRIME - 1), self.levels, self.tallies, masks, strict=True
            )
        ]

    def opened(self, uploads: Sequence[bytes], masks: Masks | None) -> Opened:
        """Return the content of their sum."""
        adder = Adder(self.placement)
        for upload in uploads:
            adder.add(upload)
        return self.sealer.open(adder.sum(), pads=[1, 2, PRIME - 1], masks=masks)

    def require_right(self, opened: Opened) -> None:
        """Check that this is the sum of what the three sites sealed."""
        np.testing.assert_array_equal(opened.levels, sum(self.levels))
        np.testing.assert_array_equal(opened.tally, sum(self.tallies))


@pytest.fixture(scope="module")
def small() -> Sealed:
    """Three sites under the parameters with the smallest ciphertexts."""
    return Sealed("strict-256")


@pytest.mark.parametrize("name", SETS)
def test_masked_uploads_open_to_the_same_integers_under_every_plain_modulus(name: str) -> None:
    """In the first attempt and in a second one, each with masks of its own."""
    sealed = Sealed(name)
    assert sealed.placement.parameters.plain_bits == PLAIN_BITS[name]
    sealed.require_right(sealed.opened(sealed.uploads([None] * 3), None))
    for attempt in (1, 2):
        owns = [OwnMask.fresh() for _ in NAMES]
        uploads = sealed.uploads(masks_of(owns, attempt=attempt))
        sealed.require_right(sealed.opened(uploads, Masks.to_open(place(attempt), owns)))


def test_helper_processes_mask_the_same_rows() -> None:
    sealed, owns = Sealed("strict-256", num_full=18), [OwnMask.fresh() for _ in NAMES]
    uploads = sealed.uploads(masks_of(owns), processes=2)
    sealed.require_right(sealed.opened(uploads, Masks.to_open(place(), owns)))


def test_without_every_own_mask_nothing_opens(small: Sealed) -> None:
    owns = [OwnMask.fresh() for _ in NAMES]
    uploads = small.uploads(masks_of(owns))
    wrong = [
        None,
        Masks(),
        Masks.to_open(place(), owns[:2]),
        Masks.to_open(place(), [*owns[:2], OwnMask.fresh()]),
        Masks.to_open(place(attempt=2), owns),
    ]
    for masks in wrong:
        with pytest.raises(ChecksumFailed):
            small.opened(uploads, masks)
    small.require_right(small.opened(uploads, Masks.to_open(place(), owns)))


def test_uploads_of_two_attempts_do_not_add_up(small: Sealed) -> None:
    owns = [OwnMask.fresh() for _ in NAMES]
    first, second = (small.uploads(masks_of(owns, attempt=attempt)) for attempt in (1, 2))
    with pytest.raises(ChecksumFailed):
        small.opened([first[0], *second[1:]], Masks.to_open(place(attempt=2), owns))


def test_the_key_alone_shows_nothing_but_noise_in_a_masked_upload(small: Sealed) -> None:
    """A member holds the run's key; what it decrypts has a mask on every coefficient."""
    owns = [OwnMask.fresh() for _ in NAMES]
    zeros = np.zeros(small.placement.dim, np.int32), np.zeros(9, np.int64)
    plain = small.sealer.seal(*zeros, pad=0)
    masked = small.sealer.seal(*zeros, pad=0, masks=masks_of(owns)[0])
    assert not decrypted(small, plain).any()
    shown, bits = decrypted(small, masked), small.placement.parameters.plain_bits
    assert (shown == 0).sum() == 0
    assert len(np.unique(shown)) == shown.size
    for bit in range(bits):
        assert abs(float(np.mean((shown >> bit) & 1)) - 0.5) < 0.02
    assert not (shown >> bits).any()


def decrypted(sealed: Sealed, upload: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    adder = Adder(sealed.placement)
    adder.add(upload)
    content = np.frombuffer(adder.sum(), np.uint8, offset=len(sealed.placement.sum_marker))
    rows = content.reshape(sealed.placement.num_ciphertexts, -1)
    out = np.empty((len(rows), sealed.placement.parameters.degree), np.int64)
    decryption = Decryption(sealed.sealer._secret)
    for ciphertext, row in zip(rows, out, strict=True):
        decryption.write(ciphertext, row)
    return out


def test_an_upload_is_as_long_with_masks_as_without(small: Sealed) -> None:
    plain, masked = small.uploads([None] * 3), small.uploads(masks_of([OwnMask.fresh()] * 3))
    assert [*map(len, plain)] == [*map(len, masked)] == [small.placement.upload_bytes] * 3


def test_without_masks_the_same_coefficients_are_sealed_as_ever(small: Sealed) -> None:
    (upload, *_) = small.uploads([None] * 3)
    integers = Integers.of(small.placement, small.levels[0], small.tallies[0])
    shape = small.placement.num_ciphertexts, small.placement.parameters.degree
    placed = integers.write_rows(0, np.empty(shape, np.int64))
    residues = placed & ((1 << small.placement.parameters.plain_bits) - 1)
    np.testing.assert_array_equal(decrypted(small, upload)[:, :-2], residues[:, :-2])
