"""Enrol a hub: create all its keys in its own directory, and show their public halves."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from pydantic import Field, ValidationError, field_validator

from consortium.charter.addresses import host_and_port
from consortium.charter.document import BadCharter, Charter
from consortium.charter.hubs import ADDRESS, Hub
from consortium.provisioning.certificates import (
    certificate_digest,
    pem_bytes,
    read_certificate,
    require_host,
)
from consortium.provisioning.installation import init_coordinator
from consortium.provisioning.kits import COORDINATOR
from consortium.provisioning.public_halves import (
    BadPublicHalf,
    SignedHalf,
    create_node_key,
    public_node_key,
)
from consortium.run.hub_directory import HubDirectory, require_hub
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory
from privacy.identity.log_signing_key import SigningKey
from privacy.protocol.hub_sums import require_hub_signature
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically
from sites.schema.tables import NAME


class HubHalf(SignedHalf):
    """The public half of a hub's keys, signed with the key that signs its sums.

    Args:
        address: Where its members reach it, as HOST:PORT.
        signing: Ed25519 public key, hexadecimal.
        authority: The certificate of its authority, in PEM.
    """

    TAG: ClassVar[bytes] = b"consortium.hub-half/1\n"
    WHOSE: ClassVar[str] = "a hub's"

    address: str = Field(pattern=ADDRESS, min_length=1)
    signing: str = Field(pattern=r"^[0-9a-f]{64}$")
    authority: str = Field(max_length=16_384)

    @field_validator("address")
    @classmethod
    def _port_is_one(cls, address: str) -> str:
        host_and_port(address)
        return address

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of its authority.

        Raises:
            BadPublicHalf: It is none.
        """
        try:
            return x509.load_pem_x509_certificate(self.authority.encode())
        except ValueError as error:
            raise BadPublicHalf(f"the hub {self.name} names no authority's certificate") from error

    def before(self, members: Sequence[str]) -> Hub:
        """Return the hub's entry in a charter, with these members behind it."""
        return Hub(
            name=self.name,
            members=tuple(members),
            signing=self.signing,
            address=self.address,
            authority=certificate_digest(self.certificate),
        )

    def require_signature(self, signature: bytes) -> None:
        """Check the signature of the key that signs the hub's sums."""
        require_hub_signature(bytes.fromhex(self.signing), self.signed_bytes, signature)

    def verify(self) -> None:
        """Check the signature and the SuperNode's key, and that there is a certificate."""
        super().verify()
        pem_bytes(self.certificate)


def init_hub(directory: Path, *, name: str, hosts: tuple[str, ...], now: datetime) -> Path:
    """Create a hub's authority, keys and certificate; return the authority's.

    Its directory is a coordinator's, as its members come there; in it is that of the SuperNode with
    which the hub itself comes to the coordinator of the run. Guarantee: all keys stay there.

    Args:
        directory: The hub's directory.
        name: The hub's name.
        hosts: Names and addresses of the hub.
        now: Start of the certificates' validity.

    Raises:
        BadPublicHalf: The name is none that a hub can have.
        SecretExists: A hub or a coordinator is already set up there.
        NotACoordinator: A site is set up there.
    """
    if not re.fullmatch(NAME, name):
        raise BadPublicHalf(
            f"a hub cannot be called '{name}': a name begins with a small letter; small letters, "
            "digits and . _ - follow"
        )
    if name == COORDINATOR:
        raise BadPublicHalf(
            f"no hub is called {name}, as the coordinator's kit is: give another name"
        )
    authority = init_coordinator(directory, hosts=hosts, now=now)
    paths = HubDirectory(directory)
    SigningKey.at(paths.key)
    create_node_key(paths.node)
    write_atomically(paths.named, f"{name}\n")
    return authority


def hub_half(directory: Path, *, address: str) -> HubHalf:
    """Return the public half of a hub's keys. If the key that signs was lost, a new one is made.

    Args:
        directory: The hub's directory.
        address: Where its members reach it, as HOST:PORT.

    Raises:
        NotACoordinator: The directory is not a hub's.
        BadPublicHalf: The address is none, or a key cannot be read.
        BadCertificate: The hub's certificate is not for the host of the address, or cannot be read.
    """
    paths = CoordinatorDirectory(directory)
    name, key = require_hub(directory), SigningKey.at(HubDirectory(directory).key)
    try:
        half = HubHalf(
            name=name,
            address=address,
            signing=key.public.hex(),
            authority=pem_bytes(read_certificate(paths.authority)).decode(),
            node=public_node_key(SiteDirectory(HubDirectory(directory).node).node_key),
            signature="",
        )
    except ValidationError as error:
        raise BadPublicHalf(document_mistakes(error, HubHalf)) from error
    require_host(read_certificate(paths.server_certificate), host_and_port(address)[0])
    return half.with_signature(key.sign)


def require_halves(charter: Charter, halves: Sequence[HubHalf]) -> dict[str, HubHalf]:
    """Return the public half of each hub of a charter, by name.

    Raises:
        BadCharter: One is missing, of no hub of the charter, or says otherwise than the charter.
    """
    given = {half.name: half for half in halves}
    odd = sorted({*given} ^ {hub.name for hub in charter.hubs})
    if odd:
        raise BadCharter(
            "a kit for each hub of the charter needs its public half, and no other; missing, or "
            f"of no hub: {', '.join(odd)}",
            odd=len(odd),
        )
    for hub in charter.hubs:
        half = given[hub.name]
        half.verify()
        if half.before(hub.members) != hub:
            raise BadCharter(
                f"the charter says something else of the hub {hub.name} than its public half: "
                "give the half from which the charter was drafted, or revise the charter"
            )
    return given
