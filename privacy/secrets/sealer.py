"""Sealing and opening: encrypts integers to ciphertexts and back, with the secret key. Sites only.

An upload holds the levels of an update, a tally, and the tag of the linear MAC, placed as
`Placement` says, in BFV ciphertexts. SEAL draws their randomness from the operating system.
"""

import mmap
import multiprocessing
import os
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, SupportsIndex

import numpy as np
import tenseal.sealapi as seal

from privacy import canonical
from privacy.encryption.ciphertext_sum import (
    Buffer,
    MalformedCiphertext,
    TooManyUploads,
    summed_rows,
    unpack_polynomials,
)
from privacy.encryption.parameters import Placement, SealParameters
from privacy.encryption.quantisation import Levels
from privacy.encryption.seal_serialisation import SEED_BYTES, Form, Inlet, Octets, Outlet, pack
from privacy.errors import ConsortiumError, number_of
from privacy.layout import Tally
from privacy.secrets.keys import RunKeys
from privacy.secrets.linear_mac import MAX_ROWS, PRIME, Checksum, verify_tag
from privacy.secrets.masks.mask_streams import Masks
from privacy.secrets.packing import FieldOverflow, Integers, centre_residues, put_tag, take_tag

_MATERIAL = struct.Struct("<8s16s")
_VERSION = b"bfv-sk/1"
_WORTH_A_PROCESS = 8  # ciphertexts that take longer to seal than a process to fork


class MalformedSecret(ConsortiumError, ValueError, code="malformed-secret"):
    """Bytes are not a secret key of these parameters. The error does not say what they are."""


class HelperDied(ConsortiumError, RuntimeError, code="helper-died"):
    """A forked process ended before it had sealed its part of an upload."""


class BfvSecret:
    """The secret key of one run, shared by its sites.

    Guarantee: it is never printed or pickled. Only `material` gives its bytes, for wrapping.
    """

    def __init__(self, parameters: SealParameters, key: Any) -> None:  # noqa: ANN401
        self.parameters = parameters
        self.key = key

    def __repr__(self) -> str:
        return "BfvSecret()"

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:  # noqa: ANN401
        raise TypeError("a secret key must not be pickled: wrap its material")

    @classmethod
    def generate(cls, parameters: SealParameters) -> Self:
        """Return a new key, which SEAL draws from the operating system's randomness."""
        return cls(parameters, seal.KeyGenerator(parameters.context).secret_key())

    def material(self) -> bytes:
        """Return the key as bytes. They are secret: wrap them at once."""
        numbers, _ = Outlet().read(self.key, _key_form(self.parameters))
        return _MATERIAL.pack(_VERSION, self.parameters.fingerprint) + numbers.tobytes()

    @classmethod
    def from_material(cls, parameters: SealParameters, material: bytes) -> Self:
        """Return the key that `material` wrote.

        Raises:
            MalformedSecret: The bytes are not a key of these parameters.
        """
        expected = _MATERIAL.size + 8 * parameters.degree
        marker = _MATERIAL.pack(_VERSION, parameters.fingerprint)
        if len(material) != expected or material[: len(marker)] != marker:
            raise MalformedSecret(
                f"a secret key of {expected} bytes for these parameters is needed"
            )
        numbers = np.frombuffer(material, dtype="<u8", offset=len(marker))
        if int(numbers.max()) >= parameters.prime or not numbers.any():
            raise MalformedSecret(
                "the numbers of a secret key must be below the ciphertext prime, and not all zero"
            )
        key = seal.SecretKey()
        Inlet(_key_form(parameters)).load(key, parameters.context, numbers)
        return cls(parameters, key)


def _key_form(parameters: SealParameters) -> Form:
    return Form.secret(parameters.parms_id, parameters.degree)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The content of a verified sum: summed levels, (dim,), and tallies, (tally_size,)."""

    levels: Levels
    tally: Tally


class _Workspace:
    """Buffers and memory files for SEAL, for one process and thread.

    Guarantee: each is overwritten as a whole before it is read, whoever used it before. So one is
    enough for all keys.
    """

    def __init__(self, parameters: SealParameters) -> None:
        self.plain_form = Form.plaintext(parameters.degree)
        self.seeded_form = parameters.form(seeded=True)
        self.plaintexts = Inlet(self.plain_form)
        self.sums = Inlet(parameters.form(seeded=False))
        self.outlet = Outlet()
        self.plain = seal.Plaintext()
        self.cipher = seal.Ciphertext()
        self.both = np.empty((2, parameters.degree), dtype=np.uint64)


_WORKSPACES = threading.local()


def _workspace_for(parameters: SealParameters) -> _Workspace:
    """Return the workspace of this process and thread for such ciphertexts.

    A forked process inherits the objects of its parent, but their memory files are shared with it.
    So each is made anew under another process id.
    """
    key = os.getpid(), parameters
    made: tuple[Any, _Workspace] | None = getattr(_WORKSPACES, "made", None)
    if made is None or made[0] != key:
        made = _WORKSPACES.made = key, _Workspace(parameters)
    return made[1]


class _Encryption:
    """Encrypts rows of coefficients under one key. To be let go of after the call that needs it."""

    def __init__(self, secret: BfvSecret) -> None:
        self._parameters = secret.parameters
        self._at = _workspace_for(secret.parameters)
        self._encryptor = seal.Encryptor(secret.parameters.context, secret.key)

    def write(self, row: Tally, out: Octets) -> None:
        """Encrypt a row of coefficients; write the seeded ciphertext to `out`."""
        at = self._at
        # Two's complement modulo 2^plain_bits: a negative coefficient becomes a residue.
        modulus = np.int64((1 << self._parameters.plain_bits) - 1)
        numbers = (row & modulus).view(np.uint64)
        at.plaintexts.load(at.plain, self._parameters.context, numbers)
        # Symmetric encryption has far less noise than a public key's. Its second polynomial is
        # random, so a seed of 64 bytes can travel in its place.
        ciphertext = self._encryptor.encrypt_symmetric(at.plain)
        numbers, seed = at.outlet.read(ciphertext, at.seeded_form)
        pack(numbers.reshape(1, -1), out[:-SEED_BYTES].view("<u8").reshape(1, -1))
        out[-SEED_BYTES:] = seed


class Decryption:
    """Decrypts summed ciphertexts under one key. To be let go of after the call that needs it.

    SEAL gives each of its decryptors a pool of memory, half a megabyte, which it keeps.
    """

    def __init__(self, secret: BfvSecret) -> None:
        self._parameters = secret.parameters
        self._at = _workspace_for(secret.parameters)
        self._decryptor = seal.Decryptor(secret.parameters.context, secret.key)

    def write(self, ciphertext: Octets, out: Tally) -> None:
        """Decrypt one summed ciphertext; write its coefficients to `out`, shape (degree,).

        They are the residues from 0 to below 2^plain_bits.

        Raises:
            MalformedCiphertext: The ciphertext is transparent: anybody can make one without a key.
        """
        at, parameters = self._at, self._parameters
        both = unpack_polynomials(ciphertext, parameters, at.both)
        if not both[1].any():
            raise MalformedCiphertext(
                "the second polynomial of a ciphertext is zero: it was not sealed"
            )
        at.sums.load(at.cipher, parameters.context, both)
        self._decryptor.decrypt(at.cipher, at.plain)
        # SEAL drops zero coefficients at the end of a plaintext, so its stream may be shorter.
        count = int(at.plain.coeff_count())
        form = at.plain_form if count == parameters.degree else Form.plaintext(count)
        numbers, _ = at.outlet.read(at.plain, form)
        out[:count] = numbers.view(np.int64)
        out[count:] = 0


class Sealer:
    """Seals the integers that a site sends in one exchange, and opens the sum that comes back.

    Guarantee: `open` returns the exact sum of what was sealed with the given pads, or raises.
    Not thread-safe.

    Args:
        secret: The run's secret key.
        placement: Which coefficient holds which integer.
        checksum: The secret coefficients for this exchange.
    """

    def __init__(self, secret: BfvSecret, placement: Placement, checksum: Checksum) -> None:
        self._secret = secret
        self._placement = placement
        self._checksum = checksum

    def seal(
        self,
        levels: Levels,
        tally: Tally,
        *,
        pad: int,
        masks: Masks | None = None,
        processes: int = 1,
    ) -> bytes:
        """Return the upload that holds these integers, of the placement's `upload_bytes`.

        Args:
            levels: Levels of the update, shape (dim,).
            tally: Tally, shape (tally_size,), |x| < 2^41.
            pad: The pad of this upload's label, never used before.
            masks: What is added to every coefficient, the tag's included; None in a run without.
            processes: Number of processes that share the work. The others are forked, and get the
                secret by inherited memory only.

        Raises:
            UnfitIntegers: The integers do not fit the placement.
            HelperDied: A forked process ended early.
        """
        integers = Integers.of(self._placement, levels, tally)
        marker, last = self._placement.upload_marker, self._placement.num_ciphertexts - 1
        with mmap.mmap(-1, self._placement.upload_bytes) as upload:
            upload[: len(marker)] = marker
            rows = np.frombuffer(upload, dtype=np.uint8, offset=len(marker))
            rows = rows.reshape(-1, self._placement.upload_stride)
            task = partial(self._seal_rows, integers, masks, rows)
            # The last row waits for the others: it carries the tag, which depends on all rows.
            share = sum_over_processes(task, last, processes=processes)
            row = self._blank_rows(1)
            share += self._checksum.of_rows(last, integers.write_rows(last, row))
            put_tag(row[0], (share + pad) % PRIME)
            if masks is not None:
                masks.add_to(row, last)
            _Encryption(self._secret).write(row[0], rows[last])
            # No view of the map may be left, or it cannot be closed.
            del rows, task
            return upload[:]

    def _seal_rows(
        self, integers: Integers, masks: Masks | None, rows: Octets, first: int, stop: int
    ) -> int:
        encryption, share, scratch = _Encryption(self._secret), 0, self._blank_rows(MAX_ROWS)
        for start in range(first, stop, MAX_ROWS):
            block = integers.write_rows(start, scratch[: stop - start])
            share += self._checksum.of_rows(start, block)
            if masks is not None:
                masks.add_to(block, start)
            for index, row in enumerate(block, start=start):
                encryption.write(row, rows[index])
        return share % PRIME

    def _blank_rows(self, count: int) -> Tally:
        return np.zeros((count, self._placement.parameters.degree), dtype=np.int64)

    def open(self, summed: Buffer, *, pads: Sequence[int], masks: Masks | None = None) -> Opened:
        """Open a sum, and check that it is the sum of the uploads with these pads.

        Args:
            summed: The bytes of a sum, not trusted.
            pads: The pad of each upload whose receipt was given.
            masks: What is taken off every coefficient; None in a run without.

        Raises:
            MalformedCiphertext: The bytes are not a sum of this placement.
            TooManyUploads: There are no pads, or more than the parameters are exact for.
            ChecksumFailed: It is not the sum of those uploads.
            FieldOverflow: An upload in it was out of bounds.
        """
        limit = self._placement.parameters.num_sites
        if not 0 < len(pads) <= limit:
            raise TooManyUploads(
                f"a sum is exact for 1 to {number_of(limit, 'upload')}, got {len(pads)}",
                limit=limit,
            )
        rows = summed_rows(summed, self._placement)
        integers, share, tag = Integers.blank(self._placement), 0, 0
        decryption, scratch = Decryption(self._secret), self._blank_rows(MAX_ROWS)
        for start in range(0, len(rows), MAX_ROWS):
            block = scratch[: len(rows) - start]
            for ciphertext, row in zip(rows[start:], block, strict=False):
                decryption.write(ciphertext, row)
            if masks is not None:
                masks.add_to(block, start)
            centre_residues(block, self._placement.parameters.plain_bits)
            if start + len(block) == len(rows):
                tag = take_tag(block[-1])
            share += self._checksum.of_rows(start, block)
            integers.read_rows(start, block)
        # Nothing is returned, not even an error about the content, before the tag is verified.
        verify_tag(share, tag, pads=pads)
        if not integers.within_range(uploads=len(pads)):
            raise FieldOverflow(
                f"{number_of(len(pads), 'upload')} within their bounds cannot add up to this: "
                "a member sealed a value that is out of bounds"
            )
        return Opened(levels=integers.levels, tally=integers.tally)


def exchange_checksum(
    keys: RunKeys, *, purpose: str, server_round: int, placement: Placement
) -> Checksum:
    """Return the coefficients by which the uploads of one purpose in one round are checked."""
    return Checksum(
        keys.checksum,
        # A sum of another round or kind of message fails the checksum under these coefficients.
        canonical.text(purpose) + canonical.number(server_round),
        num_rows=placement.num_ciphertexts,
        row_length=placement.parameters.degree,
    )


def sum_over_processes(task: Callable[[int, int], int], count: int, *, processes: int) -> int:
    """Return the sum of `task(first, stop)` over consecutive parts of `range(count)`.

    Each part but the last runs in a forked process. So the task sees all memory of this process,
    but what it writes must go to shared memory.

    Raises:
        HelperDied: A forked process ended early.
    """
    processes = max(1, min(processes, count // _WORTH_A_PROCESS))
    # Fork, not spawn: a spawned process would have to receive the secret by pickle.
    edges = [count * part // processes for part in range(processes + 1)]
    with mmap.mmap(-1, 8 * processes) as results:

        def work(part: int) -> None:
            answer = task(edges[part], edges[part + 1])
            results[8 * part : 8 * part + 8] = answer.to_bytes(8, "little")

        forking = multiprocessing.get_context("fork")
        helpers = [forking.Process(target=work, args=(part,)) for part in range(processes - 1)]
        for helper in helpers:
            helper.start()
        work(processes - 1)
        for helper in helpers:
            helper.join()
        died = sum(helper.exitcode != 0 for helper in helpers)
        if died:
            raise HelperDied(
                f"{died} of {len(helpers)} forked processes ended early: see why, and ask again",
                died=died,
            )
        return int(np.frombuffer(results[:], dtype="<u8").astype(object).sum())
