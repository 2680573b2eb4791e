import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from consortium.provisioning.certificates import (
    Authority,
    BadCertificate,
    Expired,
    create_server_key,
    pem_bytes,
    read_certificate,
    read_key,
    read_request,
    require_key_of,
    require_server_certificate,
    signing_request,
)
from privacy.storage.secret_files import SecretExists, SecretMissing, write_private

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTS = ("coordinator.example.org", "192.0.2.7")
AUTHORITY = Authority.create("banks", now=NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
REQUEST = signing_request(KEY, HOSTS)
SERVER = AUTHORITY.issue_certificate(REQUEST, now=NOW)


@pytest.mark.parametrize("host", HOSTS)
def test_a_granted_certificate_is_accepted_for_each_host(host: str) -> None:
    require_server_certificate(SERVER, AUTHORITY.certificate, host=host, now=NOW)


def test_no_other_host_is_accepted() -> None:
    with pytest.raises(BadCertificate, match="not for"):
        require_server_certificate(SERVER, AUTHORITY.certificate, host="other.org", now=NOW)


def test_another_authority_of_the_same_name_does_not_vouch_for_it() -> None:
    other = Authority.create("banks", now=NOW)
    with pytest.raises(BadCertificate, match="not issued by"):
        require_server_certificate(SERVER, other.certificate, host=HOSTS[0], now=NOW)


@pytest.mark.parametrize("days", [-1, 366, 4_000])
def test_out_of_its_time_it_is_refused(days: int) -> None:
    with pytest.raises(Expired):
        require_server_certificate(
            SERVER, AUTHORITY.certificate, host=HOSTS[0], now=NOW + timedelta(days=days)
        )


def test_clocks_may_differ_by_minutes() -> None:
    now = NOW - timedelta(minutes=50)
    require_server_certificate(SERVER, AUTHORITY.certificate, host=HOSTS[0], now=now)


def test_a_certificate_for_another_key_is_found_out() -> None:
    require_key_of(SERVER, KEY)
    with pytest.raises(BadCertificate):
        require_key_of(SERVER, ec.generate_private_key(ec.SECP256R1()))


def test_the_key_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "server.key"
    key = create_server_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).private_numbers() == key.private_numbers()
    with pytest.raises(SecretExists):
        create_server_key(path)


def test_an_authority_comes_back_as_it_was_written_and_does_not_show_its_key(
    tmp_path: Path,
) -> None:
    key, certificate = tmp_path / "secrets" / "authority.key", tmp_path / "authority.pem"
    AUTHORITY.write(key, certificate)
    read = Authority.read(key, certificate)
    assert read.certificate == AUTHORITY.certificate
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert repr(read) == "Authority(CN=banks)"
    certificate.write_bytes(pem_bytes(Authority.create("banks", now=NOW).certificate))
    with pytest.raises(BadCertificate, match="not that of the key"):
        Authority.read(key, certificate)


def test_a_request_altered_on_its_way_is_not_granted() -> None:
    """Cut and paste: another host in front of the signature."""
    der = REQUEST.public_bytes(serialization.Encoding.DER)
    forged = x509.load_der_x509_csr(der.replace(b"coordinator", b"coordinat0r"))
    with pytest.raises(BadCertificate):
        AUTHORITY.issue_certificate(forged, now=NOW)


def test_a_request_that_names_no_host_is_not_granted() -> None:
    bare = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, SHA256())
    with pytest.raises(BadCertificate, match="hosts"):
        AUTHORITY.issue_certificate(bare, now=NOW)


def test_a_request_with_a_key_tls_would_not_take_is_not_granted() -> None:
    odd = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ed25519.Ed25519PrivateKey.generate(), None)
    )
    with pytest.raises(BadCertificate, match="elliptic"):
        AUTHORITY.issue_certificate(odd, now=NOW)


def test_openssl_takes_what_is_made(tmp_path: Path) -> None:
    """Check with Python's TLS library, which Flower's programs use."""
    (tmp_path / "server.pem").write_bytes(pem_bytes(SERVER))
    new = create_server_key(tmp_path / "k" / "server.key")
    granted = AUTHORITY.issue_certificate(signing_request(new, HOSTS), now=datetime.now(UTC))
    (tmp_path / "server.pem").write_bytes(pem_bytes(granted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "k" / "server.key")
    trusting = ssl.create_default_context(cadata=pem_bytes(AUTHORITY.certificate).decode())
    assert trusting.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("read", [read_certificate, read_request, read_key])
def test_what_is_none_is_not_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises((BadCertificate, SecretMissing)):
        read(tmp_path / "none.pem")
    (tmp_path / "odd.pem").write_text("-----BEGIN NOTHING-----\n")
    (tmp_path / "odd.pem").chmod(0o600)
    with pytest.raises(BadCertificate):
        read(tmp_path / "odd.pem")


def test_a_key_of_another_kind_is_none_of_ours(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(tmp_path / "odd.key", key)
    with pytest.raises(BadCertificate):
        read_key(tmp_path / "odd.key")
