from pathlib import Path

import pytest

from consortium.charter.document import BadCharter, Member, OtherKeys
from consortium.charter.signatures import (
    Signature,
    Signatures,
    Unsigned,
    member_identity,
    sign_charter,
)
from consortium.site.directory import read_identity
from privacy.identity.public_identity import BadIdentity, BadSignature, NotAMember
from privacy.secrets.keys import Identity
from tests.consortium.founded import NAMES, Founded, found


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(tmp_path_factory.mktemp("banks"))


def test_signatures_stand_beside_what_is_signed(founded: Founded) -> None:
    before = founded.charter.fingerprint
    founded.signatures().require_all(founded.charter)
    assert founded.charter.fingerprint == before


def test_every_member_counts(founded: Founded) -> None:
    for absent in NAMES:
        kept = [one for one in founded.signatures().signatures if one.member != absent]
        with pytest.raises(Unsigned, match=absent):
            Signatures(signatures=tuple(kept)).require_all(founded.charter)


def test_a_signature_is_under_one_charter_only(founded: Founded) -> None:
    other = founded.charter.model_copy(update={"revision": 2})
    with pytest.raises(BadSignature):
        founded.signatures().require_all(other)
    moved = [
        one.model_copy(update={"charter": other.fingerprint})
        for one in founded.signatures().signatures
    ]
    with pytest.raises(BadSignature):
        Signatures(signatures=tuple(moved)).require_all(other)


def test_nobody_signs_for_another(founded: Founded) -> None:
    north = sign_charter(founded.charter, read_identity(founded.site("north")))
    forged = north.model_copy(update={"member": "west"})
    with pytest.raises(BadSignature):
        Signatures(signatures=(forged,)).signers(founded.charter)


def test_a_stranger_cannot_sign(founded: Founded) -> None:
    with pytest.raises(NotAMember):
        sign_charter(founded.charter, Identity.generate("stranger"))


def test_a_site_does_not_sign_away_its_name(founded: Founded) -> None:
    """With other keys in the charter, somebody else could answer in the member's name."""
    with pytest.raises(OtherKeys):
        sign_charter(founded.charter, Identity.generate("north"))


def test_a_member_without_keys_has_no_identity(founded: Founded) -> None:
    charter = founded.charter.model_copy(update={"members": (Member(name="north"),)})
    with pytest.raises(BadIdentity):
        member_identity(charter, "north")


def test_files_come_back_as_they_were_written(founded: Founded, tmp_path: Path) -> None:
    signatures = founded.signatures()
    signatures.write(tmp_path / "all.json")
    assert Signatures.read(tmp_path / "all.json") == signatures
    signatures.signatures[0].write(tmp_path / "one.json")
    assert Signature.read(tmp_path / "one.json") == signatures.signatures[0]


@pytest.mark.parametrize("kind", [Signature, Signatures])
def test_what_is_no_signature_is_not_read_as_one(
    tmp_path: Path, kind: type[Signature] | type[Signatures]
) -> None:
    with pytest.raises(BadCharter):
        kind.read(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text('{"signature": "00"}')
    with pytest.raises(BadCharter):
        kind.read(tmp_path / "odd.json")
