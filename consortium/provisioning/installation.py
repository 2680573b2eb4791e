"""Install a kit at a site or at the coordinator: check all of it, then copy its files."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from pydantic import TypeAdapter, ValidationError

from consortium.charter.addresses import Door, door_for, hub_named, own_door
from consortium.charter.document import Charter, OtherKeys
from consortium.charter.hub_keys import own_hub_key
from consortium.charter.signatures import Signatures, require_own_keys
from consortium.provisioning.certificates import (
    Authority,
    create_server_key,
    pem_bytes,
    read_certificate,
    read_key,
    read_request,
    require_agreed_authority,
    require_key_of,
    require_server_certificate,
    require_valid,
    signing_request,
)
from consortium.provisioning.kits import COORDINATOR, HUB, SITE, BadKit, Role, open_kit, read_kit
from consortium.provisioning.public_halves import BadPublicHalf, public_node_key
from consortium.run.hub_directory import HubDirectory, hub_name
from consortium.run.party_directory import (
    AUTHORITY_FILE,
    CHARTER_FILE,
    COORDINATOR_AUTHORITY_FILE,
    NODE_KEY_FILE,
    NODES_FILE,
    SERVER_FILE,
    SIGNATURES_FILE,
    CoordinatorDirectory,
    NotACoordinator,
    PartyDirectory,
)
from consortium.site.agreed_map import require_agreed_map
from consortium.site.directory import SiteDirectory, read_identity, read_site_config
from consortium.site.policy_templates import strict
from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey
from privacy.storage.durable_files import write_atomically
from privacy.storage.secret_files import make_private_directory

_NODES = TypeAdapter(dict[str, str])
_COMMON = (CHARTER_FILE, SIGNATURES_FILE, AUTHORITY_FILE)
_UNIT_ENDING = ".service"
_UNIT = """\
[Unit]
Description={description}
After=network-online.target
Wants=network-online.target

[Service]
# Replace the user with the one that owns the directory.
User=consortium
ExecStart=/usr/bin/env consortium {role} up {directory}
Restart=on-failure
RestartSec=5
KillMode=mixed
UMask=0077
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=true
ReadWritePaths={directory}

[Install]
WantedBy=multi-user.target
"""
# A kit may bring these files and no others, so that it cannot replace what a party decides itself.
_FILES: Mapping[Role, frozenset[str]] = MappingProxyType(
    {
        SITE: frozenset(_COMMON),
        COORDINATOR: frozenset({*_COMMON, NODES_FILE}),
        HUB: frozenset({*_COMMON, NODES_FILE, NODE_KEY_FILE, COORDINATOR_AUTHORITY_FILE}),
    }
)


class EarlierCharter(ConsortiumError, PermissionError, code="earlier-charter"):
    """A kit holds an earlier revision of the charter than the party has."""


def init_coordinator(directory: Path, *, hosts: tuple[str, ...], now: datetime) -> Path:
    """Create a coordinator's authority, keys and certificate; return the authority's.

    One key is for TLS, another signs questions. Guarantee: all keys stay in the directory, which
    only its owner can read. What others need is the certificate of the authority, which is
    returned; its digest stands in the charter.

    Args:
        directory: The coordinator's directory.
        hosts: Names and addresses of the coordinator.
        now: Start of the certificates' validity.

    Raises:
        SecretExists: A coordinator is already set up there.
        NotACoordinator: A site is set up there.
    """
    if SiteDirectory(directory).config.is_file():
        raise NotACoordinator(
            f"{directory} is the directory of a site: give the coordinator one of its own"
        )
    make_private_directory(directory)
    paths = CoordinatorDirectory(directory)
    key = create_server_key(paths.server_key)
    authority = Authority.create("consortium authority", now=now)
    authority.write(paths.authority_key, paths.authority)
    write_atomically(paths.certificate_request, pem_bytes(signing_request(key, hosts)))
    renew_server_certificate(directory, now=now)
    public_question_key(directory)
    return paths.authority


def renew_server_certificate(directory: Path, *, now: datetime) -> x509.Certificate:
    """Issue the server's certificate with the coordinator's own authority, for the same key.

    Sites notice nothing: the authority that they trust stays, so no kit and no signature is due.

    Raises:
        SecretMissing: The authority is not the coordinator's own.
        BadCertificate: Another authority is in force here, or its request cannot be read.
    """
    paths = CoordinatorDirectory(directory)
    authority = Authority.read(paths.authority_key, paths.authority)
    granted = authority.issue_certificate(read_request(paths.certificate_request), now=now)
    write_atomically(paths.server_certificate, pem_bytes(granted))
    return granted


def public_question_key(directory: Path) -> str:
    """Return the public half of the key that signs questions, hexadecimal, for the charter.

    A coordinator that was set up by version 0.1.0 has none: it is made.

    Raises:
        ExposedSecret: Others can read the directory.
    """
    return SigningKey.at(CoordinatorDirectory(directory).question_key).public.hex()


def install_site(directory: Path, kit: Path, *, now: datetime) -> Charter:
    """Install a site's kit; return its charter.

    Guarantee: nothing is installed unless every member signed the charter, the charter names this
    site with exactly its own keys, its revision is not earlier than the site's, and the authority
    is the one whose digest stands in it (no member signed one in charters of 0.1.0). The first
    installation writes the strict policy, which the operator may relax; no kit changes it later.
    The systemd unit is made here, not taken from the kit: nobody signs a unit.

    Raises:
        BadKit: The kit is not complete, or not for this site.
        Unsigned, BadSignature, OtherKeys, NotAMember: The charter is not one that all signed, or
            it does not name this site's keys.
        OtherMap: Its records are read by a map other than the charter's.
        EarlierCharter: The site has a later revision.
        BadCertificate: The authority that the site should trust is not the one that all signed,
            is invalid or has expired.
    """
    config = read_site_config(directory)
    name = config.name
    with open_kit(kit) as folder:
        files = _read_checked_files(folder, role=SITE, party=name, now=now)
        charter = Charter.read(PartyDirectory(folder).charter)
        _require_authority(folder, AUTHORITY_FILE, door_for(charter, name), now=now)
        require_own_keys(charter, read_identity(directory))
        require_agreed_map(charter, name, config.source)
        _require_not_earlier(directory, charter)
        _install_files(directory, files)
    _write_unit(directory, SITE, charter, name=name)
    if not SiteDirectory(directory).policy.exists():
        strict(charter).write(directory)
    return charter


def install_coordinator(directory: Path, kit: Path, *, now: datetime) -> Charter:
    """Install the kit of the coordinator, or of a hub in a hub's directory; return its charter.

    Raises:
        BadKit: The kit is not complete, or not for this party.
        Unsigned, BadSignature: Not every member signed the charter.
        BadCharter: The charter names no such hub, or no valid address.
        OtherKeys: A hub does not hold the keys that the charter and the kit name.
        EarlierCharter: The party has a later revision.
        BadCertificate: Sites would not accept the certificate, or it is for another key; or the
            authority is not the one in the charter.

    A kit brings a server's certificate only if an institution's authority issued it, or version
    0.1.0 did; otherwise the party's own stays.
    """
    hub = hub_name(directory)
    role = HUB if hub else COORDINATOR
    with open_kit(kit) as folder:
        charter = Charter.read(PartyDirectory(folder).charter)
        files = _read_checked_files(folder, role=role, party=hub or charter.name, now=now)
        door = own_door(charter, hub)
        authority = _require_authority(folder, AUTHORITY_FILE, door, now=now)
        source = folder if SERVER_FILE in files else directory
        server = read_certificate(CoordinatorDirectory(source).server_certificate)
        require_key_of(server, read_key(CoordinatorDirectory(directory).server_key))
        require_server_certificate(server, authority, host=door.host, now=now)
        _require_nodes_of(door, read_nodes(folder))
        if hub:
            _require_keys_of_hub(directory, charter, hub, files[NODE_KEY_FILE])
            _require_authority(folder, COORDINATOR_AUTHORITY_FILE, own_door(charter), now=now)
        _require_not_earlier(directory, charter)
        _install_files(directory, files)
    if hub:
        node = HubDirectory(directory)
        write_atomically(node.node_charter, files[CHARTER_FILE])
        write_atomically(node.node_authority, files[COORDINATOR_AUTHORITY_FILE])
    _write_unit(directory, role, charter, name=hub or charter.name)
    return charter


def read_nodes(coordinator: Path) -> dict[str, str]:
    """Return the SuperNodes' public keys by member, from the coordinator's kit.

    Raises:
        BadKit: There is no such file.
    """
    try:
        return _NODES.validate_json(CoordinatorDirectory(coordinator).nodes.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadKit(
            f"{coordinator} holds no keys of SuperNodes: install the coordinator's kit"
        ) from error


def _read_checked_files(folder: Path, *, role: Role, party: str, now: datetime) -> dict[str, bytes]:
    manifest, files = read_kit(folder, role=role, party=party)
    optional = {SERVER_FILE} if role == COORDINATOR else set()
    # a kit of version 0.1.0 also brings a systemd unit: code that nobody signed is not installed
    came = {name for name in files if not name.endswith(_UNIT_ENDING)}
    if came - optional != _FILES[role]:
        raise BadKit(f"a kit must hold exactly {', '.join(sorted(_FILES[role]))}")
    charter = Charter.read(PartyDirectory(folder).charter)
    if charter.fingerprint != manifest.charter:
        raise BadKit("the kit's manifest names a charter other than the one in the kit")
    Signatures.read(PartyDirectory(folder).signatures).require_all(charter)
    return {name: files[name] for name in sorted(came)}


def _require_authority(folder: Path, file: str, door: Door, *, now: datetime) -> x509.Certificate:
    """Return the authority's certificate in a kit, after checking that it is the agreed one."""
    authority = read_certificate(folder / file)
    require_agreed_authority(authority, door)
    require_valid(authority, now=now)
    return authority


def _require_keys_of_hub(directory: Path, charter: Charter, hub: str, node: bytes) -> None:
    """Check that a hub signs, and comes to the coordinator, with the keys that others expect."""
    own_hub_key(HubDirectory(directory).key, hub_named(charter, hub))
    path = SiteDirectory(HubDirectory(directory).node).node_key
    try:
        held = public_node_key(path)
    except BadPublicHalf:
        held = "no readable one"
    if held.encode() != node:
        raise OtherKeys(
            f"the coordinator lets the hub {hub} in with the SuperNode key {node.decode()}, which "
            f"has to be in {path}, and that is {held}: bring the file back, or have the kits made "
            "again with the hub's public half of now (`consortium coordinator public`); a hub "
            "without such a key is set up anew"
        )


def _require_not_earlier(directory: Path, charter: Charter) -> None:
    path = PartyDirectory(directory).charter
    if not path.exists():
        return
    held = Charter.read(path)
    if held.name == charter.name and charter.revision < held.revision:
        raise EarlierCharter(
            f"revision {held.revision} of the charter is in force here, but the kit holds revision "
            f"{charter.revision}: install the latest kit",
            held=held.revision,
            came=charter.revision,
        )


def _install_files(directory: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        write_atomically(directory / name, content)


def _require_nodes_of(door: Door, nodes: Mapping[str, str]) -> None:
    """Check that a kit brings the key of each SuperNode that comes there, and of no other."""
    # each name becomes the name of a file in the end
    odd = sorted(set(nodes) ^ set(door.guests))
    if odd:
        raise BadKit(
            "a kit must bring one SuperNode key for each member of its charter that comes here, or "
            f"each hub; missing, or of none of them: {', '.join(odd)}",
            odd=len(odd),
        )


def _write_unit(directory: Path, role: Role, charter: Charter, *, name: str) -> None:
    """Write the systemd unit that keeps a party's service running over reboots."""
    # systemd reads % as the beginning of a specifier, and a blank as the end of a path
    path = str(directory.resolve()).replace("%", "%%").replace(" ", r"\x20")
    unit = _UNIT.format(
        description=f"{role.capitalize()} {name} of the consortium {charter.name}",
        role=SITE if role == SITE else COORDINATOR,
        directory=path,
    )
    service = f"consortium-{role}" if role == COORDINATOR else f"consortium-{role}-{name}"
    write_atomically(directory / f"{service}{_UNIT_ENDING}", unit)
