"""An opener that failed the others is asked last in later runs."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.coordinator.assembly import encrypted_strategy
from consortium.coordinator.failed_openers import FailedOpeners
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.wire import encrypted_messages as sealed_messages
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.small_consortium import (
    COORDINATOR,
    Consortium,
    Course,
    configured,
    forget_processes,
)

FAILED = SiteQuarantined(server_round=0, site="east", code="unusable-keys")
REFUSED = SiteQuarantined(server_round=0, site="west", code="site-refused.cannot-open")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that was ordered from a coordinator."""
    made = RunDirectory(tmp_path / "runs" / "first")
    made.path.mkdir(parents=True)
    made.order.write_text("{}")
    return made


def test_who_failed_is_remembered_and_who_refused_is_not(run: RunDirectory) -> None:
    FailedOpeners.of(run).note(REFUSED)
    assert FailedOpeners.of(run).names == ()
    for _ in range(2):
        FailedOpeners.of(run).note(FAILED)
    assert FailedOpeners.of(run).names == ("east",)


def test_nothing_is_remembered_of_a_run_on_one_machine(tmp_path: Path) -> None:
    alone = RunDirectory(tmp_path / "runs" / "first")
    FailedOpeners.of(alone).note(FAILED)
    assert FailedOpeners.of(alone).names == ()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["", "{", "{}", "7"])
def test_a_broken_list_costs_the_order_and_no_run(run: RunDirectory, text: str) -> None:
    run.failed_openers.write_text(text)
    assert FailedOpeners.of(run).names == ()


def test_who_failed_is_asked_last_and_its_keys_are_not_missed(tmp_path: Path) -> None:
    forget_processes()
    consortium, course = Consortium.placed(tmp_path / "run"), Course()
    config = configured({"num_server_rounds": 1})
    strategy = encrypted_strategy(
        config,
        consortium.charter,
        observe=course.events.append,
        keep=EvidenceStore(consortium.run.vault).keep,
        reach=lambda _progress: None,
        asked_last=("east", "north"),
        sign=COORDINATOR.sign,
    )
    strategy.start(consortium.bus(course, config), 1)
    asked: list[tuple[str, RecordDict]] = [
        (one.site, answer)
        for kind in (sealed_messages.ROTATE, sealed_messages.OPEN)
        for one, answer in course.answers(kind)
    ]
    assert [site for site, _ in asked] == ["south", "south"]
