import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tenseal.sealapi as seal
from hypothesis import given
from hypothesis import strategies as st

from privacy.encryption.parameters import PARAMETER_SETS
from privacy.encryption.seal_serialisation import (
    Form,
    Inlet,
    Outlet,
    UnknownStream,
    Words,
    pack,
    unpack,
)

PARAMETERS = PARAMETER_SETS["default"](3)
N = PARAMETERS.degree


class Saves:
    """Saves fixed bytes, as a SEAL of another version would."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream

    def save(self, path: str) -> None:
        """Write the bytes."""
        Path(path).write_bytes(self.stream)


def numbers(seed: int, count: int, bits: int) -> Words:
    return np.random.default_rng(seed).integers(0, 1 << bits, count, dtype=np.uint64)


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 4), bits=st.integers(1, 60))
def test_unpack_undoes_pack(seed: int, rows: int, bits: int) -> None:
    words = numbers(seed, rows * 64, bits).reshape(rows, 64)
    packed = pack(words, np.empty((rows, 60), dtype=np.uint64))
    np.testing.assert_array_equal(unpack(packed, np.empty_like(words)), words)


@given(seed=st.integers(0, 2**32))
def test_every_packed_form_is_the_form_of_exactly_one_row_of_numbers(seed: int) -> None:
    packed = np.random.default_rng(seed).integers(0, 2**64, (2, 60), dtype=np.uint64)
    words = unpack(packed, np.empty((2, 64), dtype=np.uint64))
    assert int(words.max()) < 1 << 60
    np.testing.assert_array_equal(pack(words, np.empty_like(packed)), packed)


def test_a_plaintext_goes_in_and_out_unchanged() -> None:
    form, values, plain = Form.plaintext(N), numbers(1, N, 48), seal.Plaintext()
    Inlet(form).load(plain, PARAMETERS.context, values)
    assert [plain.data(index) for index in range(N)] == values.tolist()
    np.testing.assert_array_equal(Outlet().read(plain, form)[0], values)


def test_a_ciphertext_goes_in_and_out_unchanged() -> None:
    form, values = PARAMETERS.form(seeded=False), numbers(2, 2 * N, 59)
    ciphertext = seal.Ciphertext()
    Inlet(form).load(ciphertext, PARAMETERS.context, values)
    found, seed = Outlet().read(ciphertext, form)
    np.testing.assert_array_equal(found, values)
    assert seed.size == 0
    assert (ciphertext.size(), ciphertext.is_ntt_form()) == (2, False)
    assert (ciphertext.poly_modulus_degree(), ciphertext.coeff_modulus_size()) == (N, 1)
    assert tuple(ciphertext.parms_id()) == PARAMETERS.parms_id


def test_a_seeded_ciphertext_is_expanded_as_seal_expands_its_own() -> None:
    """What SEAL saved, unpacked and packed again, opens to the same plaintext."""
    key = seal.KeyGenerator(PARAMETERS.context).secret_key()
    plain, opened = seal.Plaintext(), seal.Plaintext()
    values = numbers(3, N, 48) | np.uint64(1)
    Inlet(Form.plaintext(N)).load(plain, PARAMETERS.context, values)
    form, ciphertext = PARAMETERS.form(seeded=True), seal.Ciphertext()
    encrypted = seal.Encryptor(PARAMETERS.context, key).encrypt_symmetric(plain)
    first, seed = Outlet().read(encrypted, form)
    Inlet(form).load(ciphertext, PARAMETERS.context, first, seed)
    seal.Decryptor(PARAMETERS.context, key).decrypt(ciphertext, opened)
    np.testing.assert_array_equal(Outlet().read(opened, Form.plaintext(N))[0], values)


def test_numbers_that_seal_refuses_are_refused_by_type() -> None:
    too_large = np.full(2 * N, PARAMETERS.prime, dtype=np.uint64)
    with pytest.raises(UnknownStream, match="does not load"):
        Inlet(PARAMETERS.form(seeded=False)).load(seal.Ciphertext(), PARAMETERS.context, too_large)


def test_an_object_with_other_fields_is_not_read() -> None:
    key = seal.KeyGenerator(PARAMETERS.context).secret_key()
    other = Form.secret((1, 2, 3, 4), N)
    with pytest.raises(UnknownStream, match="other fields"):
        Outlet().read(key, other)


def test_an_object_of_another_size_is_not_read() -> None:
    key = seal.KeyGenerator(PARAMETERS.context).secret_key()
    with pytest.raises(UnknownStream, match="other than"):
        Outlet().read(key, Form.secret(PARAMETERS.parms_id, N // 2))


@pytest.mark.parametrize(
    "header",
    [
        (0xA15F, 16, 4, 3, 2, 0),
        (0xA15E, 24, 4, 3, 2, 0),
        (0xA15E, 16, 4, 4, 2, 0),
        (0xA15E, 16, 4, 3, 1, 0),
    ],
)
def test_a_stream_of_another_version_or_compression_is_not_read(header: tuple[int, ...]) -> None:
    form = Form.plaintext(4)
    body = pa.compress(bytes(form.content_bytes), codec="zstd", asbytes=True)
    stream = struct.pack("<HBBBBHQ", *header, 16 + len(body)) + body
    with pytest.raises(UnknownStream, match="with the header"):
        Outlet().read(Saves(stream), form)
