"""NVFLARE's homomorphic sums, re-created on TenSEAL's public API with its parameters.

CKKS of degree 8192 with primes of 60, 40 and 40 bits and scale 2^40, symmetric; one vector per
tensor; sites multiply by their weight before encrypting; the coordinator loads all tensors of a
reply, adds them to its totals and divides once at the end; sites decrypt and bring into shape.
With every tensor travels the context without its secret key: parameters and relinearisation keys.
Whoever receives a tensor makes a context of it. One thread, as all figures are per core.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

Tensor = NDArray[np.float32]
Sent = tuple[bytes, bytes]
"""A tensor on its way, encrypted, and the context that travels with it."""


def fresh_context() -> bytes:
    """Return a context with its secret key."""
    context = ts.context(
        ts.SCHEME_TYPE.CKKS,
        8192,
        coeff_mod_bit_sizes=[60, 40, 40],
        encryption_type=ts.ENCRYPTION_TYPE.SYMMETRIC,
        n_threads=1,
    )
    context.global_scale = 2**40
    return bytes(context.serialize(save_secret_key=True))


def loaded(context: bytes) -> Any:
    """Return the context of this process."""
    return ts.context_from(context, n_threads=1)


def encrypt(context: Any, tensors: Sequence[Tensor], *, weight: float) -> list[Sent]:
    """Return what a site uploads."""
    return [_sent(ts.ckks_vector(context, tensor.ravel() * weight)) for tensor in tensors]


def add(totals: Sequence[Any] | None, upload: Sequence[Sent]) -> list[Any]:
    """Return the totals with one upload more."""
    vectors = [_received(tensor) for tensor in upload]
    if totals is None:
        return vectors
    return [total + vector for total, vector in zip(totals, vectors, strict=True)]


def finished(totals: Sequence[Any], *, count: float) -> list[Sent]:
    """Return what every site downloads: a division drops one prime."""
    return [_sent(total * (1.0 / count)) for total in totals]


def decrypt(context: Any, download: Sequence[Sent], shapes: Sequence[tuple[int, ...]]) -> None:
    """Decrypt a download to arrays."""
    secret = context.secret_key()
    for tensor, shape in zip(download, shapes, strict=True):
        np.array(_received(tensor).decrypt(secret_key=secret)).reshape(shape)


def _sent(vector: Any) -> Sent:
    return bytes(vector.serialize()), bytes(vector.context().serialize(save_secret_key=False))


def _received(tensor: Sent) -> Any:
    vector, context = tensor
    return ts.ckks_vector_from(loaded(context), vector)
