import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from consortium.charter.addresses import own_door
from consortium.charter.document import BadCharter, OtherKeys
from consortium.charter.signatures import Signatures, Unsigned
from consortium.provisioning import provision as provisioning
from consortium.provisioning.certificates import (
    Authority,
    read_certificate,
    read_key,
    read_request,
    require_server_certificate,
)
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.provision import Tls, issue_tls_as_0_1_0
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory, read_identity
from privacy.storage.secret_files import SecretMissing
from tests.consortium.founded import NAMES, NOW, Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return found(tmp_path)


def tls_of(founded: Founded) -> Tls:
    return Tls(authority=read_certificate(founded.coordinator / "authority.pem"))


def attempt(
    founded: Founded,
    *,
    signatures: Signatures | None = None,
    halves: tuple[PublicHalf, ...] | None = None,
) -> None:
    provisioning.write_kits(
        founded.path / "kits",
        founded.charter,
        founded.signatures() if signatures is None else signatures,
        founded.halves if halves is None else halves,
        tls_of(founded),
        now=NOW,
    )


def secrets_of(founded: Founded) -> list[bytes]:
    """Return every private key of every party, in each encoding that a file might hold."""
    found_: list[bytes] = []
    for name in NAMES:
        digits = (founded.site(name) / "secrets" / "identity.secret").read_text().split("\n")[1]
        halves = (digits[:64], digits[64:])
        found_ += [half.encode() for half in halves]
        found_ += [bytes.fromhex(half) for half in halves]
        found_ += SiteDirectory(founded.site(name)).node_key.read_bytes().splitlines()[1:-1]
    paths = CoordinatorDirectory(founded.coordinator)
    for path in (paths.server_key, paths.authority_key):
        found_ += path.read_bytes().splitlines()[1:-1]
        number = read_key(path).private_numbers().private_value
        found_.append(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        found_.append(
            read_key(path).private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return [secret for secret in found_ if len(secret) > 15]


def test_private_keys_never_travel(founded: Founded) -> None:
    """Search all kits for all private keys."""
    founded.provision()
    secrets = secrets_of(founded)
    # The first lines of an OpenSSH key hold its kind and its public half, which do travel.
    public = b"".join(half.node.encode() for half in founded.halves)
    secrets = [secret for secret in secrets if secret not in public]
    assert len(secrets) > 20
    for name in (*NAMES, "coordinator"):
        for path in founded.kit(name).iterdir():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path
            assert not re.search(rb"PRIVATE KEY", content)


def test_everybody_gets_a_kit_of_what_is_for_them(founded: Founded) -> None:
    founded.provision()
    common = {"kit.json", "charter.json", "signatures.json", "authority.pem"}
    for name in NAMES:
        held = {path.name for path in founded.kit(name).iterdir()}
        assert held == common
    held = {path.name for path in founded.kit("coordinator").iterdir()}
    assert held == common | {"nodes.json"}


def test_no_kit_without_every_signature(founded: Founded) -> None:
    with pytest.raises(Unsigned):
        attempt(founded, signatures=Signatures(signatures=founded.signatures().signatures[:2]))
    assert not (founded.path / "kits").exists()


def test_no_kit_without_every_public_half(founded: Founded) -> None:
    with pytest.raises(BadCharter, match="west"):
        attempt(founded, halves=founded.halves[:2])


def test_a_public_half_of_other_keys_is_refused(founded: Founded, tmp_path: Path) -> None:
    other = found(tmp_path / "other").halves[0]
    with pytest.raises(OtherKeys):
        attempt(founded, halves=(other, *founded.halves[1:]))


def test_a_certificate_that_sites_would_not_accept_is_refused_before_it_is_sent(
    founded: Founded,
) -> None:
    own = read_certificate(founded.coordinator / "authority.pem")
    other = Authority.create("other", now=NOW)
    request = read_request(founded.coordinator / "server.csr")
    granted = other.issue_certificate(request, now=NOW)
    for tls, why in (
        (Tls(authority=own, server=granted), "not issued by"),
        (Tls(authority=other.certificate, server=granted), "the members signed the authority"),
    ):
        with pytest.raises(ValueError, match=why):
            provisioning.write_kits(
                founded.path / "kits",
                founded.charter,
                founded.signatures(),
                founded.halves,
                tls,
                now=NOW,
            )


def test_whoever_provisions_keeps_no_secret(founded: Founded) -> None:
    founded.provision()
    kept = [path for path in (founded.path / "provisioned").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"PRIVATE" in path.read_bytes()]


def test_no_authority_is_made_where_kits_are_made(founded: Founded) -> None:
    """Version 0.1.0 made one there; only what it left behind is used, for renewals."""
    request = read_request(founded.coordinator / "server.csr")
    office = founded.path / "office"
    with pytest.raises(SecretMissing):
        issue_tls_as_0_1_0(office, request, now=NOW)
    Authority.create("old", now=NOW).write(office / "authority.key", office / "authority.pem")
    tls = issue_tls_as_0_1_0(office, request, now=NOW)
    assert tls.server is not None
    require_server_certificate(tls.server, tls.authority, host="127.0.0.1", now=NOW)


@pytest.mark.parametrize("coordinator", ["", "host:0", "host:70000"])
def test_a_deployment_has_an_address(founded: Founded, coordinator: str) -> None:
    charter = founded.charter.model_copy(update={"coordinator": coordinator})
    with pytest.raises(BadCharter, match="HOST:PORT"):
        own_door(charter)


def test_an_address_of_six_bytes_or_of_eight_groups(founded: Founded) -> None:
    charter = founded.charter.model_copy(update={"coordinator": "[::1]:9443"})
    assert (own_door(charter).host, own_door(charter).port) == ("::1", 9443)


def test_each_node_has_a_key_of_its_own(founded: Founded) -> None:

    first, second, third = founded.halves
    shared = second.model_copy(update={"node": first.node})
    shared = shared.with_signature(read_identity(founded.site(second.name)).sign)
    with pytest.raises(OtherKeys, match="same SuperNode key"):
        attempt(founded, halves=(first, shared, third))
