"""What the coordinator of an encrypted run does if sites answer, and if they do not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.charter.document import Floors
from consortium.run.evidence_store import EvidenceStore
from privacy.layout import Layout
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import decode_receipts
from privacy.wire import flower_records as wire
from scenarios.engines.in_process import InProcessGrid, Vanished
from strategies.coordinator.encrypted.opening.key_setup import NoOpener
from strategies.coordinator.encrypted.parameters import MembersMissing, RoundVoid
from strategies.coordinator.encrypted.progress import LAYOUT_FILE, OPENING_FILE
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import RoundStarted, SiteAnswered, SitesJoined
from tests.decisions import decide
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    opening_of,
    read_reply,
    read_round,
    refusal,
    spoiled,
)
from tests.tampering import absent, both

PAIRS = Floors(full_class_examples=40, encrypted=True, min_others=1)


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Consortium]:
    return lambda *names, **kw: Consortium.placed(tmp_path / "run", names or NAMES[:3], **kw)


def test_a_run_says_who_joined_who_was_asked_who_answered_and_what_came(
    honest: tuple[Consortium, Course],
) -> None:
    _, course = honest
    joined = next(event for event in course.events if isinstance(event, SitesJoined))
    assert (joined.sites, joined.absent) == (NAMES, ())
    assert set(joined.weights.values()) == {0}  # only a class shows, in the receipts
    started = [event for event in course.events if isinstance(event, RoundStarted)]
    assert [(one.server_round, one.cohort) for one in started] == [(n, NAMES) for n in range(5)]
    answered = [event for event in course.events if isinstance(event, SiteAnswered)]
    assert [(one.server_round, one.site) for one in answered] == [
        (number, name) for number in range(5) for name in NAMES
    ]
    assert all(one.released is None for one in answered)
    assert [one.server_round for one in course.rounds] == [1, 2, 3, 4]
    for one in course.rounds:
        assert one.answered == NAMES
        assert one.evaluation.any() == (one.server_round > 1)  # nobody evaluates S(0)
        assert min(one.bytes_down, one.bytes_up, one.seconds) > 0
    assert course.progress is not None
    assert course.progress.rounds == 3
    assert set(course.models.values()) == {bytes.fromhex(course.model)}


def test_what_the_coordinator_keeps_is_what_the_sites_were_shown(
    honest: tuple[Consortium, Course],
) -> None:
    consortium, course = honest
    vault = EvidenceStore(consortium.run.vault)
    assert vault.rounds() == [0, 3, 4]
    shown = read_round(course.answers("evaluate")[0][0].content)
    assert vault.read(OPENING_FILE) == shown.opening
    assert vault.read("round-3/updates/receipts.bin") == shown.receipts
    assert vault.read("round-3/updates/sums.bin") == shown.sums
    assert vault.read("round-3/state.bin") == shown.state
    assert vault.read("round-3/counts/sums.bin") == shown.count_sum
    assert course.progress is not None
    assert course.progress.run == Opening.decode(shown.opening).run
    described = json.loads(vault.read(LAYOUT_FILE))
    assert Layout.from_description(described) == course.progress.layout
    uploads = {path.name for path in (vault.folder / "round-3" / "updates").glob("upload-*")}
    assert uploads == {f"upload-{name}.bin" for name in NAMES}


def test_flowers_summary_says_nothing_more(place: Callable[..., Consortium]) -> None:
    assert place().strategy(Course()).summary() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("masks", [False, True])
def test_a_round_that_asks_for_no_counts_brings_none_and_changes_no_model(
    honest: tuple[Consortium, Course], place: Callable[..., Consortium], *, masks: bool
) -> None:
    consortium = place(*NAMES)
    course = consortium.start(evaluate_every=2, masks=masks)
    assert course.error is None
    assert not course.quarantined
    assert course.model == honest[1].model
    told = {one.server_round: one for one in course.rounds}
    assert [number for number, one in told.items() if one.evaluation.any()] == [3, 4]
    assert [number for number, one in told.items() if one.counted] == [1, 3, 4]
    whole = {one.server_round: one.evaluation.sum() for one in honest[1].rounds}
    assert told[3].evaluation.sum() == whole[3]  # each held-out person is counted once
    sent = {asked.number: read_reply(answer) for asked, answer in course.answers("train")}
    parts = ("count_upload", "count_receipt", "count_terms", "count_bundle")
    assert not any(getattr(sent[2], part) for part in parts)
    assert sent[1].count_upload
    assert sent[3].count_upload
    shown = {asked.number: read_round(asked.content) for asked, _ in course.answers("train")}
    assert not shown[3].count_receipts
    assert not shown[3].count_sum


@pytest.mark.parametrize("masks", [False, True])
def test_counts_that_nobody_asked_for_are_left_out_and_reach_no_site(
    place: Callable[..., Consortium], *, masks: bool
) -> None:
    """A site that sends some all the same is answered for as if it had not."""

    def add_counts(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number, passing.site) != ("train", 2, "west"):
            return passing.content
        sent = read_reply(passing.content)
        return replace(sent, count_upload=sent.upload, count_receipt=sent.receipt).content()

    course = place(*NAMES).start(up=add_counts, evaluate_every=2, masks=masks)
    assert course.error is None
    shown = {asked.number: read_round(asked.content) for asked, _ in course.answers("train")}
    assert not shown[3].count_receipts
    assert set(course.models.values()) == {bytes.fromhex(course.model)}


ONE_ROUND: dict[str, Any] = {"num_server_rounds": 1}
PRIVATE: dict[str, Any] = {"dp.unit": "person", "dp.noise-multiplier": 1.0, "dp.steps": 1}


def test_a_site_that_misses_the_statistics_is_left_out_of_a_run_that_counts_nothing(
    place: Callable[..., Consortium],
) -> None:
    """The run is opened again, for those who are there."""
    course = place(*NAMES).start(down=absent("west", "query.statistics", 0), **PRIVATE, **ONE_ROUND)
    assert course.error is None
    assert course.quarantined == {(0, "west", "silent")}
    openings = [opening_of(read_round(asked.content)) for asked, _ in course.answers("train")]
    assert {one.terms.roster for one in openings} == {NAMES[:3]}
    first = opening_of(read_round(course.answers("query.statistics")[0][0].content))
    assert {one.terms.lineage for one in openings} == {first.run}
    assert "west" not in {asked.site for asked, _ in course.answers("train")}
    assert [one.server_round for one in course.rounds] == [1, 2]


def test_a_run_that_counts_for_the_first_time_needs_who_missed_the_statistics(
    place: Callable[..., Consortium],
) -> None:
    """The coordinator may hold what is missing: the sums over two rosters would show it."""
    course = place(*NAMES).start(down=absent("west", "query.statistics", 0))
    assert isinstance(course.error, MembersMissing)
    assert "left out: west. Bring" in str(course.error)
    asked = [opening_of(read_round(one.content)) for one, _ in course.answers("query.statistics")]
    rosters = list({one.run: one.terms.roster for one in asked}.values())
    assert rosters == [NAMES, NAMES[:3], NAMES, NAMES]
    assert course.quarantined == {(0, "west", "silent")}
    assert not course.answers("train")


def test_a_later_run_goes_on_without_who_missed_the_statistics(
    place: Callable[..., Consortium],
) -> None:
    consortium = place(*NAMES)
    assert consortium.start(**ONE_ROUND).error is None
    course = consortium.start(down=absent("west", "query.statistics", 0), seed=8, **ONE_ROUND)
    assert course.error is None
    assert course.quarantined == {(0, "west", "silent")}
    assert set(course.models) == set(NAMES[:3])


def test_a_site_that_is_back_for_the_next_opening_takes_part(
    place: Callable[..., Consortium],
) -> None:
    missed: list[str] = []

    def once(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("west", "query.statistics") and not missed:
            missed.append(passing.site)
            raise Vanished
        return passing.content

    course = place(*NAMES).start(down=once, **ONE_ROUND)
    assert course.error is None
    assert "west" in course.models


def test_a_run_that_counts_nothing_is_opened_four_times_at_most(
    place: Callable[..., Consortium],
) -> None:
    """Each time another site is missing."""
    names = [f"site-{letter}" for letter in "abcdef"]
    gone: list[str] = []

    def one_more(passing: Passing) -> RecordDict:
        if passing.kind == "query.statistics":
            roster = opening_of(read_round(passing.content)).terms.roster
            if passing.site == roster[-1]:
                gone.append(passing.site)
                raise Vanished
        return passing.content

    course = place(*names, floors=PAIRS).start(down=one_more, **PRIVATE)
    assert isinstance(course.error, RoundVoid)
    assert "4 openings" in str(course.error)
    assert gone == names[:1:-1]


def test_too_few_for_a_quorum_end_the_run(place: Callable[..., Consortium]) -> None:
    hidden = both(absent("north", "query.hello", -1), absent("south", "query.hello", -1))
    course = place().start(down=hidden)
    assert isinstance(course.error, QuorumNotReached)


def test_too_few_for_the_floor_open_no_run(place: Callable[..., Consortium]) -> None:
    """The opener knows the charter's floor, whatever quorum the coordinator chose."""
    course = place().start(down=absent("south", "query.statistics", 0), **PRIVATE)
    assert isinstance(course.error, NoOpener)
    assert (0, "east", "site-refused.too-few-others") in course.quarantined


def test_a_round_below_the_floor_is_tried_again_and_nothing_is_lost(
    honest: tuple[Consortium, Course], place: Callable[..., Consortium]
) -> None:
    """In the end all sites have the state they would have had."""
    tries: list[int] = []

    def away_at_first(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) == ("train", 2) and passing.site in ("south", "west"):
            tries.append(read_round(passing.content).attempt)
            if tries[-1] < 3:
                raise Vanished
        return passing.content

    course = place(*NAMES).start(down=away_at_first)
    assert course.error is None
    assert tries == [1, 1, 2, 2, 3, 3]
    assert course.model == honest[1].model
    assert [one.evaluation.tolist() for one in course.rounds] == [
        one.evaluation.tolist() for one in honest[1].rounds
    ]


@pytest.fixture
def with_a_dead_site(
    place: Callable[..., Consortium], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Passing, list[int]], None]], Course]:
    """A run that needs all sites, one of which dies and is unseen in two looks at the nodes.

    It is told what passes and the looks since it died: none before, and the first is its own.
    """

    def run(dies: Callable[[Passing, list[int]], None]) -> Course:
        consortium = place()
        looks: list[int] = []

        def down(passing: Passing) -> RecordDict:
            if passing.site == "north":
                dies(passing, looks)
            return passing.content

        def started(grid: InProcessGrid, _strategy: Encrypted) -> None:
            nodes = list(grid.get_node_ids())
            north = nodes[consortium.charter.names.index("north")]

            def there() -> list[int]:
                gone = 0 < len(looks) < 3
                if gone:
                    looks.append(0)
                return [node for node in nodes if not (gone and node == north)]

            monkeypatch.setattr(grid, "get_node_ids", there)

        return consortium.start(
            down=down,
            started=started,
            num_server_rounds=2,
            attempts=2,
            quorum=3,
            join_deadline_s=30.0,
        )

    return run


def test_before_a_round_is_tried_again_those_who_are_gone_are_waited_for(
    with_a_dead_site: Callable[..., Course],
) -> None:
    """A machine takes a minute to come back, the others seconds to answer each attempt."""
    tries: list[int] = []

    def dies(passing: Passing, looks: list[int]) -> None:
        if (passing.kind, passing.number) == ("train", 2):
            tries.append(read_round(passing.content).attempt)
            if len(looks) < 3:
                looks.append(0)
                raise Vanished

    assert with_a_dead_site(dies).error is None
    assert tries == [1, 2]


def test_before_the_final_evaluation_those_who_are_gone_are_waited_for(
    with_a_dead_site: Callable[..., Course],
) -> None:
    """It dies after its last training."""

    def dies(passing: Passing, looks: list[int]) -> None:
        if (passing.kind, passing.number) == ("train", 2):
            looks.append(0)
        if passing.kind == "evaluate" and len(looks) < 3:
            raise Vanished

    assert with_a_dead_site(dies).error is None


def test_a_round_that_does_not_come_about_is_void_and_says_who_was_missing(
    place: Callable[..., Consortium],
) -> None:
    course = place().start(down=absent("north", "train", 3), attempts=2)
    assert isinstance(course.error, RoundVoid)
    assert "in 2 attempts" in str(course.error)
    assert "missing: north" in str(course.error)
    assert course.quarantined == {(3, "north", "silent")}
    assert [one.server_round for one in course.rounds] == [1, 2]
    assert course.rounds[1].evaluation.any()  # released by those who were asked in round 3


@pytest.mark.parametrize(
    ("codes", "tries"),
    [(("budget-exhausted", "epsilon-too-large"), 1), (("budget-exhausted", "too-often"), 2)],
)
def test_a_round_is_not_tried_again_for_who_would_refuse_again(
    codes: tuple[str, str], tries: int, place: Callable[..., Consortium]
) -> None:
    """Three of four sites are needed; a refusal for the rate may pass."""
    told = dict(zip(("east", "north"), codes, strict=True))

    def refuses(passing: Passing) -> RecordDict:
        trained = passing.kind == "train" and passing.site in told
        return wire.refusal_of(told[passing.site], {}) if trained else passing.content

    course = place(*NAMES).start(up=refuses, attempts=2, quorum=3)
    assert isinstance(course.error, RoundVoid)
    assert f"in {tries} attempt" in str(course.error)
    trained = [asked for asked, _ in course.answers("train") if asked.site == "east"]
    assert len(trained) == tries


def test_a_final_state_that_half_of_the_sites_sign_is_none(
    place: Callable[..., Consortium],
) -> None:
    """Not even where the quorum is met: no site is asked to confirm a model."""
    gone = both(absent("east", "evaluate", 2), absent("north", "evaluate", 2))
    course = place(*NAMES, floors=PAIRS).start(down=gone, num_server_rounds=1, quorum=2)
    assert isinstance(course.error, RoundVoid)
    assert "2 sites evaluated the final state" in str(course.error)
    assert not course.answers("query.release")
    assert course.progress is None


def test_a_run_that_loses_its_sites_still_tells_of_its_last_round(
    place: Callable[..., Consortium],
) -> None:
    """Nobody was asked since, so nothing is released of it: not the round before, for it."""
    grids: list[InProcessGrid] = []

    def leaves(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number, passing.site) == ("train", 3, "south"):
            for index in (0, 1):
                grids[0].remove(index)
        return passing.content

    done = place().start(
        down=leaves,
        started=lambda grid, _strategy: grids.append(grid),
        num_server_rounds=4,
    )
    assert isinstance(done.error, QuorumNotReached)
    assert [(one.server_round, bool(one.evaluation.any())) for one in done.rounds] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    assert [one.counted for one in done.rounds] == [True, True, False]


def test_a_tally_that_lacks_a_site_is_not_released(place: Callable[..., Consortium]) -> None:
    """The round counts, but its evaluation is revealed to nobody."""
    course = place(*NAMES).start(down=absent("north", "train", 3), num_server_rounds=4)
    assert course.error is None
    evaluated = {one.server_round: bool(one.evaluation.any()) for one in course.rounds}
    assert evaluated == {1: False, 2: True, 3: False, 4: True, 5: True}
    assert {one.server_round: len(one.answered) for one in course.rounds} == {
        1: 4,
        2: 4,
        3: 3,
        4: 4,
        5: 4,
    }
    for asked, _ in course.answers("train"):
        request = read_round(asked.content)
        assert bool(request.count_sum) == (asked.number != 4)


def test_what_most_members_do_not_release_is_not_reported(place: Callable[..., Consortium]) -> None:
    consortium = place(*NAMES)
    for name in NAMES[:2]:
        decide(consortium.run.site(name), releases={"pooled_figures": False})
    course = consortium.start(**ONE_ROUND)
    assert course.error is None
    assert not any(one.evaluation.any() for one in course.rounds)


def test_a_charter_that_releases_nothing_is_kept(tmp_path: Path) -> None:
    made = Consortium.placed(tmp_path, NAMES[:3])
    charter = made.charter.model_copy(update={"release_pooled": False})
    for name in NAMES[:3]:
        charter.write(made.run.site(name) / "charter.json")
    course = Consortium(run=made.run, charter=charter).start(**ONE_ROUND)
    assert course.error is None
    assert not any(one.evaluation.any() for one in course.rounds)


@pytest.mark.parametrize("lie", [b"", b"no sealed state", None])
def test_the_state_is_asked_of_the_next_site_if_the_first_sends_another(
    honest: tuple[Consortium, Course], place: Callable[..., Consortium], lie: bytes | None
) -> None:
    """It is named, for its receipt is signed; and the run goes on from the true one."""
    earlier = read_round(honest[1].answers("evaluate")[0][0].content).state

    def lies(passing: Passing) -> RecordDict:
        if passing.site == "east" and passing.kind == "train" and not refusal(passing.content):
            return spoiled(passing.content, state=earlier if lie is None else lie)
        return passing.content

    course = place(*NAMES).start(up=lies)
    assert course.error is None
    code = "malformed-envelope" if lie == b"no sealed state" else "state-disputed"
    assert course.quarantined == {(number, "east", code) for number in (1, 2, 3)}
    assert course.model == honest[1].model


def test_without_the_state_that_was_signed_there_is_no_next_round(
    place: Callable[..., Consortium],
) -> None:
    def lies(passing: Passing) -> RecordDict:
        return spoiled(passing.content, state=b"") if passing.kind == "train" else passing.content

    course = place().start(up=lies)
    assert isinstance(course.error, RoundVoid)
    assert "no site sent the state" in str(course.error)
    assert course.quarantined == {(1, name, "state-disputed") for name in NAMES[:3]}


def test_a_site_that_fails_when_it_is_asked_for_its_state_is_passed_over(
    honest: tuple[Consortium, Course], place: Callable[..., Consortium]
) -> None:
    """East sends none at first, north is gone when it is asked in its stead: south has it."""
    asked: list[str] = []

    def gone(passing: Passing) -> RecordDict:
        if passing.kind == "train" and read_round(passing.content).report:
            asked.append(passing.site)
            if passing.site == "north":
                raise Vanished
        return passing.content

    def lies(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("east", "train"):
            return spoiled(passing.content, state=b"")
        return passing.content

    course = place(*NAMES).start(down=gone, up=lies, **ONE_ROUND)
    assert course.error is None
    assert asked == ["east", "east", "north", "south"]
    assert {code for _, site, code in course.quarantined if site == "north"} == {
        "silent",
        "state-disputed",
    }


def test_the_coordinator_holds_one_sealed_state_whoever_sends_one_unasked(
    place: Callable[..., Consortium],
) -> None:
    """A site cannot fill the coordinator's memory with what it was not asked for."""
    held: list[int] = []
    strategies: list[Encrypted] = []

    def unasked(passing: Passing) -> RecordDict:
        if passing.kind != "train":
            return passing.content
        held.append(sum(len(one.state) for one in strategies[0]._question.replies.values()))
        extra = b"" if passing.site == "east" else bytes(10_000_000)
        return spoiled(passing.content, state=extra or read_reply(passing.content).state)

    course = place().start(
        up=unasked, started=lambda _grid, one: strategies.append(one), num_server_rounds=2
    )
    assert course.error is None
    assert len(held) == 6
    assert max(held) < 10_000


def test_models_without_a_majority_have_no_name(place: Callable[..., Consortium]) -> None:
    def lies(passing: Passing) -> RecordDict:
        if passing.kind != "evaluate":
            return passing.content
        return spoiled(passing.content, model=passing.site.encode().ljust(32))

    course = place().start(up=lies, **ONE_ROUND)
    assert course.progress is not None
    assert course.progress.model_digest == ""


def test_one_liar_does_not_name_the_model(place: Callable[..., Consortium]) -> None:
    def lies(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("east", "evaluate"):
            return spoiled(passing.content, model=bytes(32), released=np.zeros(2084, np.int64))
        return passing.content

    course = place().start(up=lies, **ONE_ROUND)
    assert course.model == course.models["north"].hex()
    assert [bool(one.evaluation.any()) for one in course.rounds] == [False, True]


def test_a_part_of_the_sites_is_asked_if_the_config_says_so(
    place: Callable[..., Consortium],
) -> None:
    course = place(*NAMES).start(fraction=0.75, quorum=3, num_server_rounds=2)
    assert course.error is None
    for one in course.rounds[:-1]:
        assert len(one.answered) == 3
        assert not one.evaluation.any()
    assert course.rounds[-1].answered == NAMES
    assert len(set(course.models.values())) == 1
    assert all(len(read_reply(answer).model) == 32 for _, answer in course.answers("evaluate"))


def test_what_is_not_what_was_asked_changes_no_sum(
    honest: tuple[Consortium, Course], place: Callable[..., Consortium]
) -> None:
    """Half of a reply, or another's receipt: the site is left out, and no part of it counts."""
    stolen = read_reply(honest[1].moments["west", "train", 1].answer).receipt

    def lies(passing: Passing) -> RecordDict:
        if passing.kind == "train" and passing.site in ("centre", "west"):
            receipt = stolen if passing.site == "west" else b""
            return spoiled(passing.content, receipt=receipt)
        return passing.content

    course = place("centre", *NAMES).start(up=lies, **ONE_ROUND)
    assert course.error is None
    assert {one for one in course.quarantined if one[0] == 1} == {
        (1, "centre", "nothing-sent"),
        (1, "west", "wrong-run"),
    }
    request = read_round(course.answers("evaluate")[0][0].content)
    receipts = decode_receipts(request.receipts)
    assert [one.label.site for one in receipts] == ["east", "north", "south"]
    assert request.count_sum == b""
