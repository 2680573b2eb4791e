from pathlib import Path

import pytest
from pydantic import ValidationError

from consortium.charter.document import BadCharter, Charter, Member
from privacy.identity.public_identity import BadAgreement
from privacy.secrets.keys import Identity
from scenarios.library.registry import SCENARIOS

CHARTER = SCENARIOS["heart-diagnosis"].charter


def keyed(charter: Charter) -> Charter:
    members = [
        Member.model_validate(Identity.generate(name).public.describe()) for name in charter.names
    ]
    return charter.model_copy(update={"members": tuple(members)})


def test_a_charter_is_read_as_it_was_written(tmp_path: Path) -> None:
    CHARTER.write(tmp_path / "charter.json")
    read = Charter.read(tmp_path / "charter.json")
    assert read == CHARTER
    assert read.fingerprint == CHARTER.fingerprint


def test_every_part_of_a_charter_changes_its_fingerprint() -> None:
    others = [
        CHARTER.model_copy(update={"name": "other"}),
        CHARTER.model_copy(update={"release_pooled": False}),
        CHARTER.model_copy(update={"openers": ("hungary",)}),
        CHARTER.model_copy(update={"members": CHARTER.members[:-1]}),
        CHARTER.model_copy(update={"floors": CHARTER.floors.model_copy(update={"min_others": 3})}),
        keyed(CHARTER),
    ]
    assert len({CHARTER.fingerprint, *(other.fingerprint for other in others)}) == 7


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": 2}'])
def test_what_is_no_charter_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "charter.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadCharter, match="charter"):
        Charter.read(path)


def test_a_charter_that_is_not_there_is_told_with_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(BadCharter, match=r"no charter at .* site install"):
        Charter.read(tmp_path / "charter.json")


def test_two_members_cannot_have_one_name() -> None:
    twice = [Member(name="a"), Member(name="a")]
    with pytest.raises(ValidationError, match="distinct names"):
        Charter(name="x", task="credit", table=CHARTER.table, members=tuple(twice))


def test_keys_are_bound_to_the_charter_and_the_members_in_it() -> None:
    charter = keyed(CHARTER)
    agreement = charter.agreement
    assert agreement.charter.hex() == charter.fingerprint
    assert tuple(member.name for member in agreement.members) == charter.names
    assert agreement.openers == charter.names
    assert charter.model_copy(update={"openers": ("hungary",)}).agreement.openers == ("hungary",)


def test_a_charter_without_keys_or_with_a_strange_opener_makes_no_agreement() -> None:
    with pytest.raises(BadCharter, match="public keys of all members"):
        _ = CHARTER.agreement
    with pytest.raises(BadAgreement):
        _ = keyed(CHARTER).model_copy(update={"openers": ("nobody",)}).agreement
