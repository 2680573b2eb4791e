"""The messages from which pair secrets come: keys, their list, and signed ciphertexts.

A key encapsulation authenticates nobody. So each key is signed by its owner, the list of keys goes
into the run id (`masked_descriptor`), and each ciphertext is signed by who made it. They are parsed
from untrusted bytes, with the same guarantee as in `envelope`. Nothing here needs a secret.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from privacy import canonical
from privacy.canonical import Reader
from privacy.errors import ConsortiumError, abbreviated_names, number_of
from privacy.identity.public_identity import Agreement, BadSignature, PublicIdentity
from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.records import Record, SignedRecord, fixed_bytes, inner, name

SUITE_NAME = "mlkem768_x25519"  # ML-KEM-768 with X25519 (FIPS 203, X-Wing), HKDF, ChaCha20-Poly1305
SUITES = (SUITE_NAME,)
# Of the two encapsulations one resists quantum computers, and one has been studied for longer.
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
X25519_KEY_SIZE = 32
PAIR_KEY_SIZE = 1184 + X25519_KEY_SIZE
PAIR_CIPHERTEXT_SIZE = 1088 + 32 + 32 + 16  # two encapsulations, a secret of 32 bytes, a tag
MAX_PAIR_KEY_BYTES = 2_048
MAX_TERMS_BYTES = 1_024
MAX_PAIR_CIPHERTEXT_BYTES = 4_096

_LIST_TAG = b"consortium.pair-key-list/1\n"
_DESCRIPTOR_TAG = b"consortium.masked-descriptor/1\n"
_CIPHERTEXTS_TAG = b"consortium.pair-ciphertexts/1\n"


class WrongPairKeys(ConsortiumError, ValueError, code="wrong-pair-keys"):
    """Pair keys are not one of each site of the roster, for this charter and suite."""


class UnusablePairKey(ConsortiumError, ValueError, code="unusable-pair-key"):
    """A site signed a pair key to which nothing can be sealed. The site is to blame."""


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

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """Encrypt a secret so that only the key's owner can open it, under the same context.

        This is HPKE in base mode (RFC 9180). It does not authenticate the sender, so the caller
        must sign the result.

        Raises:
            UnusablePairKey: The key is none of the suite; its owner, who signed it, is to blame.
        """
        try:
            ml_kem = MLKEM768PublicKey.from_public_bytes(self.key[:-X25519_KEY_SIZE])
            x25519 = X25519PublicKey.from_public_bytes(self.key[-X25519_KEY_SIZE:])
            return HPKE.encrypt(secret, MLKEM768X25519PublicKey(ml_kem, x25519), context)
        except ValueError as error:
            raise UnusablePairKey(
                f"nothing can be sealed to the pair key that {self.site} signed"
            ) from error


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
        try:
            self.verify(sender)
        except BadSignature as error:
            raise ForeignPairSecret(
                f"{sender.name} did not sign the pair secret that came in its name"
            ) from error
        if self.terms != terms:
            raise ForeignPairSecret(
                f"{sender.name} signed this pair secret for another place: "
                f"{terms.sender} to {terms.recipient} in run {terms.run} was expected"
            )

    def require_same(self, came: "PairCiphertext") -> None:
        """Check that a ciphertext that came later is this one; both are signed by their sender.

        Raises:
            TwoPairSecrets: It is another one for the same place.
        """
        # An Ed25519 signer may sign the same bytes in more than one way, so signatures may differ.
        if (came.terms, came.ciphertext) != (self.terms, self.ciphertext):
            raise TwoPairSecrets(
                f"{self.terms.sender} signed two different pair secrets for "
                f"{self.terms.recipient} in one run; both are kept as proof"
            )


def join_pair_keys(keys: Mapping[str, PairKey]) -> bytes:
    """Return the canonical list of pair keys, by the names of their sites."""
    return encode_named({site: key.encode() for site, key in keys.items()})


def decode_pair_keys(encoded: bytes) -> Mapping[str, PairKey]:
    """Parse what `join_pair_keys` wrote; raise MalformedEnvelope for anything else."""
    parts = decode_named(encoded, at_most=MAX_PAIR_KEY_BYTES)
    keys = {site: PairKey.decode(part) for site, part in parts.items()}
    if any(key.site != site for site, key in keys.items()):
        raise canonical.MalformedEnvelope("a pair key stands in the place of another site")
    return MappingProxyType(keys)


def check_pair_keys(
    keys: Mapping[str, PairKey], *, agreement: Agreement, roster: Sequence[str], suite: str
) -> None:
    """Check that there is one signed key of each site of the roster, and no other.

    Raises:
        WrongPairKeys: A key is missing, or is for another site, charter or suite, or repeated.
        BadSignature: A site did not sign its key.
        NotAMember: A name is not that of a member.
    """
    if set(keys) != set(roster):
        missing = sorted(set(roster) - set(keys))
        raise WrongPairKeys(
            f"one pair key of each of {number_of(len(roster), 'site')} is needed, got {len(keys)}"
            + (f"; {abbreviated_names(missing)} are missing" if missing else ""),
            needed=len(roster),
            came=len(keys),
        )
    if len({key.key for key in keys.values()}) < len(keys):
        raise WrongPairKeys("two sites offer the same pair key: one of them copied it")
    for site, key in keys.items():
        if (key.site, key.charter, key.suite) != (site, agreement.charter, suite):
            raise WrongPairKeys(
                f"the pair key of {site} is for another site, charter or suite than {suite}"
            )
        key.verify(agreement.member(site))


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
    """Join at most `MAX_NAMES` ciphertexts, sorted by sender and recipient.

    Raises:
        MalformedEnvelope: There are more, or two for one place.
    """
    parts = sorted(ciphertexts, key=_place)
    _require_places(parts)
    start = _CIPHERTEXTS_TAG + canonical.number(len(parts))
    return b"".join([start, *(canonical.blob(part.encode()) for part in parts)])


def decode_ciphertexts(encoded: bytes) -> tuple[PairCiphertext, ...]:
    """Parse what `join_ciphertexts` wrote; raise MalformedEnvelope for anything else."""
    reader = Reader(encoded, tag=_CIPHERTEXTS_TAG)
    count = reader.number()
    canonical.require_number("the number of pair ciphertexts", count, high=canonical.MAX_NAMES)
    parts = tuple(
        PairCiphertext.decode(reader.blob(at_most=MAX_PAIR_CIPHERTEXT_BYTES)) for _ in range(count)
    )
    reader.end()
    _require_places(parts)
    return parts


def _place(ciphertext: PairCiphertext) -> tuple[str, str]:
    return ciphertext.terms.sender, ciphertext.terms.recipient


def _require_places(parts: Sequence[PairCiphertext]) -> None:
    canonical.require_number("the number of pair ciphertexts", len(parts), high=canonical.MAX_NAMES)
    if any(_place(one) >= _place(after) for one, after in pairwise(parts)):
        raise canonical.MalformedEnvelope(
            "pair ciphertexts must be sorted by sender and recipient, one for each place"
        )
