import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from consortium.charter.document import BadCharter, coordinator_address
from consortium.charter.signatures import OtherKeys, Signatures, Unsigned
from consortium.provisioning import provision as provisioning
from consortium.provisioning.certificates import Authority, read_certificate, read_key, read_request
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.provision import Tls, issue_own_tls
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory, read_identity
from tests.consortium.founded import NAMES, NOW, Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return found(tmp_path)


def tls_of(founded: Founded) -> Tls:
    request = read_request(founded.coordinator / "server.csr")
    return issue_own_tls(founded.path / "authority", request, now=NOW)


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
    keys = [
        CoordinatorDirectory(founded.coordinator).server_key,
        founded.path / "provisioned/authority",
    ]
    for path in (keys[0], keys[1] / "authority.key"):
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
    more = {"server.pem", "nodes.json"}
    assert held == common | more


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
    tls = tls_of(founded)
    other = Authority.create("other", now=NOW)
    with pytest.raises(ValueError, match="not issued by"):
        provisioning.write_kits(
            founded.path / "kits",
            founded.charter,
            founded.signatures(),
            founded.halves,
            Tls(authority=other.certificate, server=tls.server),
            now=NOW,
        )


def test_renewal_keeps_the_authority_and_grants_a_new_certificate(founded: Founded) -> None:
    founded.provision()
    authority = read_certificate(founded.kit("east") / "authority.pem")
    first = read_certificate(founded.kit("coordinator") / "server.pem")
    founded.provision(now=NOW + timedelta(days=300))
    second = read_certificate(founded.kit("coordinator") / "server.pem")
    assert read_certificate(founded.kit("east") / "authority.pem") == authority
    assert second.not_valid_after_utc - first.not_valid_after_utc == timedelta(days=300)
    assert second.public_key() == first.public_key()


@pytest.mark.parametrize("coordinator", ["", "host:0", "host:70000"])
def test_a_deployment_has_an_address(founded: Founded, coordinator: str) -> None:
    charter = founded.charter.model_copy(update={"coordinator": coordinator})
    with pytest.raises(BadCharter, match="HOST:PORT"):
        coordinator_address(charter)


def test_an_address_of_six_bytes_or_of_eight_groups(founded: Founded) -> None:
    charter = founded.charter.model_copy(update={"coordinator": "[::1]:9443"})
    assert coordinator_address(charter) == ("::1", 9443)


def test_each_node_has_a_key_of_its_own(founded: Founded) -> None:

    first, second, third = founded.halves
    shared = second.model_copy(update={"node": first.node})
    shared = shared.with_signature(read_identity(founded.site(second.name)))
    with pytest.raises(OtherKeys, match="same SuperNode key"):
        attempt(founded, halves=(first, shared, third))
