"""A key that signs a log, for who has no identity in a charter: a coordinator, a site in the clear.

The secret half is in no repr and leaves its file never.
"""

from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.identity.public_identity import KEY_SIZE
from privacy.storage.secret_files import make_private_directory, read_secret, write_secret

_TAG = b"consortium.signing-key/1\n"


class SigningKey:
    """An Ed25519 key.

    Args:
        secret: 32 bytes.
    """

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"

    @classmethod
    def at(cls, path: Path) -> "SigningKey":
        """Return the key in a secret file; one is made, once, if there is none.

        Guarantee: of two processes at once, both get the same key.
        """
        if not path.exists():
            make_private_directory(path.parent)
            made = path.with_name(f".{token_hex(8)}")
            write_secret(made, tag=_TAG, secret=Ed25519PrivateKey.generate().private_bytes_raw())
            with suppress(FileExistsError):
                path.hardlink_to(made)
            made.unlink()
        return cls(read_secret(path, tag=_TAG, size=KEY_SIZE))

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes. The message starts with a tag of its own."""
        return self._key.sign(message)
