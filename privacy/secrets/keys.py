"""The secrets of a site: its identity, the epoch secret, and the keys of a run.

Guarantee for every type here: its content is in no repr, no pickle and no copy. It is written only
to files of mode 0600, and read only from such files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy import canonical
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import KEY_SIZE, SUITE, PublicIdentity
from privacy.storage import secret_files

SECRET_SIZE = 32
SIV_KEY_SIZE = 64
SIV_OVERHEAD = 16

_IDENTITY_TAG = b"consortium.identity-secret/1\n"
_EPOCH_TAG = b"consortium.epoch-secret/1\n"
_DERIVE_TAG = b"consortium.derived-key/1\n"
_SHARE_TAG = b"consortium.bucket-share/1\n"


class SecretStays(ConsortiumError, TypeError, code="secret-stays"):
    """A secret must not be pickled or copied."""


class CannotOpen(ConsortiumError, ValueError, code="cannot-open"):
    """Sealed bytes cannot be opened. No reason is given: it could help an attacker."""

    def __init__(self) -> None:
        super().__init__("the sealed bytes cannot be opened")


class Secret:
    """Base of values that are never pickled, copied or printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretStays(f"{type(self).__name__} must not be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise SecretStays(f"{type(self).__name__} must not be pickled or copied")


class Identity(Secret):
    """The private keys of a member: they sign, and open what was sealed to the member.

    Args:
        name: The member's name in the charter.
        signing: Ed25519 private key, 32 bytes.
        receiving: X25519 private key, 32 bytes.
    """

    __slots__ = ("_receiving", "_secret", "_signing", "public")

    def __init__(self, name: str, *, signing: bytes, receiving: bytes) -> None:
        self._secret = signing + receiving
        self._signing = Ed25519PrivateKey.from_private_bytes(signing)
        self._receiving = X25519PrivateKey.from_private_bytes(receiving)
        self.public = PublicIdentity(
            name=name,
            signing=self._signing.public_key().public_bytes_raw(),
            receiving=self._receiving.public_key().public_bytes_raw(),
        )

    def __repr__(self) -> str:
        return f"Identity(name={self.name!r}, fingerprint={self.public.fingerprint.hex()})"

    @classmethod
    def generate(cls, name: str) -> "Identity":
        """Return new keys, from the operating system's randomness."""
        return cls(
            name,
            signing=Ed25519PrivateKey.generate().private_bytes_raw(),
            receiving=X25519PrivateKey.generate().private_bytes_raw(),
        )

    @property
    def name(self) -> str:
        """The member's name in the charter."""
        return self.public.name

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes. The message must start with a tag of its own."""
        return self._signing.sign(message)

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return the secret that `PublicIdentity.seal` sealed under the same context.

        Raises:
            CannotOpen: It was sealed to another member or under another context, or altered.
        """
        try:
            return SUITE.decrypt(sealed, self._receiving, context)
        except (InvalidTag, ValueError):
            # `from None`: the cause would tell which check failed.
            raise CannotOpen from None

    def bucket_share(self, draw: bytes) -> bytes:
        """Return this member's share of a draw of buckets, 32 bytes.

        It is the same whenever it is asked for, so nothing has to be kept for it. It says nothing
        of the keys, nor of the share of any other draw.

        Args:
            draw: Digest of the draw: charter and roster.
        """
        canonical.require_digest("the digest of a draw", draw)
        return derive_key(self._secret, info=_SHARE_TAG + draw, length=SECRET_SIZE)

    def write(self, path: Path) -> None:
        """Write the identity to a new secret file; see `secret_files.write_secret`."""
        secret_files.write_secret(path, tag=_IDENTITY_TAG, secret=self._secret)

    @classmethod
    def read(cls, path: Path, *, name: str) -> "Identity":
        """Read an identity that `write` wrote; see `secret_files.read_secret`."""
        secret = secret_files.read_secret(path, tag=_IDENTITY_TAG, size=2 * KEY_SIZE)
        return cls(name, signing=secret[:KEY_SIZE], receiving=secret[KEY_SIZE:])


class EpochSecret(Secret):
    """The secret that all members of one epoch share, and nobody else has.

    Every key derived from it is bound to a purpose and to the epoch's number.

    Args:
        epoch: Number of the epoch, from 1.
        secret: 32 random bytes from the operating system of the member that made it.
    """

    __slots__ = ("_secret", "epoch")

    def __init__(self, epoch: int, secret: bytes) -> None:
        canonical.require_number("an epoch", epoch, low=1)
        canonical.require_bytes("an epoch secret", secret, low=SECRET_SIZE, high=SECRET_SIZE)
        self.epoch = epoch
        self._secret = secret

    def __repr__(self) -> str:
        return f"EpochSecret(epoch={self.epoch}, fingerprint={self.fingerprint.hex()})"

    @property
    def fingerprint(self) -> bytes:
        """32 public bytes that commit to the secret: members compare them and reveal nothing."""
        return self._derive("fingerprint", b"", length=SECRET_SIZE)

    def seal_to(self, recipient: PublicIdentity, *, context: bytes) -> bytes:
        """Encrypt the secret so that only the recipient can open it; see `PublicIdentity.seal`."""
        return recipient.seal(self._secret, context=context)

    def wrap(self, secret: bytes, *, terms: bytes) -> bytes:
        """Encrypt another secret so that only members of the epoch can open it, under these terms.

        This is AES-SIV (RFC 5297), with a key derived for these terms alone. No nonce is needed:
        the terms hold a random salt.
        """
        return self._wrapping_cipher(terms).encrypt(secret, [terms])

    def unwrap(self, wrapped: bytes, *, terms: bytes) -> bytes:
        """Return what `wrap` wrapped under the same terms.

        Raises:
            CannotOpen: It was wrapped in another epoch or for other terms, or altered.
        """
        try:
            return self._wrapping_cipher(terms).decrypt(wrapped, [terms])
        except InvalidTag:
            raise CannotOpen from None

    def run_keys(self, *, charter: bytes, run: str) -> "RunKeys":
        """Return the keys of one run. All members of the epoch derive the same keys."""
        canonical.require_digest("the fingerprint of a charter", charter)
        canonical.require_name("a run id", run)
        context = charter + canonical.text(run)
        return RunKeys(
            charter=charter,
            run=run,
            state=self._derive("state", context, length=SIV_KEY_SIZE),
            checksum=self._derive("checksum", context, length=SECRET_SIZE),
            pad=self._derive("pad", context, length=SECRET_SIZE),
            reveal=self._derive("reveal", context, length=SIV_KEY_SIZE),
        )

    def write(self, path: Path) -> None:
        """Write the epoch secret to a new secret file; see `secret_files.write_secret`."""
        content = canonical.number(self.epoch) + self._secret
        secret_files.write_secret(path, tag=_EPOCH_TAG, secret=content)

    @classmethod
    def read(cls, path: Path) -> "EpochSecret":
        """Read an epoch secret that `write` wrote; see `secret_files.read_secret`."""
        content = secret_files.read_secret(path, tag=_EPOCH_TAG, size=8 + SECRET_SIZE)
        return cls(int.from_bytes(content[:8], "big"), content[8:])

    def _wrapping_cipher(self, terms: bytes) -> AESSIV:
        return AESSIV(self._derive("wrapping", terms, length=SIV_KEY_SIZE))

    def _derive(self, purpose: str, context: bytes, *, length: int) -> bytes:
        # The info of HKDF separates the keys. Purpose, epoch and context have a fixed size or carry
        # their length, so no two sets of arguments give the same bytes.
        info = _DERIVE_TAG + canonical.text(purpose) + canonical.number(self.epoch)
        return derive_key(self._secret, info=info + canonical.blob(context), length=length)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class RunKeys(Secret):
    """The keys of one run; every site derives the same keys.

    Args:
        charter: Fingerprint of the charter, 32 public bytes.
        run: The run id, public.
        state: AES-SIV key that encrypts the state, 64 bytes.
        checksum: Key from which the coefficients of the linear MAC are drawn, 32 bytes.
        pad: Key from which the pad of each upload's tag is derived, 32 bytes.
        reveal: AES-SIV key that seals the shares in a confirmation to the sites, 64 bytes.
    """

    charter: bytes
    run: str
    state: bytes
    checksum: bytes
    pad: bytes
    reveal: bytes

    def __repr__(self) -> str:
        return f"RunKeys(run={self.run!r})"

    # A frozen dataclass with slots would define its own `__getstate__`.
    __getstate__ = Secret.__getstate__


def derive_key(secret: bytes, *, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    """Derive a key of `length` bytes from a secret by HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt, info).derive(secret)
