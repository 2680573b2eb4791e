"""The secret that two sites of a run share: from it come their masks, and the keys of shares."""

from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.masks.pair_messages import PairCiphertext, PairKey, PairTerms
from privacy.secrets.keys import Identity, Secret
from privacy.secrets.masks.pair_keys import PairPrivateKey


class PairSecret(Secret):
    """The secret k_ij of two sites in one run, 32 bytes."""

    __slots__ = ("_secret",)

    @classmethod
    def from_material(cls, material: bytes) -> "PairSecret":
        """Return the secret that `material` wrote.

        Raises:
            MalformedEnvelope: The bytes have another length.
        """
        raise NotImplementedError

    def material(self) -> bytes:
        """Return the secret as bytes: only the memory of a site holds them."""
        raise NotImplementedError

    def seed(self, place: bytes, first: str, second: str) -> bytes:
        """Return the seed s_ij of the mask of these two sites in one sum, 32 bytes.

        Args:
            place: Digest of a `MaskPlace`.
            first: The first of the two names in the alphabet.
            second: The other one.
        """
        raise NotImplementedError

    def share_key(self, dealer: str, witness: str) -> bytes:
        """Return the AES-SIV key that seals the shares of a dealer to a witness, 64 bytes."""
        raise NotImplementedError


def make_pair_secret(
    terms: PairTerms, key: PairKey, *, identity: Identity
) -> tuple[PairCiphertext, PairSecret]:
    """Make the secret of a pair, and the signed ciphertext that takes it to the recipient.

    Both must be on the disk before the ciphertext is sent, and the same ciphertext be sent again.

    Args:
        terms: Its place; this site is the sender.
        key: The recipient's key, from a checked list.
        identity: Identity of this site.
    """
    raise NotImplementedError


def accept_pair_secret(
    ciphertext: PairCiphertext,
    private: PairPrivateKey,
    *,
    terms: PairTerms,
    sender: PublicIdentity,
) -> PairSecret:
    """Return the secret of a pair from the ciphertext that the coordinator showed.

    Args:
        ciphertext: As it was received.
        private: This site's key of the run.
        terms: The place it must have; this site is the recipient.
        sender: The sender's public identity.

    Raises:
        ForeignPairSecret: The sender did not sign it for this place; the coordinator is to blame.
        UnreadablePairSecret: The sender signed it and it does not open; the sender is to blame.
    """
    raise NotImplementedError
