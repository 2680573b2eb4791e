"""The coordinator's TLS key, certificate request and certificate, and the consortium's authority.

Time is an argument. Functions here write a private key only to a file of mode 0600 in its owner's
directory.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consortium.charter.addresses import Door
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import write_atomically
from privacy.storage.secret_files import read_private, write_private

AUTHORITY_DAYS = 3_650
SERVER_DAYS = 365
_CLOCKS_DIFFER = timedelta(hours=1)  # a site whose clock is slow must accept a new certificate


class BadCertificate(ConsortiumError, ValueError, code="bad-certificate"):
    """A certificate, request or key cannot be read, or they do not match."""


class Expired(BadCertificate, code="expired"):
    """A certificate has expired or is not valid yet."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Authority:
    """The consortium's own certificate authority.

    Args:
        key: Its private key, which stays at the coordinator, which created it.
        certificate: Its certificate, which every party trusts.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def __repr__(self) -> str:
        return f"Authority({self.certificate.subject.rfc4514_string()})"

    @classmethod
    def create(cls, name: str, *, now: datetime, days: int = AUTHORITY_DAYS) -> "Authority":
        """Create a new authority."""
        key = ec.generate_private_key(ec.SECP384R1())
        subject = _common_name(name)
        certificate = (
            _certificate_builder(subject, subject, key.public_key(), now=now, days=days)
            # Path length 0: this authority issues server certificates, but no other authorities.
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, SHA256())
        )
        return cls(key=key, certificate=certificate)

    def issue_certificate(
        self, request: x509.CertificateSigningRequest, *, now: datetime, days: int = SERVER_DAYS
    ) -> x509.Certificate:
        """Issue a server certificate for the key and the hosts in a request.

        Raises:
            BadCertificate: The request is not signed with its key, its key is not an
                elliptic-curve key, or it names no host.
        """
        if not request.is_signature_valid:
            raise BadCertificate("the request is not signed with the key in it")
        own = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise BadCertificate("the request needs an elliptic-curve key")
        return (
            _certificate_builder(request.subject, self.certificate.subject, key, now=now, days=days)
            .add_extension(x509.SubjectAlternativeName(_alternative_names(request)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), False
            )
            .sign(self.key, SHA256())
        )

    def write(self, key: Path, certificate: Path) -> None:
        """Write the authority: its key with mode 0600, its certificate readable to all.

        Raises:
            SecretExists: There already is an authority.
        """
        write_private(key, _key_pem(self.key))
        write_atomically(certificate, pem_bytes(self.certificate))

    @classmethod
    def read(cls, key: Path, certificate: Path) -> "Authority":
        """Read an authority that `write` wrote.

        Raises:
            SecretMissing: There is no authority.
            BadCertificate: It cannot be read, or the certificate is for another key.
        """
        authority = cls(key=read_key(key), certificate=read_certificate(certificate))
        if authority.certificate.public_key() != authority.key.public_key():
            raise BadCertificate(f"the authority {certificate} is not that of the key {key}")
        return authority


def create_server_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Create the coordinator's TLS key in its own directory, with mode 0600.

    Raises:
        SecretExists: There already is a key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(path, _key_pem(key))
    return key


def signing_request(
    key: ec.EllipticCurvePrivateKey, hosts: tuple[str, ...]
) -> x509.CertificateSigningRequest:
    """Return a request for a server certificate, for the consortium's authority or another.

    Args:
        key: The coordinator's TLS key.
        hosts: Names and addresses of the coordinator; the first is the certificate's subject.
    """
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_common_name(hosts[0]))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False)
        .sign(key, SHA256())
    )


def require_server_certificate(
    certificate: x509.Certificate,
    authority: x509.Certificate,
    *,
    host: str,
    now: datetime,
) -> None:
    """Check that sites that trust the authority will accept this certificate for the host.

    Raises:
        Expired: One of the two certificates is not valid now.
        BadCertificate: The authority did not issue it, or it is for other hosts.
    """
    require_valid(certificate, now=now)
    require_valid(authority, now=now)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadCertificate("the server's certificate was not issued by this authority") from error
    require_host(certificate, host)


def require_host(certificate: x509.Certificate, host: str) -> None:
    """Check that a server's certificate is for a host.

    Raises:
        BadCertificate: It is for other hosts.
    """
    named = _alternative_names(certificate)
    if _general_name(host) not in named:
        raise BadCertificate(
            f"the server's certificate is not for {host}, but for "
            f"{', '.join(str(one.value) for one in named)}: give an address with one of these, or "
            "request a certificate that names this host"
        )


def require_valid(certificate: x509.Certificate, *, now: datetime) -> None:
    """Check that a certificate is valid at this time.

    Raises:
        Expired: It is not valid yet, or no longer valid.
    """
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now <= end:
        subject = certificate.subject.rfc4514_string()
        raise Expired(
            f"the certificate of {subject} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d} only"
        )


def certificate_digest(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, hexadecimal, as a charter names its authority."""
    return certificate.fingerprint(SHA256()).hex()


def require_agreed_authority(certificate: x509.Certificate, door: Door) -> None:
    """Check that an authority is the one that the members signed for a door.

    Charters of version 0.1.0 name none: under them every authority passes.

    Raises:
        BadCertificate: It is another one.
    """
    digest = certificate_digest(certificate)
    if door.authority not in ("", digest):
        raise BadCertificate(
            f"the members signed the authority {door.authority}, but the one that came is "
            f"{digest}: do not install it, and ask {door.whose} how its traffic could be read"
        )


def require_key_of(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Check that a certificate is for this key.

    Raises:
        BadCertificate: It is for another key.
    """
    if certificate.public_key() != key.public_key():
        raise BadCertificate("the server's certificate is not for the coordinator's key")


def read_certificate(path: Path) -> x509.Certificate:
    """Read a PEM certificate; if the file holds a chain, the first.

    Raises:
        BadCertificate: The file holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise BadCertificate(f"{path} is not a readable certificate: {error}") from error


def read_request(path: Path) -> x509.CertificateSigningRequest:
    """Read a PEM certificate request.

    Raises:
        BadCertificate: The file holds no request.
    """
    try:
        return x509.load_pem_x509_csr(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadCertificate(f"{path} is not a readable certificate request: {error}") from error


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private key.

    Raises:
        SecretMissing, ExposedSecret: As `read_private`.
        BadCertificate: It is not an elliptic-curve key.
    """
    content = read_private(path)
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise BadCertificate(f"{path} is not a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadCertificate(f"{path} is not an elliptic-curve key")
    return key


def pem_bytes(public: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """Return a certificate or a request in PEM."""
    return public.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(name: str) -> x509.Name:
    # X.509 allows 64 characters in a common name. Hosts are checked in the extension, not here.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def _alternative_names(
    named: x509.Certificate | x509.CertificateSigningRequest,
) -> list[x509.GeneralName]:
    try:
        found = named.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound as error:
        raise BadCertificate(
            "a server's certificate needs the hosts it is for, as subject alternative names"
        ) from error
    return list(found.value)
