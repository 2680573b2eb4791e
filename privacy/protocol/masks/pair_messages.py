"""The messages from which pair secrets come: keys, their list, and signed ciphertexts.

A key encapsulation authenticates nobody. So each key is signed by its owner, the list of keys goes
into the run id (`masked_descriptor`), and each ciphertext is signed by who made it. They are parsed
from untrusted bytes, with the same guarantee as in `envelope`. Nothing here needs a secret.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from privacy import canonical
from privacy.canonical import Reader
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, PublicIdentity
from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.records import Record, SignedRecord, fixed_bytes, inner, name

SUITE_NAME = "mlkem768_x25519"  # ML-KEM-768 with X25519 (FIPS 203, X-Wing), HKDF, ChaCha20-Poly1305
SUITES = (SUITE_NAME,)
PAIR_KEY_SIZE = 1184 + 32
PAIR_CIPHERTEXT_SIZE = 1088 + 32 + 32 + 16  # two encapsulations, a secret of 32 bytes, a tag
MAX_PAIR_KEY_BYTES = 2_048
MAX_TERMS_BYTES = 1_024
MAX_PAIR_CIPHERTEXT_BYTES = 4_096

_LIST_TAG = b"consortium.pair-key-list/1\n"
_DESCRIPTOR_TAG = b"consortium.masked-descriptor/1\n"
_CIPHERTEXTS_TAG = b"consortium.pair-ciphertexts/1\n"


class WrongPairKeys(ConsortiumError, ValueError, code="wrong-pair-keys"):
    """Pair keys are not one of each site of the roster, for this charter and suite."""


class OwnPairKeyMissing(ConsortiumError, ValueError, code="own-pair-key-missing"):
    """The list of pair keys does not hold the key that this site offered."""


class ForeignPairSecret(ConsortiumError, ValueError, code="foreign-pair-secret"):
    """A pair ciphertext was not signed by its sender, or is meant for another place or run.

    The coordinator is to blame: it showed what the sender did not sign for this place.
    """


class TwoPairSecrets(ConsortiumError, ValueError, code="two-pair-secrets"):
    """A member signed two pair ciphertexts for one place. Both together are proof against it."""


class UnreadablePairSecret(ConsortiumError, ValueError, code="unreadable-pair-secret"):
    """A member signed a pair ciphertext that does not open. The member is to blame."""


@dataclass(frozen=True, kw_only=True)
class PairKey(SignedRecord, tag=b"consortium.pair-key/1\n"):
    """A site's public key for the pair secrets of one run, signed by the site.

    Args:
        charter: Fingerprint of the charter.
        suite: One of `SUITES`.
        site: The site whose key it is.
        key: The public key.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    suite: Annotated[str, name("a suite")]
    site: Annotated[str, name("a site")]
    key: Annotated[bytes, fixed_bytes("a pair key", PAIR_KEY_SIZE)]


@dataclass(frozen=True, kw_only=True)
class PairTerms(Record, tag=b"consortium.pair-terms/1\n"):
    """The place of a pair secret; its encryption and its derivation are bound to it.

    Args:
        charter: Fingerprint of the charter.
        run: The run id.
        key_list: Digest of the list of pair keys, L.
        sender: The site that makes the secret: the first of the two names.
        recipient: The site that receives it.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    run: Annotated[str, name("a run id")]
    key_list: Annotated[bytes, fixed_bytes("the digest of a list of pair keys")]
    sender: Annotated[str, name("a sender")]
    recipient: Annotated[str, name("a recipient")]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sender < self.recipient:
            raise canonical.MalformedEnvelope(
                "the sender of a pair secret must come before its recipient in the alphabet"
            )


@dataclass(frozen=True, kw_only=True)
class PairCiphertext(SignedRecord, tag=b"consortium.pair-ciphertext/1\n"):
    """A pair secret, sealed to its recipient and signed by its sender.

    Args:
        terms: Its place.
        ciphertext: The secret, encrypted to the recipient's pair key under these terms.
    """

    terms: Annotated[PairTerms, inner(PairTerms, at_most=MAX_TERMS_BYTES)]
    ciphertext: Annotated[bytes, fixed_bytes("a pair ciphertext", PAIR_CIPHERTEXT_SIZE)]

    def require(self, terms: PairTerms, sender: PublicIdentity) -> None:
        """Check that the sender signed this for exactly this place.

        Raises:
            ForeignPairSecret: It did not.
        """
        raise NotImplementedError

    def require_same(self, came: "PairCiphertext") -> None:
        """Check that a ciphertext that came later is this one; both are signed by their sender.

        Raises:
            TwoPairSecrets: It is another one for the same place.
        """
        raise NotImplementedError


def join_pair_keys(keys: Mapping[str, PairKey]) -> bytes:
    """Return the canonical list of pair keys, by the names of their sites."""
    return encode_named({site: key.encode() for site, key in keys.items()})


@lru_cache(maxsize=8)  # all sites that one process simulates get the same list
def decode_pair_keys(encoded: bytes) -> Mapping[str, PairKey]:
    """Parse what `join_pair_keys` wrote; raise MalformedEnvelope for anything else."""
    raise NotImplementedError


def check_pair_keys(
    keys: Mapping[str, PairKey], *, agreement: Agreement, roster: Sequence[str], suite: str
) -> None:
    """Check that there is one signed key of each site of the roster, and no other.

    Raises:
        WrongPairKeys: A key is missing, or is for another site, charter or suite, or repeated.
        BadSignature: A site did not sign its key.
        NotAMember: A name is not that of a member.
    """
    raise NotImplementedError


def key_list_digest(encoded: bytes) -> bytes:
    """Return L: the digest of a joined list of pair keys."""
    return hashlib.sha256(_LIST_TAG + encoded).digest()


def masked_descriptor(descriptor: bytes, key_list: bytes) -> bytes:
    """Return the descriptor digest of a masked run; the run id follows from it.

    Args:
        descriptor: The descriptor digest of the same run without masks.
        key_list: L.
    """
    canonical.require_digest("the digest of a run descriptor", descriptor)
    canonical.require_digest("the digest of a list of pair keys", key_list)
    return hashlib.sha256(_DESCRIPTOR_TAG + descriptor + key_list).digest()


def join_ciphertexts(ciphertexts: Iterable[PairCiphertext]) -> bytes:
    """Join at most `MAX_NAMES` ciphertexts, by sender and recipient."""
    raise NotImplementedError


def decode_ciphertexts(encoded: bytes) -> tuple[PairCiphertext, ...]:
    """Parse what `join_ciphertexts` wrote; raise MalformedEnvelope for anything else."""
    raise NotImplementedError
