from pathlib import Path

import pytest
from pydantic import ValidationError

from consortium.charter.document import BadCharter, Charter, Member
from consortium.provisioning.charter_drafts import with_agreed_maps
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


def test_a_charter_that_says_nothing_of_masks_keeps_its_fingerprint_and_has_the_defaults() -> None:
    said = CHARTER.model_validate_json(CHARTER.model_dump_json())
    assert said.fingerprint == CHARTER.fingerprint
    assert (said.num_colluders, said.pair_suite) == (1, "mlkem768_x25519")
    assert said.sums_one_set(noise=False)
    assert not said.sums_one_set(noise=True)


@pytest.mark.parametrize(("chosen", "one"), [("one", True), ("any", False)])
def test_a_charter_that_names_the_sets_of_a_run_decides_with_noise_and_without(
    chosen: str, one: bool
) -> None:
    charter = CHARTER.model_copy(update={"sets_in_run": chosen})
    assert {charter.sums_one_set(noise=noise) for noise in (False, True)} == {one}


def test_what_a_charter_says_of_masks_is_in_its_fingerprint() -> None:
    said: list[dict[str, object]] = [
        {"max_colluders": 2},
        {"sets_in_run": "one"},
        {"sets_in_run": "any"},
        {"suite": "x25519"},
        {"without_masks": True},
    ]
    others = [CHARTER.model_copy(update=one).fingerprint for one in said]
    assert len({CHARTER.fingerprint, *others}) == len(said) + 1


@pytest.mark.parametrize(
    "wrong", [{"max_colluders": 11}, {"max_colluders": -1}, {"sets_in_run": "two"}, {"suite": "x"}]
)
def test_what_no_charter_may_say_of_masks_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Charter.model_validate({**CHARTER.model_dump(), **wrong})


def test_maps_are_in_the_fingerprint_and_are_those_of_members() -> None:
    named = with_agreed_maps(CHARTER, {"hungary": "a" * 64})
    other = with_agreed_maps(CHARTER, {"hungary": "b" * 64})
    assert len({CHARTER.fingerprint, named.fingerprint, other.fingerprint}) == 3
    assert Charter.model_validate_json(named.model_dump_json()) == named
    assert (named.map_of("hungary"), named.map_of("cleveland")) == ("a" * 64, None)
    for wrong, told in (({"nobody": "a" * 64}, "nobody"), ({"hungary": "a"}, "sha256")):
        with pytest.raises(BadCharter, match=told):
            with_agreed_maps(CHARTER, wrong)
    twice = [one.model_dump() for one in (*named.maps, *other.maps)]
    with pytest.raises(ValidationError, match="names a member twice"):
        Charter.model_validate({**CHARTER.model_dump(), "maps": twice})


def test_a_charter_cannot_be_changed_after_it_was_signed() -> None:
    """Whatever it names, so that a fingerprint is that of what one holds."""
    named = with_agreed_maps(CHARTER, {"hungary": "a" * 64})
    assert len({CHARTER, named, named.model_copy()}) == 2
