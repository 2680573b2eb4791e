"""Make the kits of all parties from public halves, a signed charter and an authority's certificate.

The person who provisions sees public keys only, and holds nothing with which traffic can be read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from consortium.charter.document import BadCharter, Charter, coordinator_address
from consortium.charter.signatures import OtherKeys, Signatures
from consortium.provisioning.certificates import (
    Authority,
    pem_bytes,
    require_agreed_authority,
    require_server_certificate,
)
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.kits import COORDINATOR, Manifest, write_kit
from consortium.run.party_directory import (
    AUTHORITY_FILE,
    CHARTER_FILE,
    NODES_FILE,
    SERVER_FILE,
    SIGNATURES_FILE,
)
from privacy.errors import ConsortiumError


class HubsNotDeployed(ConsortiumError, ValueError, code="hubs-not-deployed"):
    """A charter with hubs is to be deployed; hubs run in process only."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The TLS certificates of a deployment.

    Args:
        authority: Certificate of the authority, which the sites trust: the coordinator's own, or
            an institution's.
        server: Certificate of the coordinator, if an institution's authority issued it; the
            coordinator's own authority issues it where it is used.
    """

    authority: x509.Certificate
    server: x509.Certificate | None = None


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
    """Write a kit for each member and one for the coordinator; return their directories.

    Guarantee: the kits are consistent, their parties will accept them, and no kit holds a private
    key.

    Raises:
        HubsNotDeployed: The charter has hubs.
        Unsigned, BadSignature: Not every member signed the charter.
        OtherKeys: A public half has keys other than the charter's, or two SuperNodes share a key.
        BadCharter: A member's public half is missing, or the charter names no address.
        BadCertificate: The authority is not the one in the charter, or sites would not accept the
            coordinator's certificate.
    """
    if charter.hubs:
        raise HubsNotDeployed(
            "hubs run in process only so far (`scenario run --hubs`): between institutions, agree "
            "on a charter without hubs"
        )
    host, _ = coordinator_address(charter)
    signatures.require_all(charter)
    nodes = _node_keys(charter, halves)
    require_agreed_authority(tls.authority, charter)
    if tls.server is not None:
        require_server_certificate(tls.server, tls.authority, host=host, now=now)
    common = {
        CHARTER_FILE: charter.model_dump_json(indent=1).encode(),
        SIGNATURES_FILE: signatures.model_dump_json(indent=1).encode(),
        AUTHORITY_FILE: pem_bytes(tls.authority),
    }
    kits = [_write_site_kit(out, name, charter, common) for name in charter.names]
    kits.append(_write_coordinator_kit(out, charter, common, nodes, tls))
    return tuple(kits)


def _write_site_kit(out: Path, name: str, charter: Charter, common: Mapping[str, bytes]) -> Path:
    manifest = Manifest(party=name, role="site", charter=charter.fingerprint, files={})
    write_kit(out / name, manifest, common)
    return out / name


def _write_coordinator_kit(
    out: Path, charter: Charter, common: Mapping[str, bytes], nodes: Mapping[str, str], tls: Tls
) -> Path:
    files = {**common, NODES_FILE: json.dumps(nodes, indent=1).encode()}
    if tls.server is not None:
        files[SERVER_FILE] = pem_bytes(tls.server)
    manifest = Manifest(party=charter.name, role=COORDINATOR, charter=charter.fingerprint, files={})
    write_kit(out / COORDINATOR, manifest, files)
    return out / COORDINATOR


def _node_keys(charter: Charter, halves: Iterable[PublicHalf]) -> dict[str, str]:
    """Return the SuperNodes' public keys by member, each signed with its identity key."""
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
    if len(set(keys.values())) < len(keys):
        raise OtherKeys("two sites have the same SuperNode key: one of them must renew its key")
    return keys
