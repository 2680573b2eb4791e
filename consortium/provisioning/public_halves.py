"""The public half of a party's keys as a file: signed, and with the key of its SuperNode.

A module of its own because sites and hubs are enrolled alike.
"""

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.site.directory import SiteDirectory
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import write_atomically
from privacy.storage.secret_files import SecretMissing, read_private, write_private
from sites.schema.tables import NAME


class BadPublicHalf(ConsortiumError, ValueError, code="bad-public-half"):
    """A file is not the public half of a site's keys, or a SuperNode's key is unusable."""


class SignedHalf(BaseModel):
    """The public half of a party's keys, signed with the key that signs for it.

    Args:
        name: The party's name.
        node: Its SuperNode's public key, in OpenSSH's form.
        signature: Signature of the signing key over all other fields, hexadecimal; empty while it
            is not signed.
    """

    # What stands before the fields in what is signed, and whose keys they are, for messages.
    TAG: ClassVar[bytes]
    WHOSE: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    node: str = Field(max_length=512)
    signature: str = Field(pattern=r"^([0-9a-f]{128})?$")

    @property
    def signed_bytes(self) -> bytes:
        """What is signed: the tag, and all fields but the signature."""
        said = self.model_dump(exclude={"signature"})
        return self.TAG + json.dumps(said, sort_keys=True).encode()

    @abstractmethod
    def require_signature(self, signature: bytes) -> None:
        """Check that the holder of the signing key signed `signed_bytes`.

        Raises:
            BadSignature: The signature does not match.
        """

    def verify(self) -> None:
        """Check that the holder of the signing key signed exactly these fields.

        Raises:
            BadSignature: The signature does not match.
            BadPublicHalf: A field is not what it has to be.
        """
        self.require_signature(bytes.fromhex(self.signature))
        require_node_key(self.node)

    def with_signature(self, sign: Callable[[bytes], bytes]) -> Self:
        """Return a copy with this signature."""
        return self.model_copy(update={"signature": sign(self.signed_bytes).hex()})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and verify a public half.

        Raises:
            BadPublicHalf: The file is not one.
            BadSignature: It was altered on the way.
        """
        try:
            half = cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadPublicHalf(f"{path} is not the public half of {cls.WHOSE} keys") from error
        half.verify()
        return half

    def write(self, path: Path) -> None:
        """Write the public half to a file. It is signed, so it may travel over any channel."""
        write_atomically(path, self.model_dump_json(indent=1))


def create_node_key(site: Path) -> None:
    """Create the key that authenticates the site's SuperNode, in OpenSSH format.

    Raises:
        SecretExists: There already is a key; `renew_node_key` replaces it.
    """
    content = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    write_private(SiteDirectory(site).node_key, content)


def require_node_key(text: str) -> None:
    """Check that this is a SuperNode's public key in a form that Flower accepts.

    Raises:
        BadPublicHalf: It is not.
    """
    try:
        key = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicHalf("a SuperNode's key must be in OpenSSH format") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadPublicHalf("a SuperNode's key must be an elliptic-curve key on a NIST curve")


def public_node_key(path: Path) -> str:
    """Return the public half of a SuperNode's key, in OpenSSH's form.

    Raises:
        BadPublicHalf: There is no such key, or it cannot be read.
    """
    try:
        key = serialization.load_ssh_private_key(read_private(path), None)
    except (SecretMissing, ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicHalf(f"{path} is not a readable SuperNode key") from error
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return public.decode()
