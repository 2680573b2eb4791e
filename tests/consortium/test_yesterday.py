"""Traffic that was recorded yesterday, sent again today: to the sites, and to a coordinator."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.messages import HELLO
from tests.small_consortium import (
    SEALED,
    Consortium,
    Course,
    Passing,
    Place,
    configured,
    forget_processes,
    refusal,
)

Honest = tuple[Consortium, Course]
LIAR = "south"
Recorded = dict[tuple[str, str, int], RecordDict]


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    consortium = Consortium.placed(tmp_path_factory.mktemp("yesterday") / "run")
    course = consortium.start()
    assert course.error is None
    return consortium, course


def test_a_site_trains_for_no_message_a_second_time(
    yesterday: Honest, tmp_path: Path, trainings: list[int]
) -> None:
    """Every message of the run, sent again when it is over: the kept answer, or a refusal."""
    consortium, course = yesterday
    codes = set()
    for asked, answer in course.seen:
        directory = tmp_path / asked.site
        if not directory.exists():
            shutil.copytree(consortium.run.site(asked.site), directory)
        forget_processes()
        if asked.kind not in SEALED:
            continue
        said = Place(directory, configured({})).ask(asked.kind, asked.content)
        code = refusal(said)
        codes.add(code)
        assert code or said == answer, f"{asked.kind} {asked.number}"
    assert not trainings
    assert codes, "nothing was asked"


def test_an_epoch_of_yesterday_is_not_gone_back_to(yesterday: Honest, tmp_path: Path) -> None:
    consortium, course = yesterday
    asked, _ = course.answers(sealed_messages.DELIVER)[0]
    directory = tmp_path / asked.site
    shutil.copytree(consortium.run.site(asked.site), directory)
    assert Place(directory, configured({})).refusal(asked.kind, asked.content) == "stale-epoch"


def replayed(recorded: Recorded, kinds: tuple[str, ...]) -> Callable[[Passing], RecordDict]:
    """Return what lets one site answer some questions with what it answered yesterday."""

    def up(passing: Passing) -> RecordDict:
        key = (passing.site, passing.kind, passing.number)
        again = passing.site == LIAR and passing.kind in kinds and key in recorded
        return recorded[key] if again else passing.content

    return up


@pytest.mark.parametrize(
    ("kind", "code", "seed"),
    [(HELLO, "not-the-site", 1), ("query.statistics", "wrong-run", 2), ("train", "wrong-run", 3)],
)
def test_an_answer_of_yesterday_costs_its_sender_the_round_and_the_run_nothing(
    yesterday: Honest, kind: str, code: str, seed: int
) -> None:
    """Whoever recorded it, and whoever sends it in the site's name."""
    consortium, course = yesterday
    recorded: Recorded = {
        (asked.site, asked.kind, asked.number): answer for asked, answer in course.seen
    }
    today = consortium.start(up=replayed(recorded, (kind,)), seed=seed)
    assert today.error is None
    assert code in {told for _, _, told in today.quarantined}
    assert {site for _, site, _ in today.quarantined} <= {LIAR, "node 1003"}
    models = {model.hex() for site, model in today.models.items() if site != LIAR}
    assert models == {today.model}
