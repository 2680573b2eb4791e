"""A run of real sites that several tests look at, moment by moment."""

from pathlib import Path

import pytest

from consortium.client.encrypted.session import Session
from consortium.run.directory import RunDirectory
from sites.tasks.tabular.task import TabularTask
from tests.consortium.report.sample_reports import SHARED, write_reports
from tests.small_consortium import NAMES, Consortium, Course, Moment, Place, read_reply, rehearsed

Honest = tuple[Consortium, Course]
ROUND = 3


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    """Four sites, three rounds; nobody lied."""
    return rehearsed(tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="session")
def shared_reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """Sample runs with their reports, which nobody changes."""
    return write_reports(SHARED, tmp_path_factory.mktemp("reports"))


@pytest.fixture
def moment(honest: Honest) -> Moment:
    """North, before round 3."""
    return honest[1].moments["north", "train", ROUND]


@pytest.fixture
def place(moment: Moment, tmp_path: Path) -> Place:
    """North put back as it was then."""
    return moment.again(tmp_path / "north")


@pytest.fixture
def session(place: Place, moment: Moment) -> Session:
    """North's session in the run."""
    return place.session(moment.request)


@pytest.fixture
def uploads(honest: Honest) -> dict[str, bytes]:
    """What each site sealed in round 2."""
    moments = honest[1].moments
    return {name: read_reply(moments[name, "train", 2].answer).upload for name in NAMES}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each training at any site."""
    counted: list[int] = []
    train = TabularTask.train

    def counting(self: TabularTask, *given: object, **named: object) -> object:
        counted.append(1)
        return train(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(TabularTask, "train", counting)
    return counted
