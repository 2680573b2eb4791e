"""When a run's model becomes a site's model: once most of the run's sites signed its state."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from consortium.client.sealed_session import Session
from consortium.model.files import BadModel, read_model
from consortium.model.provisional import confirm_model, make_provisional_folder
from consortium.run.evidence_store import EvidenceStore
from consortium.site.directory import SiteDirectory
from privacy.policy.document import read_policy
from privacy.protocol.envelope import Receipt
from privacy.storage.secret_files import make_private_directory
from privacy.wire.encrypted_messages import RELEASE, SealedReply, SealedRound
from scenarios.engines.in_process import Vanished
from sites.tasks.registry import task_for
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.encrypted.progress import read_standing
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.carrier import Carrier
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    altered,
    configured,
    forget_processes,
    read_round,
)
from tests.tampering import Liar, forged

ONE_ROUND = 1
FIELDS = fields(TabularTask)


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def directory(consortium: Consortium, name: str) -> SiteDirectory:
    return SiteDirectory(consortium.run.site(name))


def holders(consortium: Consortium) -> list[str]:
    """Return the sites that have a model of their own."""
    return [name for name in NAMES if directory(consortium, name).model.exists()]


def lost(kind: str, *sites: str) -> Callable[[Passing], RecordDict]:
    """Return a hook that lets no message of a kind reach these sites."""

    def hook(passing: Passing) -> RecordDict:
        if passing.kind == kind and passing.site in sites:
            raise Vanished
        return passing.content

    return hook


def resumed(consortium: Consortium) -> Course:
    """Go on with a run, in processes that know only what is on disk."""
    forget_processes()
    course, config = Course(), configured({"num_server_rounds": ONE_ROUND})
    read = EvidenceStore(consortium.run.vault).read
    since = read_standing(read, consortium.charter.fingerprint, ONE_ROUND)
    strategy = consortium.strategy(course, num_server_rounds=ONE_ROUND)
    course.progress = strategy.start(consortium.bus(course, config), ONE_ROUND, since=since)
    return course


def test_a_run_that_ends_well_leaves_every_site_its_model_and_nothing_provisional(
    consortium: Consortium,
) -> None:
    course = consortium.start(num_server_rounds=ONE_ROUND)
    assert course.error is None
    assert holders(consortium) == list(NAMES)
    assert not any(directory(consortium, name).provisional.exists() for name in NAMES)


def test_a_run_that_dies_before_the_release_is_confirmed_when_it_is_resumed(
    consortium: Consortium,
) -> None:
    """Until then no site has a model of it that could be read or exported."""
    course = consortium.start(down=lost(RELEASE, *NAMES), num_server_rounds=ONE_ROUND)
    assert isinstance(course.error, QuorumNotReached)
    assert not holders(consortium)
    with pytest.raises(BadModel):
        read_model(directory(consortium, "north").model)
    assert resumed(consortium).error is None
    assert holders(consortium) == list(NAMES)


def test_asked_to_confirm_twice_a_site_keeps_its_model(consortium: Consortium) -> None:
    carrier = Carrier()
    consortium.start(down=carrier.down, num_server_rounds=ONE_ROUND)
    model = directory(consortium, "north").model / "federated.safetensors"
    before = model.read_bytes()
    north = consortium.place("north", num_server_rounds=ONE_ROUND)
    assert north.refusal(RELEASE, carrier.asked["north", RELEASE]) == ""
    assert model.read_bytes() == before


def test_a_site_whose_last_answer_came_too_late_has_the_model_too(consortium: Consortium) -> None:
    """Its receipt is not among those shown, but they sign the state that it computed."""

    def late(passing: Passing) -> RecordDict:
        last = (passing.site, passing.kind) == ("east", "evaluate")
        return RecordDict() if last else passing.content

    course = consortium.start(up=late, num_server_rounds=ONE_ROUND)
    assert course.error is None
    assert holders(consortium) == list(NAMES)
    assert not course.rounds[-1].evaluation.any()


def test_a_site_that_was_away_at_the_end_has_nothing_to_confirm(consortium: Consortium) -> None:
    hook = lost("evaluate", "east")
    course = consortium.start(down=hook, num_server_rounds=ONE_ROUND)
    assert course.error is None
    assert (3, "east", "site-refused.no-final-state") in course.quarantined
    assert holders(consortium) == ["north", "south", "west"]


def test_receipts_of_half_of_the_sites_confirm_no_model(consortium: Consortium) -> None:
    carrier = Carrier()
    consortium.start(down=carrier.down, num_server_rounds=ONE_ROUND)
    asked = carrier.asked["north", RELEASE]
    north = consortium.place("north", num_server_rounds=ONE_ROUND)
    assert read_round(asked).count_receipts
    assert north.refusal(RELEASE, altered(asked, count_receipts=b"")) == "malformed-envelope"


def spoiled_counts(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    """Return a reply with other counts, under a tag that is wrong."""
    upload, receipt = forged(session, Receipt.decode(sent.count_receipt).label, shift=1)
    return replace(sent, count_upload=upload, count_receipt=receipt)


def test_who_spoils_its_last_counts_keeps_no_other_model_back(consortium: Consortium) -> None:
    liar = Liar(consortium, "east", "evaluate", spoiled_counts, {"num_server_rounds": ONE_ROUND})
    course = liar.run()
    assert course.error is None
    assert "site-refused.checksum-failed" in {code for _, _, code in course.quarantined}
    assert holders(consortium) == ["north", "south", "west"]


def show_west_another_sum(consortium: Consortium) -> Course:
    """Let a run end in which west alone is shown the sum without east's update."""
    carrier = Carrier()

    def down(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("west", "evaluate"):
            return passing.content
        west = consortium.place("west", num_server_rounds=ONE_ROUND)
        placement = west.session(read_round(passing.content)).terms.updates
        return carrier.showing(passing.content, ("north", "south", "west"), ONE_ROUND, placement)

    return consortium.start(down=down, up=carrier.up, num_server_rounds=ONE_ROUND)


def test_a_model_that_another_state_out_votes_is_deleted(consortium: Consortium) -> None:
    course = show_west_another_sum(consortium)
    assert (3, "west", "site-refused.another-final-state") in course.quarantined
    assert holders(consortium) == ["east", "north", "south"]
    west = directory(consortium, "west")
    assert not list(west.provisional.glob("*"))


@dataclass(frozen=True)
class Misread:
    """A record that the model reads wrongly, in words."""

    text: str


class Readable(TabularTask):
    """A task whose mistakes a person can read."""

    def mistakes(self, _data: object, *_model: object, at_most: int) -> list[Misread]:
        """Return what the model reads wrongly."""
        return [Misread("of this run")][:at_most]


def readable_task(*of: Any, **how: Any) -> Readable:
    """Return the task that a site has, as one whose mistakes a person can read."""
    return Readable(**{item.name: getattr(task_for(*of, **how), item.name) for item in FIELDS})


@pytest.fixture
def west_keeps_mistakes(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> Path:
    """West keeps what a model reads wrongly, of a task that shows it; return its file.

    There is one of an earlier run.
    """
    monkeypatch.setattr("consortium.site.site.task_for", readable_task)
    west = directory(consortium, "west")
    read_policy(west.path).model_copy(update={"mistakes_kept": 5}).write(west.path)
    make_private_directory(west.mistakes.parent)
    west.mistakes.write_text("of an earlier run")
    return west.mistakes


def texts(folder: Path) -> set[str]:
    """Return what is in the files of a folder, whatever they are called."""
    return {path.read_text() for path in folder.iterdir()}


def test_mistakes_of_a_model_are_kept_when_it_is_confirmed(
    consortium: Consortium, west_keeps_mistakes: Path
) -> None:
    """A run that dies before leaves those of the earlier model in their place."""
    consortium.start(down=lost(RELEASE, *NAMES), num_server_rounds=ONE_ROUND)
    assert west_keeps_mistakes.read_text() == "of an earlier run"
    assert resumed(consortium).error is None
    assert json.loads(west_keeps_mistakes.read_text()) == {"text": "of this run"}
    assert len(texts(west_keeps_mistakes.parent)) == 1
    assert not directory(consortium, "east").mistakes.parent.exists()


def test_mistakes_of_a_model_that_is_out_voted_are_deleted(
    consortium: Consortium, west_keeps_mistakes: Path
) -> None:
    """The texts are the site's own, but which of them are there depends on the model."""
    show_west_another_sum(consortium)
    assert texts(west_keeps_mistakes.parent) == {"of an earlier run"}


def test_mistakes_of_a_model_that_nobody_confirmed_go_with_the_next(
    consortium: Consortium, west_keeps_mistakes: Path
) -> None:
    consortium.start(down=lost(RELEASE, *NAMES), num_server_rounds=ONE_ROUND)
    assert len(texts(west_keeps_mistakes.parent)) == 2
    make_provisional_folder(directory(consortium, "west").path, "a later run")
    assert texts(west_keeps_mistakes.parent) == {"of an earlier run"}


def test_an_earlier_model_stays_until_the_next_is_confirmed(tmp_path: Path) -> None:
    site = SiteDirectory(tmp_path)
    (make_provisional_folder(tmp_path, "run-1") / "of").write_text("1")
    assert confirm_model(tmp_path, "run-1")
    (make_provisional_folder(tmp_path, "run-2") / "of").write_text("2")
    assert (site.model / "of").read_text() == "1"
    assert not confirm_model(tmp_path, "run-1")
    assert confirm_model(tmp_path, "run-2")
    assert (site.model / "of").read_text() == "2"


def test_a_site_keeps_one_model_that_nobody_confirmed(tmp_path: Path) -> None:
    for number in range(3):
        make_provisional_folder(tmp_path, f"run-{number}")
    assert len(list(SiteDirectory(tmp_path).provisional.glob("*"))) == 1
