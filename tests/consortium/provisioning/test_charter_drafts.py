import sys
from pathlib import Path

import pytest

from consortium.charter.document import BadCharter, Floors, UnknownMember
from consortium.charter.signatures import Signatures, sign_charter
from consortium.provisioning.charter_drafts import (
    AgreedMasks,
    NamedCoordinator,
    draft_charter,
    read_schema,
    read_signatures,
    revise_charter,
    signature_path,
    with_agreed_masks,
)
from consortium.provisioning.enrolment import init_site
from consortium.site.directory import read_identity
from privacy.identity.public_identity import BadAgreement, BadSignature
from sites.data.source import TableFile
from sites.task import UnfitSchema
from sites.tasks.registry import UnknownTask
from tests.consortium.founded import TABLE, Founded, found


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(tmp_path_factory.mktemp("banks"))


def test_a_schema_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(TABLE.model_dump_json())
    assert read_schema(tmp_path / "schema.json") == TABLE


def test_what_is_no_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCharter):
        read_schema(tmp_path / "none.json")


def drafted(
    founded: Founded,
    *,
    name: str = "banks",
    task: str = "credit",
    members: int = 3,
    address: str = "host:9443",
) -> None:
    draft_charter(
        name,
        task=task,
        table=TABLE,
        members=founded.halves[:members],
        coordinator=NamedCoordinator(address=address, authority="ab" * 32),
        floors=Floors(encrypted=True),
    )


def test_what_nobody_could_run_is_not_drafted(founded: Founded) -> None:
    with pytest.raises(UnknownTask):
        drafted(founded, task="kredit")
    with pytest.raises(BadCharter):
        drafted(founded, name="Not A Name")
    with pytest.raises(BadAgreement):
        drafted(founded, members=2)
    with pytest.raises(BadCharter, match="a port from 1 to 65535"):
        drafted(founded, address="host:94430")


def test_a_charter_for_tables_is_drafted_where_nothing_that_learns_is_installed(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator trains nothing, and installs without PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not there
    drafted(founded)
    with pytest.raises(UnfitSchema):
        drafted(founded, task="house-prices")


def test_a_later_charter_has_another_fingerprint_and_the_next_number(
    founded: Founded, tmp_path: Path
) -> None:
    half = init_site(tmp_path / "south", name="south", source=TableFile(path=Path("x.csv")))
    more = revise_charter(founded.charter, joining=[half])
    assert more.names == (*founded.charter.names, "south")
    back = revise_charter(more, without=["south"])
    assert back.names == founded.charter.names
    assert back.revision == 3
    assert len({founded.charter.fingerprint, more.fingerprint, back.fingerprint}) == 3


def test_statistics_that_stand_are_those_of_the_revision_that_counted_them(
    founded: Founded,
) -> None:
    """Over several revisions; and they stand in no later one that does not say so."""
    first = revise_charter(founded.charter, keep_statistics=True)
    second = revise_charter(first, keep_statistics=True)
    assert first.statistics_of == second.statistics_of == founded.charter.fingerprint
    assert revise_charter(second).statistics_of == ""
    changed = first.model_copy(update={"statistics_of": ""})
    assert changed.fingerprint != first.fingerprint


def test_who_leaves_opens_no_more_runs(founded: Founded, tmp_path: Path) -> None:
    half = init_site(tmp_path / "south", name="south", source=TableFile(path=Path("x.csv")))
    named = founded.charter.model_copy(update={"openers": ("west", "north")})
    assert revise_charter(named, without=["west"], joining=[half]).openers == ("north",)


def test_a_stranger_cannot_leave(founded: Founded) -> None:
    with pytest.raises(UnknownMember):
        revise_charter(founded.charter, without=["south"])


def test_nobody_joins_under_the_name_of_the_coordinators_kit(founded: Founded) -> None:
    joining = founded.halves[0].model_copy(update={"name": "coordinator"})
    with pytest.raises(BadCharter, match="another name"):
        revise_charter(founded.charter, without=["east"], joining=[joining])


def test_nobody_joins_twice(founded: Founded) -> None:
    with pytest.raises(BadCharter):
        revise_charter(founded.charter, joining=founded.halves[:1])


def test_signatures_are_gathered_from_beside_the_charter(founded: Founded, tmp_path: Path) -> None:
    path = tmp_path / "charter.json"
    founded.charter.write(path)
    assert read_signatures(path) == Signatures(signatures=())
    for name in founded.charter.names:
        signature = sign_charter(founded.charter, read_identity(founded.site(name)))
        signature.write(signature_path(path, name))
    read_signatures(path).require_all(founded.charter)
    other = founded.charter.model_copy(update={"revision": 2})
    with pytest.raises(BadSignature):
        read_signatures(path).require_all(other)


def test_what_a_draft_says_of_masks_stays_unless_something_else_is_chosen(founded: Founded) -> None:
    charter = founded.charter
    assert with_agreed_masks(charter, AgreedMasks()).fingerprint == charter.fingerprint
    said = with_agreed_masks(charter, AgreedMasks(sets_in_run="any", without_masks=True))
    later = with_agreed_masks(revise_charter(said), AgreedMasks(without_masks=False))
    assert (later.sets_in_run, later.without_masks) == ("any", False)
    assert with_agreed_masks(later, AgreedMasks(sets_in_run="")).sets_in_run == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (AgreedMasks(sets_in_run="two"), "sets_in_run"),
        (AgreedMasks(suite="rsa"), "suite"),
        (AgreedMasks(max_colluders=11), "max_colluders"),
        (AgreedMasks(suite="mlkem768_x25519", max_colluders=2), "masks need 4 sites with max_coll"),
    ],
)
def test_masks_that_no_run_could_have_are_not_drafted(
    founded: Founded, wrong: AgreedMasks, said: str
) -> None:
    with pytest.raises(BadCharter, match=said):
        with_agreed_masks(founded.charter, wrong)


def test_a_member_does_not_leave_where_the_others_would_be_too_few_for_masks(
    founded: Founded,
) -> None:
    """The floors ask for fewer here: it is the masks that need three."""
    floors = Floors(min_others=1, encrypted=True)
    charter = founded.charter.model_copy(update={"floors": floors, "suite": "mlkem768_x25519"})
    two = revise_charter(charter, without=["west"])
    with pytest.raises(BadCharter, match="masks need 3 sites"):
        with_agreed_masks(two, AgreedMasks())
    assert with_agreed_masks(two, AgreedMasks(without_masks=True)).names == ("east", "north")
