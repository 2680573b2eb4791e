"""Enrol a site: create all its keys in its own directory, and show their public halves."""

from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from consortium.charter.document import Member
from consortium.provisioning.kits import COORDINATOR
from consortium.provisioning.public_halves import SignedHalf, create_node_key, public_node_key
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import BadSite, SiteConfig, SiteDirectory, read_identity
from consortium.site.person_sides import begin_sides
from privacy.identity.public_identity import PublicIdentity
from privacy.secrets.keys import Identity
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically
from privacy.storage.secret_files import (
    SecretExists,
    make_private_directory,
)
from sites.data.source import DataSource


class PublicHalf(SignedHalf):
    """The public half of a site's keys, signed with its identity key.

    Args:
        signing: Ed25519 public key, hexadecimal.
        receiving: X25519 public key, hexadecimal.
    """

    TAG: ClassVar[bytes] = b"consortium.public-half/1\n"
    WHOSE: ClassVar[str] = "a site's"

    signing: str
    receiving: str

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

    def require_signature(self, signature: bytes) -> None:
        """Check the signature of the identity key."""
        self.identity.verify(self.signed_bytes, signature)


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
    if name == COORDINATOR:
        raise BadSite(f"no site is called {name}, as the coordinator's kit is: give another name")
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
    return half.with_signature(identity.sign)
