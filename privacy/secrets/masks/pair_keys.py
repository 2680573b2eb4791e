"""The private key with which a site opens the pair secrets of one run."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from privacy import canonical
from privacy.protocol.masks.pair_messages import HPKE, PairKey
from privacy.secrets.keys import CannotOpen, Identity, Secret

_ML_KEM_SEED_SIZE = 64
_MATERIAL_SIZE = _ML_KEM_SEED_SIZE + 32


class PairPrivateKey(Secret):
    """A private key of ML-KEM-768 and one of X25519, made for one run.

    Whoever breaks one of the two still cannot open what is sealed to them. A site keeps it in its
    memory until it has the pair secrets of the run, and then deletes it.

    Args:
        material: The seed of the ML-KEM key, 64 bytes, and the X25519 private key, 32 bytes.

    Raises:
        MalformedEnvelope: The bytes have another length.
    """

    __slots__ = ("_key", "_material", "public")

    def __init__(self, material: bytes) -> None:
        canonical.require_bytes("a pair key", material, low=_MATERIAL_SIZE, high=_MATERIAL_SIZE)
        ml_kem = MLKEM768PrivateKey.from_seed_bytes(material[:_ML_KEM_SEED_SIZE])
        x25519 = X25519PrivateKey.from_private_bytes(material[_ML_KEM_SEED_SIZE:])
        self._material = material
        self._key = MLKEM768X25519PrivateKey(ml_kem, x25519)
        self.public = (
            ml_kem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def generate(cls) -> "PairPrivateKey":
        """Return a new key, from the operating system's randomness."""
        return cls(os.urandom(_MATERIAL_SIZE))

    def material(self) -> bytes:
        """Return the bytes from which the key is made again: only a site's memory holds them."""
        return self._material

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return the secret that `PairKey.seal` sealed under the same context.

        Raises:
            CannotOpen: It was sealed to another key or under another context, or altered.
        """
        try:
            return HPKE.decrypt(sealed, self._key, context)
        except (InvalidTag, ValueError):
            # `from None`: the cause would tell which check failed.
            raise CannotOpen from None


def sign_pair_key(
    private: PairPrivateKey, *, identity: Identity, charter: bytes, suite: str
) -> PairKey:
    """Return the public key with its owner's signature."""
    name, key = identity.name, private.public
    body = PairKey.body_of(charter=charter, suite=suite, site=name, key=key)
    return PairKey(charter=charter, suite=suite, site=name, key=key, signature=identity.sign(body))
