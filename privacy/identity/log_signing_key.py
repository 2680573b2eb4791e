"""A key that signs a log, for a party without an identity in a charter.

That is a coordinator, or a site of a consortium whose charter holds no keys. The private key is in
no repr and never leaves its file.
"""

from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.identity.public_identity import KEY_SIZE
from privacy.storage.secret_files import make_private_directory, read_secret, write_secret

_TAG = b"consortium.signing-key/1\n"


class SigningKey:
    """An Ed25519 key pair.

    Args:
        secret: The private key, 32 bytes.
    """

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"

    @classmethod
    def at(cls, path: Path) -> "SigningKey":
        """Return the key in a secret file; make the file if it does not exist.

        Guarantee: two processes that call it at the same time get the same key.
        """
        if not path.exists():
            make_private_directory(path.parent)
            made = path.with_name(f".{token_hex(8)}")
            write_secret(made, tag=_TAG, secret=Ed25519PrivateKey.generate().private_bytes_raw())
            # Creating a hard link is atomic and fails if the name exists, so the file is complete
            # when it appears, and the first of two processes wins.
            with suppress(FileExistsError):
                path.hardlink_to(made)
            made.unlink()
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "SigningKey":
        """Return the key in a secret file, of which others know the public half already.

        Raises:
            SecretMissing: There is no such file; none is made.
            ExposedSecret, MalformedSecretFile: As `read_secret`.
        """
        return cls(read_secret(path, tag=_TAG, size=KEY_SIZE))

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes. The message must start with a tag of its own."""
        return self._key.sign(message)
