"""Make the kits of all parties from public halves, a signed charter and an authority's certificate.

The person who provisions sees public keys only, and holds nothing with which traffic can be read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from consortium.charter.addresses import Door, hub_of, own_door, require_own_addresses
from consortium.charter.document import BadCharter, Charter, OtherKeys
from consortium.charter.signatures import Signatures
from consortium.provisioning.certificates import (
    Authority,
    Expired,
    pem_bytes,
    require_agreed_authority,
    require_server_certificate,
    require_valid,
)
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.hub_enrolment import HubHalf, require_halves
from consortium.provisioning.kits import (
    COORDINATOR,
    HUB,
    SITE,
    Manifest,
    Role,
    require_kit_names,
    write_kit,
)
from consortium.run.party_directory import (
    AUTHORITY_FILE,
    CHARTER_FILE,
    COORDINATOR_AUTHORITY_FILE,
    NODE_KEY_FILE,
    NODES_FILE,
    SERVER_FILE,
    SIGNATURES_FILE,
)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The TLS certificates of a deployment.

    Args:
        authority: Certificate of the authority, which the sites trust: the coordinator's own, or
            an institution's.
        server: Certificate of the coordinator, if an institution's authority issued it; the
            coordinator's own authority issues it where it is used.
        hubs: The public halves of the hubs, each with the certificate of its authority.
    """

    authority: x509.Certificate
    server: x509.Certificate | None = None
    hubs: tuple[HubHalf, ...] = ()


def issue_tls_as_0_1_0(
    directory: Path, request: x509.CertificateSigningRequest, *, now: datetime
) -> Tls:
    """Renew the coordinator's certificate with an authority that version 0.1.0 left behind.

    There the authority was made by whoever provisioned. No such authority is made any more.

    Args:
        directory: The directory of the authority; its key stays there.
        request: The coordinator's certificate request.
        now: Start of the certificate's validity.

    Raises:
        SecretMissing: There is none.
        BadCertificate: The request is invalid, or the authority cannot be read.
    """
    authority = Authority.read(directory / "authority.key", directory / AUTHORITY_FILE)
    return Tls(
        authority=authority.certificate, server=authority.issue_certificate(request, now=now)
    )


def write_kits(
    out: Path,
    charter: Charter,
    signatures: Signatures,
    halves: Sequence[PublicHalf],
    tls: Tls,
    *,
    now: datetime,
) -> tuple[Path, ...]:
    """Write a kit for each member and hub, and one for the coordinator; return their directories.

    Guarantee: the kits are consistent, their parties will accept them, and no kit holds a private
    key. The kit of a member behind a hub has the authority of the hub, where it connects to.

    Raises:
        Unsigned, BadSignature: Not every member signed the charter.
        OtherKeys: A public half has keys other than the charter's, or two SuperNodes share a key.
        BadCharter: A public half is missing, the charter names no address or one for two parties,
            or two kits would have one name.
        Expired: An authority is not valid now.
        BadCertificate: The authority is not the one in the charter, or sites would not accept the
            coordinator's certificate.
    """
    door = own_door(charter)
    signatures.require_all(charter)
    given = require_halves(charter, tls.hubs)
    nodes = _node_keys(charter, halves, given)
    require_own_addresses(charter)
    require_kit_names(nodes)
    require_agreed_authority(tls.authority, door)
    _require_valid_authorities(tls, now=now)
    if tls.server is not None:
        require_server_certificate(tls.server, tls.authority, host=door.host, now=now)
    common = {
        CHARTER_FILE: charter.model_dump_json(indent=1).encode(),
        SIGNATURES_FILE: signatures.model_dump_json(indent=1).encode(),
    }
    kits = [
        *_site_kits(charter, tls, given),
        *_hub_kits(charter, tls, given, nodes),
        _coordinator_kit(charter, tls, door, nodes),
    ]
    for kit in kits:
        manifest = Manifest(party=kit.party, role=kit.role, charter=charter.fingerprint, files={})
        write_kit(out / kit.folder, manifest, {**common, **kit.files})
    return tuple(out / kit.folder for kit in kits)


def _require_valid_authorities(tls: Tls, *, now: datetime) -> None:
    """Check every authority that some party is to trust: its own would refuse the kit."""
    hubs = ((f"the hub {half.name}", half.certificate) for half in tls.hubs)
    for whose, authority in (("the coordinator", tls.authority), *hubs):
        try:
            require_valid(authority, now=now)
        except Expired as error:
            raise Expired(
                f"the authority of {whose} is not valid now, and no party would take a kit over "
                f"({error}): set up another with `consortium coordinator init`, and revise the "
                "charter with it"
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Kit:
    """A kit, without the files that all kits have."""

    folder: str
    party: str
    role: Role
    files: Mapping[str, bytes]


def _site_kits(charter: Charter, tls: Tls, hubs: Mapping[str, HubHalf]) -> Iterator[_Kit]:
    trusted = {name: half.certificate for name, half in hubs.items()} | {"": tls.authority}
    for name in charter.names:
        authority = trusted[hub_of(charter, name)]
        files = {AUTHORITY_FILE: pem_bytes(authority)}
        yield _Kit(folder=name, party=name, role=SITE, files=files)


def _hub_kits(
    charter: Charter, tls: Tls, hubs: Mapping[str, HubHalf], nodes: Mapping[str, str]
) -> Iterator[_Kit]:
    for name, half in hubs.items():
        files = {
            AUTHORITY_FILE: pem_bytes(half.certificate),
            COORDINATOR_AUTHORITY_FILE: pem_bytes(tls.authority),
            NODE_KEY_FILE: half.node.encode(),
            NODES_FILE: _guests(own_door(charter, name), nodes),
        }
        yield _Kit(folder=name, party=name, role=HUB, files=files)


def _coordinator_kit(charter: Charter, tls: Tls, door: Door, nodes: Mapping[str, str]) -> _Kit:
    files = {AUTHORITY_FILE: pem_bytes(tls.authority), NODES_FILE: _guests(door, nodes)}
    if tls.server is not None:
        files[SERVER_FILE] = pem_bytes(tls.server)
    return _Kit(folder=COORDINATOR, party=charter.name, role=COORDINATOR, files=files)


def _guests(door: Door, nodes: Mapping[str, str]) -> bytes:
    """Return the file with the public keys of the SuperNodes that a door lets in."""
    return json.dumps({name: nodes[name] for name in door.guests}, indent=1).encode()


def _node_keys(
    charter: Charter, halves: Iterable[PublicHalf], hubs: Mapping[str, HubHalf]
) -> dict[str, str]:
    """Return the SuperNodes' public keys by member and hub, each signed with a key of its own."""
    given = {half.name: half for half in halves}
    missing = [name for name in charter.names if name not in given]
    if missing:
        raise BadCharter(f"the public halves of {', '.join(missing)} are missing")
    for member in charter.members:
        half = given[member.name]
        half.verify()
        if half.member != member:
            raise OtherKeys(f"the keys of {member.name} in the charter differ from its public half")
    keys = {name: given[name].node for name in charter.names}
    keys |= {name: half.node for name, half in hubs.items()}
    if len(set(keys.values())) < len(keys):
        raise OtherKeys("two sites have the same SuperNode key: one of them must renew its key")
    return keys
