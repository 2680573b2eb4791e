"""BFV parameters with proofs of exactness and security, and the placement of numbers. Public."""

import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import tenseal.sealapi as seal

from privacy.encryption.seal_serialisation import PACKED_BITS, SEED_BYTES, Form
from privacy.errors import ConsortiumError, number_of

# Largest noise in a number of one fresh symmetric ciphertext. SEAL draws it from a centred binomial
# distribution of 21 bits, so it is at most 21; scaling the plaintext by q / t, which is no whole
# number, rounds by at most 1 / 2.
NOISE_OF_ONE = 21.5
TALLY_BITS = 41  # a tally entry of one site is below 2^41 in size
TAG_LIMBS = 2
TAG_LIMB_BITS = 31

_PLAIN_BITS = (48, 46, 44)  # of the default set; with 42 the tags of so many sites do not fit

_SECURITY = {
    128: seal.SEC_LEVEL_TYPE.TC128,
    192: seal.SEC_LEVEL_TYPE.TC192,
    256: seal.SEC_LEVEL_TYPE.TC256,
}
_FORM = struct.Struct("<8s16sQ")
_UPLOAD, _SUM = b"bfv-up/1", b"bfv-sm/1"


class UnsoundParameters(ConsortiumError, ValueError, code="unsound-parameters"):
    """The parameters are not secure, or sums under them are not exact."""


@cache
def seal_context(degree: int, prime_bits: int, plain_bits: int, security_bits: int) -> Any:  # noqa: ANN401
    """Return SEAL's context for BFV with one ciphertext prime, made once per process.

    Raises:
        UnsoundParameters: SEAL's own tables refuse the parameters at this security level.
    """
    if security_bits not in _SECURITY:
        raise UnsoundParameters(f"security_bits must be one of {[*_SECURITY]}, got {security_bits}")
    try:
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(degree)
        parameters.set_coeff_modulus(seal.CoeffModulus.Create(degree, [prime_bits]))
        # A power of two, so that signed coefficients are read back by shifts. Batching, which would
        # need a prime here, is not used: values are only added, coefficient by coefficient.
        parameters.set_plain_modulus(1 << plain_bits)
        context = seal.SEALContext(parameters, True, _SECURITY[security_bits])
    except (ValueError, RuntimeError, TypeError) as refusal:
        raise UnsoundParameters(
            f"SEAL refuses degree {degree}, a prime of {prime_bits} bits and numbers of "
            f"{plain_bits} bits: {refusal}"
        ) from refusal
    if not context.parameters_set():
        raise UnsoundParameters(
            f"SEAL refuses degree {degree} and a prime of {prime_bits} bits at {security_bits} "
            f"bits of security ({context.parameters_error_name()}): use fewer prime bits"
        )
    return context


@cache
def _prime(degree: int, bits: int) -> int:
    """Return the ciphertext prime of this size, without the megabytes of a whole context."""
    return int(seal.CoeffModulus.Create(degree, [bits])[0].value())


def _most_sites(prime: int, plain_bits: int) -> int:
    """Return the most uploads whose added noise stays below half a plaintext step."""
    # One plaintext step is q / t = prime / 2^plain_bits in the ciphertext. Decryption rounds to the
    # nearest step, so it is exact while the sum of the noises stays below half of it.
    return math.ceil(prime / (2 << plain_bits) / NOISE_OF_ONE) - 1


@dataclass(frozen=True, kw_only=True)
class SealParameters:
    """Parameters of BFV under which sums over `num_sites` sites are secure and exact.

    Guarantee: if an instance exists, SEAL's tables grant `security_bits`. The noise of
    `num_sites` fresh ciphertexts stays below half a plaintext step, so opening their sum gives
    the exact sum of the integers. And no digit and no limb of the checksum can carry into its
    neighbour.

    Args:
        num_sites: The most uploads that are ever added.
        degree: Coefficients of a plaintext polynomial, so per ciphertext.
        prime_bits: Bits of the one ciphertext prime.
        plain_bits: Bits of a plaintext coefficient; the plaintext modulus is a power of two.
        digits: Values of the update packed into one coefficient.
        security_bits: Security level required by SEAL's tables: 128, 192 or 256.

    Raises:
        UnsoundParameters: One of the four proofs fails; the message says what to change.
    """

    num_sites: int
    degree: int = 8192
    prime_bits: int = 60
    plain_bits: int = 48
    digits: int = 2
    security_bits: int = 256

    def __post_init__(self) -> None:
        if self.num_sites < 1 or not 2 <= self.digits <= self.plain_bits:
            raise UnsoundParameters(
                f"num_sites must be at least 1 and digits 2 to {self.plain_bits}, got "
                f"{self.num_sites} and {self.digits}"
            )
        if self.num_sites > self.most_sites:
            raise UnsoundParameters(
                f"the noise of {number_of(self.num_sites, 'site')} spoils the sum: with "
                f"{self.prime_bits} prime "
                f"bits and {self.plain_bits} plain bits at most "
                f"{number_of(self.most_sites, 'site')} are exact; "
                "lower the sites or the plain bits"
            )
        # Limbs of tags are at least 0 and below 2^31. Their sum must stay below 2^(plain_bits - 1),
        # or a signed coefficient could not hold it.
        if self.num_sites << TAG_LIMB_BITS > 1 << (self.plain_bits - 1):
            raise UnsoundParameters(
                f"the checksums of {number_of(self.num_sites, 'site')} do not fit into "
                f"{self.plain_bits} plain "
                "bits: lower the sites or raise the plain bits"
            )
        if self.levels < 1:
            raise UnsoundParameters(
                f"{self.digits} digits of {self.digit_bits} bits hold no sum of "
                f"{number_of(self.num_sites, 'site')}: lower the digits or the sites"
            )

    @property
    def context(self) -> Any:  # noqa: ANN401
        """SEAL's context, shared by all equal parameters."""
        return seal_context(self.degree, self.prime_bits, self.plain_bits, self.security_bits)

    @cached_property
    def prime(self) -> int:
        """The ciphertext modulus."""
        return int(self.context.first_context_data().parms().coeff_modulus()[0].value())

    @property
    def most_sites(self) -> int:
        """The most uploads whose added noise stays below half a plaintext step."""
        return _most_sites(self.prime, self.plain_bits)

    @property
    def packed_words(self) -> int:
        """Words of 64 bits in a packed polynomial: its numbers take 60 bits each."""
        return self.degree * PACKED_BITS // 64

    @property
    def digit_bits(self) -> int:
        """Bits of one digit, sign included."""
        return self.plain_bits // self.digits

    @property
    def levels(self) -> int:
        """Largest level of one site's value; a value takes 2 * levels + 1 different levels."""
        # The sum over all sites must fit into a signed digit.
        return ((1 << (self.digit_bits - 1)) - 1) // self.num_sites

    @property
    def bits(self) -> float:
        """Resolution of one site's value, in bits."""
        return math.log2(2 * self.levels + 1)

    @property
    def tally_limbs(self) -> int:
        """Whole coefficients that one tally entry takes: two where a sum does not fit into one."""
        return 1 if self.num_sites << TALLY_BITS <= 1 << (self.plain_bits - 1) else 2

    @cached_property
    def fingerprint(self) -> bytes:
        """Sixteen bytes that identify the parameters: ciphertexts of others cannot be added."""
        numbers = (self.degree, self.prime, self.plain_bits, self.digits, self.num_sites)
        return hashlib.sha256(repr(numbers).encode()).digest()[:16]

    @property
    def parms_id(self) -> tuple[int, ...]:
        """SEAL's own fingerprint of the scheme, the degree and the moduli."""
        return tuple(self.context.first_parms_id())

    def form(self, *, seeded: bool) -> Form:
        """Return the stream form in which SEAL writes a ciphertext under these parameters."""
        return Form.ciphertext(self.parms_id, self.degree, seeded=seeded)


def _default_set(num_sites: int) -> SealParameters:
    """Return the default set: above 95 sites, two plain bits fewer for each factor of four."""
    prime = _prime(SealParameters.degree, SealParameters.prime_bits)
    fits = (bits for bits in _PLAIN_BITS if num_sites <= _most_sites(prime, bits))
    return SealParameters(num_sites=num_sites, plain_bits=next(fits, _PLAIN_BITS[-1]))


def _fixed_set(**fixed: int) -> Callable[[int], SealParameters]:
    return lambda num_sites: SealParameters(num_sites=num_sites, **fixed)


PARAMETER_SETS: Mapping[str, Callable[[int], SealParameters]] = MappingProxyType(
    {
        "default": _default_set,
        "strict-256": _fixed_set(degree=4096, prime_bits=58, plain_bits=45),
        "compact-12": _fixed_set(digits=3),
        "compact-8": _fixed_set(digits=4),
    }
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Which coefficient of which ciphertext holds what. Public, and the same at all sites.

    First comes the update, `digits` values to a coefficient; then the tally, in whole
    coefficients; then zeros. The tag of the checksum takes the very last coefficients.

    Args:
        parameters: Parameters of the ciphertexts.
        dim: Values of the update; 0 for a tally alone.
        tally_size: Entries of the tally; 0 for an update alone.

    Raises:
        UnsoundParameters: A size is negative, or there is nothing to place.
    """

    parameters: SealParameters
    dim: int
    tally_size: int = 0

    def __post_init__(self) -> None:
        if min(self.dim, self.tally_size) < 0 or self.dim + self.tally_size == 0:
            raise UnsoundParameters(
                f"sizes must not be negative, nor both 0, got dim={self.dim} and "
                f"tally_size={self.tally_size}"
            )

    @property
    def update_coefficients(self) -> int:
        """Coefficients that the update takes."""
        return -(-self.dim // self.parameters.digits)

    @property
    def tally_coefficients(self) -> int:
        """Coefficients that the tally takes."""
        return self.tally_size * self.parameters.tally_limbs

    @cached_property
    def num_ciphertexts(self) -> int:
        """Number of ciphertexts in an upload, and in a sum."""
        used = self.update_coefficients + self.tally_coefficients + TAG_LIMBS
        return -(-used // self.parameters.degree)

    @property
    def upload_stride(self) -> int:
        """Bytes of one ciphertext of an upload."""
        return self.parameters.packed_words * 8 + SEED_BYTES

    @property
    def sum_stride(self) -> int:
        """Bytes of one ciphertext of a sum."""
        return 2 * self.parameters.packed_words * 8

    @property
    def upload_bytes(self) -> int:
        """Length of every upload, in bytes."""
        return _FORM.size + self.num_ciphertexts * self.upload_stride

    @property
    def sum_bytes(self) -> int:
        """Length of every sum, in bytes."""
        return _FORM.size + self.num_ciphertexts * self.sum_stride

    @property
    def upload_marker(self) -> bytes:
        """The first bytes of every upload: version, parameters, number of ciphertexts."""
        return _FORM.pack(_UPLOAD, self.parameters.fingerprint, self.num_ciphertexts)

    @property
    def sum_marker(self) -> bytes:
        """The first bytes of every sum: version, parameters, number of ciphertexts."""
        return _FORM.pack(_SUM, self.parameters.fingerprint, self.num_ciphertexts)
