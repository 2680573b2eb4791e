"""The private key with which a site opens the pair secrets of one run."""

from privacy.protocol.masks.pair_messages import PairKey
from privacy.secrets.keys import Identity, Secret


class PairPrivateKey(Secret):
    """A private key of ML-KEM-768 and one of X25519, made for one run.

    Whoever breaks one of the two still cannot open what is sealed to them. It is kept in a site's
    memory until the pair secrets of its run are there, and then deleted.
    """

    __slots__ = ("_key", "_material", "public")

    def __init__(self, material: bytes) -> None:
        raise NotImplementedError

    public: bytes  # the public key, of `PAIR_KEY_SIZE`

    @classmethod
    def generate(cls) -> "PairPrivateKey":
        """Return a new key, from the operating system's randomness."""
        raise NotImplementedError

    @classmethod
    def from_material(cls, material: bytes) -> "PairPrivateKey":
        """Return the key that `material` wrote.

        Raises:
            MalformedEnvelope: The bytes have another length.
        """
        raise NotImplementedError

    def material(self) -> bytes:
        """Return the seeds of both keys, 96 bytes. They are secret: only the memory holds them."""
        raise NotImplementedError

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return the secret that was sealed to this key under the same context.

        Raises:
            CannotOpen: It was sealed to another key or under another context, or altered.
        """
        raise NotImplementedError


def sign_pair_key(
    private: PairPrivateKey, *, identity: Identity, charter: bytes, suite: str
) -> PairKey:
    """Return the public key with its owner's signature."""
    raise NotImplementedError
