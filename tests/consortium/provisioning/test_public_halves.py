"""What a site and a hub show of their keys, as files that may travel over any channel."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.hub_enrolment import HubHalf
from consortium.provisioning.public_halves import (
    BadPublicHalf,
    SignedHalf,
    create_node_key,
    public_node_key,
    require_node_key,
)
from consortium.site.directory import SiteDirectory
from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.secrets.keys import Identity


def halves(folder: Path) -> tuple[SignedHalf, SignedHalf]:
    """Return the half of a site and that of a hub, of the same name and SuperNode."""
    folder.mkdir(mode=0o700)
    create_node_key(folder)
    node = public_node_key(SiteDirectory(folder).node_key)
    identity, key = Identity.generate("north"), SigningKey.at(folder / "sums.key")
    site = PublicHalf(**identity.public.describe(), node=node, signature="")
    hub = HubHalf(
        name="north",
        address="127.0.0.1:9444",
        signing=key.public.hex(),
        authority="none",
        node=node,
        signature="",
    )
    return site.with_signature(identity.sign), hub.with_signature(key.sign)


def test_a_half_that_nobody_signed_or_that_is_signed_for_another_kind_of_party_is_refused(
    tmp_path: Path,
) -> None:
    for half in halves(tmp_path / "party"):
        signature = bytes.fromhex(half.signature)
        half.require_signature(signature)
        unsigned = half.model_copy(update={"signature": ""})
        assert unsigned.signed_bytes == half.signed_bytes
        with pytest.raises(BadSignature):
            unsigned.verify()
        with pytest.raises(BadSignature):
            half.model_copy(update={"node": half.node + " "}).require_signature(signature)
    site, hub = halves(tmp_path / "other")
    assert {site.signed_bytes[:24], hub.signed_bytes[:24]} == {
        b"consortium.public-half/1",
        b'consortium.hub-half/1\n{"',
    }


@pytest.mark.parametrize(("kind", "whose"), [(PublicHalf, "a site's"), (HubHalf, "a hub's")])
@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"version": 2}'])
def test_what_is_no_public_half_is_not_read_as_one(
    kind: type[SignedHalf], whose: str, tmp_path: Path, content: str
) -> None:
    (tmp_path / "half.json").write_text(content)
    with pytest.raises(BadPublicHalf, match=f"the public half of {whose} keys"):
        kind.read(tmp_path / "half.json")


@pytest.mark.parametrize("text", ["", "ssh-rsa AAAA", "none", "ecdsa-sha2-nistp384 AAAA"])
def test_a_key_flower_would_refuse_is_refused_before(text: str) -> None:
    with pytest.raises(BadPublicHalf):
        require_node_key(text)


def test_a_key_of_another_kind_is_refused() -> None:
    public = (
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )
    with pytest.raises(BadPublicHalf):
        require_node_key(public.decode())


def test_a_key_that_was_made_is_one_that_is_accepted(tmp_path: Path) -> None:
    create_node_key(tmp_path)
    public = public_node_key(SiteDirectory(tmp_path).node_key)
    require_node_key(public)
    key = serialization.load_ssh_public_key(public.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    with pytest.raises(BadPublicHalf, match="not a readable SuperNode key"):
        public_node_key(tmp_path / "none.key")
