"""Enrol a site: create all its keys in its own directory, and show their public halves."""

import json
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Member
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import BadSite, SiteConfig, SiteDirectory, read_identity
from consortium.site.person_sides import begin_sides
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import PublicIdentity
from privacy.secrets.keys import Identity
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically
from privacy.storage.secret_files import (
    SecretExists,
    SecretMissing,
    make_private_directory,
    read_private,
    write_private,
)
from sites.data.source import DataSource
from sites.schema.tables import NAME

_TAG = b"consortium.public-half/1\n"


class BadPublicHalf(ConsortiumError, ValueError, code="bad-public-half"):
    """A file is not the public half of a site's keys, or a SuperNode's key is unusable."""


class PublicHalf(BaseModel):
    """The public half of a site's keys, signed with its identity key.

    Args:
        name: The site's name.
        signing: Ed25519 public key, hexadecimal.
        receiving: X25519 public key, hexadecimal.
        node: The SuperNode's public key, in OpenSSH's form.
        signature: Signature of the identity key over all other fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    signing: str
    receiving: str
    node: str = Field(max_length=512)
    signature: str = Field(pattern=r"^([0-9a-f]{128})?$")

    @property
    def member(self) -> Member:
        """The site's entry in a charter."""
        return Member(name=self.name, signing=self.signing, receiving=self.receiving)

    @property
    def identity(self) -> PublicIdentity:
        """The public keys in usable form.

        Raises:
            BadIdentity: They are not valid keys.
        """
        return PublicIdentity.from_description(self.member.model_dump())

    def verify(self) -> None:
        """Check that the holder of the identity key signed exactly these fields.

        Raises:
            BadSignature: The signature does not match.
            BadPublicHalf: Flower would not accept the SuperNode's key.
        """
        self.identity.verify(self._signed_bytes(), bytes.fromhex(self.signature))
        require_node_key(self.node)

    def with_signature(self, identity: Identity) -> "PublicHalf":
        """Return a copy signed with the identity key."""
        return self.model_copy(update={"signature": identity.sign(self._signed_bytes()).hex()})

    @classmethod
    def read(cls, path: Path) -> "PublicHalf":
        """Read and verify a public half.

        Raises:
            BadPublicHalf: The file is not a public half.
            BadSignature: It was altered on the way.
        """
        try:
            half = cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadPublicHalf(f"{path} is not the public half of a site's keys") from error
        half.verify()
        return half

    def write(self, path: Path) -> None:
        """Write the public half to a file. It is signed, so it may travel over any channel."""
        write_atomically(path, self.model_dump_json(indent=1))

    def _signed_bytes(self) -> bytes:
        said = self.model_dump(exclude={"signature"})
        return _TAG + json.dumps(said, sort_keys=True).encode()


def init_site(
    directory: Path, *, name: str, source: DataSource, data_set: str = "records"
) -> PublicHalf:
    """Set up a site: create its keys and `site.json`; return the public half.

    Guarantee: only its owner can read the directory, and no secret leaves it.

    Args:
        directory: Where the site will be.
        name: Its name in the charter.
        source: Where its records are, and how they are to be read.
        data_set: The name by which its ledger counts what was learnt from them.

    Raises:
        BadSite: A name is not one that a site or a data set can have, or a coordinator is set up
            there. Nothing is written then.
        ExposedSecret: The directory exists and is readable to others.
        SecretExists: A site is already set up there.
    """
    if CoordinatorDirectory(directory).server_key.is_file():
        raise BadSite(
            f"{directory} is the directory of a coordinator: give the site one of its own"
        )
    try:
        config = SiteConfig(name=name, source=source, data_set=data_set)
    except ValidationError as error:
        raise BadSite(
            f"{document_mistakes(error, SiteConfig)}: a name begins with a small letter; small "
            "letters, digits and . _ - follow"
        ) from error
    if SiteDirectory(directory).identity.exists():
        raise SecretExists(
            f"{directory} is a site already, and new keys would not be those in the charter. To "
            "read its records otherwise, set up another directory with the words, and copy its "
            f"site.json to {SiteDirectory(directory).config}"
        )
    make_private_directory(directory)
    identity = Identity.generate(name)
    identity.write(SiteDirectory(directory).identity)
    create_node_key(directory)
    begin_sides(directory)
    write_atomically(SiteDirectory(directory).config, config.model_dump_json(indent=1))
    return public_half(directory)


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


def renew_node_key(site: Path) -> PublicHalf:
    """Replace the SuperNode's key; return the new public half, which must be provisioned again.

    Guarantee: the old key is kept until the next renewal, because the coordinator knows only the
    old key until it installs its next kit.
    """
    path = SiteDirectory(site).node_key
    path.replace(path.with_suffix(".key.old"))
    create_node_key(site)
    return public_half(site)


def public_half(site: Path) -> PublicHalf:
    """Return the public half of a site's keys.

    Raises:
        BadSite: The directory is not a site.
        SecretMissing: The site has no identity key.
        BadPublicHalf: The site has no key for its SuperNode.
    """
    identity = read_identity(site)
    node = public_node_key(SiteDirectory(site).node_key)
    half = PublicHalf(**identity.public.describe(), node=node, signature="")
    return half.with_signature(identity)


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
