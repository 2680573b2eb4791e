"""The secret that two sites of a run share: from it come their masks, and the keys of shares."""

import hashlib
import hmac
import os

from privacy import canonical
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.masks.pair_messages import (
    PairCiphertext,
    PairKey,
    PairTerms,
    UnreadablePairSecret,
)
from privacy.secrets.keys import (
    SECRET_SIZE,
    SIV_KEY_SIZE,
    CannotOpen,
    Identity,
    Secret,
    derive_key,
)
from privacy.secrets.masks.pair_keys import PairPrivateKey

_PAIR_TAG = b"consortium.pair-secret/1\n"
_SEED_TAG = b"consortium.pair-mask/1\n"
_SHARE_KEY_TAG = b"consortium.share-key/1\n"


class PairSecret(Secret):
    """The secret k_ij of two sites in one run.

    Args:
        material: The secret, 32 bytes; `material` gives it back for the memory of a site.

    Raises:
        MalformedEnvelope: The bytes have another length.
    """

    __slots__ = ("_secret",)

    def __init__(self, material: bytes) -> None:
        canonical.require_bytes("a pair secret", material, low=SECRET_SIZE, high=SECRET_SIZE)
        self._secret = material

    def material(self) -> bytes:
        """Return the secret as bytes: only the memory of a site holds them."""
        return self._secret

    def seed(self, place: bytes, one: str, other: str) -> bytes:
        """Return the seed s_ij of the mask of these two sites in one sum, 32 bytes.

        Args:
            place: Digest of a `MaskPlace`.
            one: One of the two sites.
            other: The other one; both get the same seed in whichever order they name themselves.
        """
        first, second = sorted((one, other))
        message = _SEED_TAG + place + canonical.text(first) + canonical.text(second)
        return hmac.digest(self._secret, message, "sha256")

    def share_key(self, dealer: str, witness: str) -> bytes:
        """Return the AES-SIV key that seals the shares of a dealer to a witness, 64 bytes."""
        info = _SHARE_KEY_TAG + canonical.text(dealer) + canonical.text(witness)
        return derive_key(self._secret, info=info, length=SIV_KEY_SIZE)


def make_pair_secret(
    terms: PairTerms, key: PairKey, *, identity: Identity
) -> tuple[PairCiphertext, PairSecret]:
    """Make the secret of a pair, and the signed ciphertext that takes it to the recipient.

    Both must be on the disk before the ciphertext is sent, and the same ciphertext be sent again.

    Args:
        terms: Its place; this site is the sender.
        key: The recipient's key, from a checked list.
        identity: Identity of this site.

    Raises:
        UnusablePairKey: Nothing can be sealed to the recipient's key; the recipient is to blame.
    """
    drawn = os.urandom(SECRET_SIZE)
    sealed = key.seal(drawn, context=terms.encode())
    signature = identity.sign(PairCiphertext.body_of(terms=terms, ciphertext=sealed))
    ciphertext = PairCiphertext(terms=terms, ciphertext=sealed, signature=signature)
    return ciphertext, _derived(drawn, ciphertext)


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
    # The signature comes first: what the sender did not sign says nothing about the sender.
    ciphertext.require(terms, sender)
    try:
        drawn = private.open(ciphertext.ciphertext, context=terms.encode())
    except CannotOpen as error:
        raise UnreadablePairSecret(
            f"the pair secret that {sender.name} signed does not open with the key of "
            f"{terms.recipient}; both are kept as proof"
        ) from error
    return _derived(drawn, ciphertext)


def _derived(drawn: bytes, ciphertext: PairCiphertext) -> PairSecret:
    # The digest makes two ciphertexts two secrets, even if one secret was drawn for both.
    digest = hashlib.sha256(ciphertext.ciphertext).digest()
    info = _PAIR_TAG + canonical.blob(ciphertext.terms.encode()) + digest
    return PairSecret(derive_key(drawn, info=info, length=SECRET_SIZE))
