"""Public identities of the members, and the agreement between them.

Nothing here is secret, and nothing here can sign. The coordinator imports this module, and not
`privacy.secrets.keys`.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from privacy import canonical
from privacy.errors import ConsortiumError, number_of

KEY_SIZE = 32
SIGNATURE_SIZE = 64
# HPKE (RFC 9180): only the holder of the X25519 private key can open what is sealed with it.
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SEAL_OVERHEAD = 48  # HPKE prepends an X25519 key of 32 bytes and appends a tag of 16

_TAG = b"consortium.identity/1\n"
_SIGN_BIT = 1 << 255
# The y coordinate of every Ed25519 point whose order divides 8. Under such a public key anybody can
# make a valid signature.
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        2**255 - 20,
        2**255 - 19,
        2**255 - 18,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    }
)


class BadIdentity(ConsortiumError, ValueError, code="bad-identity"):
    """A public identity holds a key of the wrong length, or a key that protects nothing."""


class BadSignature(ConsortiumError, ValueError, code="bad-signature"):
    """A signature is not the named member's signature over these bytes."""


class BadAgreement(ConsortiumError, ValueError, code="bad-agreement"):
    """The members, the openers and the floor contradict each other."""


class NotAMember(ConsortiumError, LookupError, code="not-a-member"):
    """A name is not that of a member of the consortium."""


def require_signature(key: bytes, message: bytes, signature: bytes, *, otherwise: str) -> None:
    """Check that the holder of a key signed exactly these bytes (Ed25519, RFC 8032).

    Args:
        key: The public key, 32 bytes.
        message: What was signed.
        signature: 64 bytes.
        otherwise: What the error says.

    Raises:
        BadSignature: The signature is not valid, or the key is none.
    """
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(otherwise) from error


@dataclass(frozen=True, kw_only=True)
class PublicIdentity:
    """The public halves of a member's keys, under the member's name.

    Guarantee: both keys are usable. A key for which anybody could sign or open is refused.

    Args:
        name: The member's name in the charter.
        signing: Ed25519 public key, 32 bytes.
        receiving: X25519 public key, 32 bytes.

    Raises:
        BadIdentity: A key has another length or a small order.
        MalformedEnvelope: The name does not have the form of a name.
    """

    name: str
    signing: bytes
    receiving: bytes

    def __post_init__(self) -> None:
        canonical.require_name("the name of a member", self.name)
        for key in (self.signing, self.receiving):
            if not isinstance(key, bytes) or len(key) != KEY_SIZE:
                raise BadIdentity(f"{self.name} needs two public keys of {KEY_SIZE} bytes each")
        if is_degenerate_signing_key(self.signing):
            raise BadIdentity(f"anybody could sign for {self.name}: its signing key is degenerate")
        if not _is_usable_for_exchange(self.receiving):
            raise BadIdentity(
                f"anybody could open what is sealed to {self.name}: its receiving key is degenerate"
            )

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of name and keys: people compare it aloud before they sign a charter."""
        encoded = _TAG + canonical.text(self.name) + self.signing + self.receiving
        return hashlib.sha256(encoded).digest()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check that this member signed exactly these bytes.

        Raises:
            BadSignature: The signature is not valid.
        """
        require_signature(
            self.signing, message, signature, otherwise=f"this was not signed by {self.name}"
        )

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """Encrypt a secret so that only this member can open it, under the same context.

        This is HPKE in base mode (RFC 9180). It does not authenticate the sender, so the caller
        must sign the result.
        """
        key = X25519PublicKey.from_public_bytes(self.receiving)
        return SUITE.encrypt(secret, key, context)

    def describe(self) -> dict[str, str]:
        """Return the identity as plain JSON values, the inverse of `from_description`."""
        return {
            "name": self.name,
            "signing": self.signing.hex(),
            "receiving": self.receiving.hex(),
        }

    @classmethod
    def from_description(cls, description: object) -> "PublicIdentity":
        """Parse what `describe` wrote, from untrusted JSON.

        Raises:
            BadIdentity: It does not describe an identity.
            MalformedEnvelope: The name does not have the form of a name.
        """
        match description:
            case {"name": str(name), "signing": str(signing), "receiving": str(receiving), **more}:
                if not more:
                    return cls(name=name, signing=_key(signing), receiving=_key(receiving))
        raise BadIdentity(
            "an identity must be a name, a signing key and a receiving key, and no more"
        )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What all keys are bound to: the charter, its members, and who may open runs.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        members: Public identities, with distinct names and distinct keys.
        openers: Names of the members that may make epoch secrets and open runs, in order of
            succession.
        min_others: Fewest sites besides the reader that every sum must hold.

    Raises:
        BadAgreement: Two members share a name or a key, an opener is not a member, there is no
            opener, or the floor cannot be met.
    """

    charter: bytes
    members: tuple[PublicIdentity, ...]
    openers: tuple[str, ...]
    min_others: int = 2

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_number("min_others", self.min_others, low=1, high=canonical.MAX_NAMES)
        if not self.min_others < len(self.members) <= canonical.MAX_NAMES:
            raise BadAgreement(
                f"min_others={self.min_others} needs more than "
                f"{number_of(self.min_others, 'member')} and at "
                f"most {canonical.MAX_NAMES}, got {len(self.members)}",
                members=len(self.members),
            )
        for part in ("name", "signing", "receiving"):
            self._require_distinct(part)
        if not self.openers or not set(self.openers) <= set(self._by_name):
            raise BadAgreement(
                "a charter must name at least one opener, and only members as openers"
            )

    def member(self, name: str) -> PublicIdentity:
        """Return the public identity of a member.

        Raises:
            NotAMember: There is no member of that name.
        """
        if name not in self._by_name:
            raise NotAMember(
                f"{name} is not among the {number_of(len(self.members), 'member')} of the charter"
            )
        return self._by_name[name]

    def roster(self, names: tuple[str, ...]) -> dict[str, PublicIdentity]:
        """Return the public identities of some members by name.

        Raises:
            NotAMember: One of the names is not that of a member.
        """
        return {name: self.member(name) for name in names}

    @cached_property
    def _by_name(self) -> dict[str, PublicIdentity]:
        return {member.name: member for member in self.members}

    def _require_distinct(self, part: str) -> None:
        distinct = {member.describe()[part] for member in self.members}
        if len(distinct) < len(self.members):
            raise BadAgreement(
                f"{number_of(len(self.members), 'member')} need as many distinct values of "
                f"'{part}', "
                f"got {len(distinct)}"
            )


def is_degenerate_signing_key(key: bytes) -> bool:
    """Return whether anybody can make a signature that is valid under this Ed25519 public key."""
    return int.from_bytes(key, "little") % _SIGN_BIT in _SMALL_ORDER


def _is_usable_for_exchange(key: bytes) -> bool:
    """Return whether key agreement with a public key gives a secret.

    X25519 with a key of small order gives zeros, which the library refuses.
    """
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return False
    return True


def _key(text: str) -> bytes:
    # `bytes.fromhex` also accepts spaces and capitals, but one key must have one description.
    if len(text) != 2 * KEY_SIZE or set(text) - set("0123456789abcdef"):
        raise BadIdentity(f"a public key must be {2 * KEY_SIZE} lower-case hex digits")
    return bytes.fromhex(text)
