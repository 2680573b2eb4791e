"""What the coordinator of an encrypted run stores, and how it resumes the run."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from flwr.app import RecordDict
from hypothesis import given
from hypothesis import strategies as st

from consortium.coordinator.assembly import encrypted_strategy
from consortium.run.evidence_store import EvidenceStore
from privacy.layout import Layout
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.progress import (
    PROGRESS_FILE,
    BadProgress,
    SealedStanding,
    majority_digest,
    read_standing,
)
from strategies.coordinator.messaging.roster import OtherLayout
from tests.small_consortium import (
    COORDINATOR,
    NAMES,
    Consortium,
    Course,
    Passing,
    configured,
    read_reply,
    read_round,
)

ROUNDS = 3


class Died(BaseException):
    """The coordinator's process is gone."""


def begun(consortium: Consortium, dies_at: str, *, before: bool) -> Course:
    """Run until a file is to be kept, and die just before or just after it is."""
    course, config, vault = Course(), configured({}), EvidenceStore(consortium.run.vault)

    def keep(name: str, parts: Iterable[bytes]) -> None:
        progress = name == PROGRESS_FILE
        told = b"".join(parts)
        here = f"{name}:{json.loads(told)['server_round']}" if progress else name
        if here == dies_at and before:
            raise Died
        vault.keep(name, [told])
        if here == dies_at:
            raise Died

    strategy = encrypted_strategy(
        config,
        consortium.charter,
        observe=course.events.append,
        keep=keep,
        reach=lambda _progress: None,
        sign=COORDINATOR.sign,
    )
    with pytest.raises(Died):
        strategy.start(consortium.bus(course, config), ROUNDS)
    return course


def standing_of(consortium: Consortium) -> SealedStanding:
    read = EvidenceStore(consortium.run.vault).read
    return read_standing(read, consortium.charter.fingerprint, ROUNDS)


def gone_on(consortium: Consortium) -> Course:
    """Go on, in a coordinator that knows only what was kept."""
    course, config = Course(), configured({})
    vault = EvidenceStore(consortium.run.vault)
    strategy = encrypted_strategy(
        config,
        consortium.charter,
        observe=course.events.append,
        keep=vault.keep,
        reach=lambda _progress: None,
        sign=COORDINATOR.sign,
    )
    bus = consortium.bus(course, config)
    course.progress = strategy.start(bus, ROUNDS, since=standing_of(consortium))
    return course


DEATHS = [
    "round-1/updates/sums.bin",
    "round-1/state.bin",
    "progress.json:2",
    "round-2/updates/receipts.bin",
    "progress.json:4",
    "round-4/counts/sums.bin",
    "progress.json:5",
]


@pytest.mark.parametrize("dies_at", DEATHS)
def test_a_run_whose_coordinator_died_goes_on_to_the_same_model(
    dies_at: str, honest: tuple[Consortium, Course], tmp_path: Path
) -> None:
    """And no site seals a second update for any round."""
    consortium = Consortium.placed(tmp_path / "run")
    first = begun(consortium, dies_at, before=True)
    second = gone_on(consortium)
    assert not second.quarantined
    assert second.model == honest[1].model
    uploads = {
        (asked.site, asked.number, read_reply(answer).upload)
        for course in (first, second)
        for asked, answer in course.answers("train")
    }
    assert sorted((site, number) for site, number, _ in uploads) == [
        (site, number) for site in NAMES for number in range(1, ROUNDS + 1)
    ]


@pytest.mark.parametrize("dies_at", ["progress.json:1", "progress.json:5"])
def test_before_the_first_round_and_after_the_last_there_is_no_state_to_show(
    dies_at: str, honest: tuple[Consortium, Course], tmp_path: Path
) -> None:
    consortium = Consortium.placed(tmp_path / "run")
    begun(consortium, dies_at, before=False)
    kept = standing_of(consortium).request
    assert (kept.state, kept.receipts, kept.sums) == (b"", b"", b"")
    assert kept.count_sum
    assert gone_on(consortium).model == honest[1].model


def test_rounds_that_were_not_reported_are_reported_once(
    honest: tuple[Consortium, Course], tmp_path: Path
) -> None:
    consortium = Consortium.placed(tmp_path / "run")
    first = begun(consortium, "progress.json:4", before=False)
    assert [one.server_round for one in first.rounds if one.evaluation.any()] == [2]
    second = gone_on(consortium)
    assert [one.server_round for one in second.rounds] == [3, 4]
    told = [*first.rounds[:2], *second.rounds]
    wanted = {one.server_round: one.evaluation.tolist() for one in honest[1].rounds}
    assert {one.server_round: one.evaluation.tolist() for one in told} == wanted


def test_a_round_that_failed_is_tried_again_where_it_stood(tmp_path: Path) -> None:
    """A site that was missing is back: the others answer what they answered before."""
    consortium = Consortium.placed(tmp_path / "run", NAMES[:3])

    def silent(passing: Passing) -> RecordDict:
        if passing.kind == "train" and passing.number == 2 and passing.site == NAMES[1]:
            raise Vanished
        return passing.content

    first = consortium.start(down=silent)
    assert first.error is not None
    kept = standing_of(consortium).request
    assert (kept.server_round, kept.attempt) == (2, configured({}).attempts)
    second = gone_on(consortium)
    assert second.progress is not None
    numbers = [(one.number, read_round(one.content).attempt) for one, _ in second.answers("train")]
    assert numbers[0] == (2, kept.attempt)


def test_a_round_whose_counts_lacked_a_site_is_gone_on_from_without_them(tmp_path: Path) -> None:
    """Counts of fewer sites than the roster are released to nobody, before or after a death."""
    consortium = Consortium.placed(tmp_path / "run")

    def silent(passing: Passing) -> RecordDict:
        alone = passing.number == 1 and passing.site == NAMES[1]
        if passing.kind == "train" and (alone or passing.number == 2):
            raise Vanished
        return passing.content

    first = consortium.start(down=silent)
    assert first.error is not None
    kept = standing_of(consortium).request
    assert kept.server_round == 2
    assert kept.sums
    assert (kept.count_sum, kept.count_receipts) == (b"", b"")
    second = gone_on(consortium)
    assert second.model
    assert [one.server_round for one in second.rounds if one.evaluation.any()] == [2, 3, 4]


def test_a_run_does_not_go_on_with_another_vector(tmp_path: Path) -> None:
    consortium = Consortium.placed(tmp_path / "run", NAMES[:3])
    begun(consortium, "progress.json:2", before=False)
    vault = EvidenceStore(consortium.run.vault)
    described = json.loads(vault.read("layout.json"))
    described["start"] = "another start"
    vault.keep("layout.json", [json.dumps(described).encode()])
    assert Layout.from_description(described)
    with pytest.raises(OtherLayout):
        gone_on(consortium)


@pytest.mark.parametrize(
    "name", ["progress.json", "opening.bin", "layout.json", "round-1/updates/sums.bin"]
)
def test_what_is_not_whole_is_refused(name: str, tmp_path: Path) -> None:
    consortium = Consortium.placed(tmp_path / "run", NAMES[:3])
    begun(consortium, "progress.json:2", before=False)
    (consortium.run.vault / name).unlink()
    with pytest.raises(BadProgress):
        standing_of(consortium)


@given(kept=st.binary(max_size=40) | st.sampled_from([b"{}", b"[]", b"null", b'{"untold": 3}']))
def test_any_bytes_for_progress_are_refused(kept: bytes) -> None:
    with pytest.raises(BadProgress):
        read_standing(lambda _name: kept, "c" * 64, ROUNDS)


def test_who_answered_is_a_list(tmp_path: Path) -> None:
    """A name alone would be read letter by letter."""
    consortium = Consortium.placed(tmp_path / "run", NAMES[:3])
    begun(consortium, "progress.json:2", before=False)
    vault = EvidenceStore(consortium.run.vault)
    described = json.loads(vault.read(PROGRESS_FILE))
    assert described["untold"]["answered"] == list(NAMES[:3])
    described["untold"]["answered"] = NAMES[0]
    vault.keep(PROGRESS_FILE, [json.dumps(described).encode()])
    with pytest.raises(BadProgress, match="a list of sites"):
        standing_of(consortium)


def test_a_majority_is_more_than_half() -> None:
    assert majority_digest(["a", "b", "a"]) == "a"
    assert majority_digest(["a", "b"]) == ""
    assert majority_digest([]) == ""
