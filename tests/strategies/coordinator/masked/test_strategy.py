"""What the coordinator of a masked run does if sites answer, and if they or itself die."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from consortium.site.directory import SiteDirectory
from privacy.protocol.envelope import Receipt
from privacy.protocol.masks.confirmations import Confirmation
from privacy.protocol.receipts import decode_receipts
from privacy.protocol.upload import upload_digest
from privacy.secrets.replay_guard import SiteMemory
from privacy.wire import flower_records as wire
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.mask_messages import read_confirmation
from scenarios.engines.in_process import InProcessGrid, Vanished
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.masked.parameters import ConfirmationsMissing, SitesAwaited
from strategies.coordinator.masked.rounds.chosen_set import SET_FILE, ChosenSet
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.masked_runs import (
    CONFIRM,
    GONE,
    ROUNDS,
    asked_together,
    awaited,
    begun,
    confirmed,
    gone_on,
    parked,
    placed,
    shown_digests,
    silent,
    standing_of,
)
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    read_reply,
    read_round,
    refusal,
)

Run = tuple[Consortium, Course]


@pytest.fixture(scope="module")
def unmasked(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = Consortium.placed(tmp_path_factory.mktemp("unmasked") / "run").start()
    assert course.error is None, course.error
    return course


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Run:
    consortium = placed(tmp_path_factory.mktemp("honest") / "run")
    course = consortium.start(masks=True)
    assert course.error is None, course.error
    assert not course.quarantined
    return consortium, course


def uploads(*courses: Course) -> list[tuple[str, int, int]]:
    """Return site, round and attempt of each different update that was sealed."""
    sealed = {
        (asked.site, asked.number, read_round(asked.content).attempt, read_reply(answer).upload)
        for course in courses
        for asked, answer in course.answers("train")
    }
    return sorted(each[:3] for each in sealed)


def sets_of_round(number: int, *courses: Course) -> set[bytes]:
    """Return the digests of the sets of a round that witnesses confirmed."""
    return {
        Confirmation.decode(read_confirmation(answer)).set_digest
        for course in courses
        for asked, answer in course.answers(CONFIRM)
        if asked.number == number and not refusal(answer)
    }


def test_a_masked_run_ends_in_the_model_and_the_figures_of_the_run_without_masks(
    honest: Run, unmasked: Course
) -> None:
    _, course = honest
    assert course.model == unmasked.model
    assert [one.evaluation.tolist() for one in course.rounds] == [
        one.evaluation.tolist() for one in unmasked.rounds
    ]


def test_each_sum_is_confirmed_once_before_it_is_shown(honest: Run) -> None:
    _, course = honest
    told = confirmed(course)
    assert {number: one.purpose for number, one in told.items()} == {
        0: "statistics",
        1: "training",
        2: "training",
        3: "training",
        4: "evaluation",
    }
    for one in told.values():
        assert one.confirmed_by == NAMES
        assert (one.needed, one.refused, one.exchanges) == (3, {}, 1)
        assert min(one.bytes_down, one.bytes_up, one.seconds) > 0
    shown = shown_digests(course)
    assert shown == {number + 1: {bytes.fromhex(one.digest)} for number, one in told.items()}
    assert asked_together(course) == [(number, 1, NAMES) for number in range(1, ROUNDS + 1)]


def test_the_set_is_kept_before_anybody_is_asked_to_confirm_it(tmp_path: Path) -> None:
    consortium, kept = placed(tmp_path / "run"), []

    def look(passing: Passing) -> RecordDict:
        if passing.kind == CONFIRM:
            standing = standing_of(consortium)
            (chosen,) = standing.files.values()
            kept.append(ChosenSet.decode(chosen).sum_set.digest.hex())
        return passing.content

    course = consortium.start(down=look, masks=True)
    assert course.error is None, course.error
    digests = [one.digest for one in confirmed(course).values()]
    assert kept == [digest for digest in digests for _ in NAMES]


def test_a_missing_site_is_waited_for_and_asked_the_same_bytes(
    tmp_path: Path, unmasked: Course
) -> None:
    """A run that sums one set of sites has no other attempt; nobody seals or trains twice."""
    course = placed(tmp_path / "run").start(
        down=silent("train", 2, "north"), masks=True, attempts=1
    )
    assert isinstance(course.error, SitesAwaited)
    consortium = placed(tmp_path / "again")
    course = consortium.start(down=silent("train", 2, "north", times=1), masks=True)
    assert course.error is None, course.error
    assert course.quarantined == {(2, "north", "silent")}
    assert asked_together(course) == [(number, 1, NAMES) for number in range(1, ROUNDS + 1)]
    assert uploads(course) == sorted((name, n, 1) for name in NAMES for n in range(1, ROUNDS + 1))
    assert course.model == unmasked.model


def test_a_run_that_waits_names_for_whom_and_goes_on_when_it_is_back(
    tmp_path: Path, unmasked: Course
) -> None:
    consortium = placed(tmp_path / "run")
    first = consortium.start(down=silent("train", 2, "north"), masks=True)
    assert isinstance(first.error, SitesAwaited)
    assert "waits for north" in str(first.error)
    assert first.error.counts == {"missing": 1}
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert second.model == unmasked.model
    assert uploads(first, second) == uploads(second, first)
    assert len(uploads(first, second)) == len(NAMES) * ROUNDS


def test_where_sets_may_differ_the_next_attempt_is_without_who_is_missing(tmp_path: Path) -> None:
    """It is back in the round after, and no counts are opened of the round that it missed."""
    consortium = placed(tmp_path / "run", sets_in_run="any")
    course = consortium.start(down=silent("train", 2, "north"), masks=True)
    assert course.error is None, course.error
    without = ("east", "south", "west")
    assert asked_together(course) == [
        (1, 1, NAMES),
        (2, 1, NAMES),
        (2, 2, without),
        (3, 1, NAMES),
    ]
    assert course.quarantined == {(2, "north", "silent")}
    assert {one.server_round: one.answered for one in course.rounds}[2] == without
    evaluated = {one.server_round: bool(one.evaluation.any()) for one in course.rounds}
    assert evaluated == {1: False, 2: False, 3: True, 4: True}
    assert confirmed(course)[2].confirmed_by == without


def test_too_few_for_the_floor_make_no_attempt(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run", sets_in_run="any")
    gone = silent("train", 2, "north", "south")
    course = consortium.start(down=gone, masks=True, attempts=2)
    assert isinstance(course.error, RoundVoid)
    assert "in 2 attempts" in str(course.error)
    assert asked_together(course) == [(1, 1, NAMES), (2, 1, NAMES), (2, 2, NAMES)]
    assert 2 not in confirmed(course)


def test_a_death_after_the_upload_is_borne_by_the_other_witnesses(
    tmp_path: Path, unmasked: Course
) -> None:
    course = placed(tmp_path / "run").start(down=silent(CONFIRM, 2, "south"), masks=True)
    assert course.error is None, course.error
    assert course.model == unmasked.model
    told = confirmed(course)[2]
    assert told.confirmed_by == ("east", "north", "west")
    assert told.refused == {"south": "silent"}
    assert not course.quarantined


def test_with_too_few_witnesses_nothing_opens_until_they_are_back(
    tmp_path: Path, unmasked: Course
) -> None:
    """The same set is confirmed then, by the same bytes."""
    consortium = placed(tmp_path / "run")
    first = consortium.start(down=silent(CONFIRM, 2, "south", "north"), masks=True)
    assert isinstance(first.error, ConfirmationsMissing)
    assert "3 confirmations, 2 came; missing: north, south" in str(first.error)
    assert first.error.counts == {"needed": 3, "came": 2}
    assert {one for one in first.quarantined if one[0] == 2} == {
        (2, "north", "silent"),
        (2, "south", "silent"),
    }
    assert max(number for number, _, _ in asked_together(first)) == 2
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert second.model == unmasked.model
    assert len(sets_of_round(2, first, second)) == 1
    assert len(uploads(first, second)) == len(NAMES) * ROUNDS


def test_a_resumed_round_has_one_attempt_more_without_who_is_gone_for_good(
    tmp_path: Path,
) -> None:
    """The first is asked as it was, and waits in vain for that site."""
    consortium = placed(tmp_path / "run", sets_in_run="any")
    both = silent("train", 2, "south", "west")
    first = consortium.start(down=both, masks=True, attempts=2)
    assert isinstance(first.error, RoundVoid)
    second = gone_on(consortium, down=silent("train", 2, "west"), attempts=2)
    assert second.error is None, second.error
    assert asked_together(second)[:2] == [(2, 2, NAMES), (2, 3, NAMES[:3])]


def test_a_last_evaluation_without_a_site_confirms_the_model_and_opens_no_counts(
    tmp_path: Path, unmasked: Course
) -> None:
    consortium = placed(tmp_path / "run", sets_in_run="any")
    course = consortium.start(down=silent("evaluate", ROUNDS + 1, "west"), masks=True)
    assert course.error is None, course.error
    assert asked_together(course, "evaluate") == [
        (ROUNDS + 1, 1, NAMES),
        (ROUNDS + 1, 2, NAMES[:3]),
    ]
    assert course.model == unmasked.model
    assert set(course.models) == set(NAMES[:3])
    assert not course.rounds[-1].evaluation.any()
    assert confirmed(course)[ROUNDS + 1].confirmed_by == NAMES[:3]


def test_a_run_that_waits_for_half_of_its_sites_asks_only_those_again(
    tmp_path: Path, unmasked: Course
) -> None:
    """Without them no state has a majority; what the others sealed is counted all the same."""
    consortium = placed(tmp_path / "run")

    def away(passing: Passing) -> RecordDict:
        if passing.kind == "train" and passing.number == 2 and passing.site in NAMES[2:]:
            raise Vanished
        return passing.content

    first = consortium.start(down=away, masks=True)
    assert isinstance(first.error, SitesAwaited)
    assert f"waits for {NAMES[2]}, {NAMES[3]}:" in str(first.error)
    answered = [asked.site for asked, _ in first.answers("train") if asked.number == 2]
    assert sorted(answered) == sorted(NAMES[:2])
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert second.model == unmasked.model


def test_a_run_that_sums_one_set_waits_for_all_at_the_last_evaluation(
    tmp_path: Path, unmasked: Course
) -> None:
    consortium = placed(tmp_path / "run")
    first = consortium.start(down=silent("evaluate", ROUNDS + 1, "west"), masks=True)
    assert isinstance(first.error, SitesAwaited)
    assert "waits for west" in str(first.error)
    assert asked_together(first, "evaluate") == [(ROUNDS + 1, 1, NAMES)]
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert second.model == unmasked.model
    assert second.rounds[-1].evaluation.any()


def test_a_site_that_signs_another_state_is_asked_no_more_in_the_round_and_is_named(
    tmp_path: Path,
) -> None:
    """Its upload is in the sum of its bucket, so the others seal again without it."""
    consortium = placed(tmp_path / "run", sets_in_run="any")

    terms = consortium.strategy(Course(), masks=True)._terms
    form = terms.update_form(consortium.place("west").site.task.layout, 2)
    asked: list[SealedRound] = []

    def down(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("west", "train"):
            asked.append(read_round(passing.content))
        return passing.content

    def lies(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("west", "train") or asked[-1].server_round != 2:
            return passing.content
        reply = read_reply(passing.content)
        label = replace(Receipt.decode(reply.receipt).label, state=bytes(32))
        digest = upload_digest(form.header(label), [reply.upload])
        receipt = Receipt.sign(label, upload=digest, sign=consortium.identity("west").sign)
        return replace(reply, receipt=receipt.encode()).content()

    course = consortium.start(down=down, up=lies, masks=True)
    assert course.error is None, course.error
    assert course.quarantined == {(2, "west", "state-disputed")}
    assert asked_together(course)[1:3] == [(2, 1, NAMES), (2, 2, NAMES[:3])]
    assert asked_together(course)[3] == (3, 1, NAMES)


def test_sites_whose_last_word_is_a_refusal_end_a_round_that_needs_them(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run", sets_in_run="any")

    def refuses(passing: Passing) -> RecordDict:
        theirs = passing.site in ("south", "west") and passing.kind == "train"
        return wire.refusal_of("budget-exhausted", {}) if theirs else passing.content

    course = consortium.start(up=refuses, masks=True)
    assert isinstance(course.error, RoundVoid)
    assert "in 1 attempt:" in str(course.error)


def test_a_site_that_refuses_for_good_is_not_waited_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def refuses(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("west", "train"):
            return passing.content
        asked.append(passing.site)
        return wire.refusal_of("budget-exhausted", {})

    course = placed(tmp_path / "run").start(up=refuses, masks=True)
    assert isinstance(course.error, SitesAwaited)
    assert len(asked) == 1


def test_those_who_are_back_before_a_round_are_asked_in_it(tmp_path: Path) -> None:
    """Who is asked together was chosen before, from those who were there then."""
    consortium = placed(tmp_path / "run", sets_in_run="any")
    grids: list[InProcessGrid] = []
    taken: list[Callable[[], Iterable[int]]] = []

    def started(grid: InProcessGrid, _strategy: Encrypted) -> None:
        grids.append(grid)
        taken.append(grid.get_node_ids)

    def leaves(passing: Passing) -> RecordDict:
        grid = grids[0]
        west = [*taken[0]()][NAMES.index("west")]
        if (passing.kind, passing.number, passing.site) == ("train", 1, "west"):
            nodes = [node for node in taken[0]() if node != west]
            grid.get_node_ids = lambda: nodes  # type: ignore[method-assign]
        if (passing.kind, passing.number, passing.site) == ("train", 3, "east"):
            grid.get_node_ids = taken[0]  # type: ignore[method-assign]
        return passing.content

    course = consortium.start(down=leaves, started=started, masks=True, num_server_rounds=4)
    assert course.error is None, course.error
    assert asked_together(course) == [
        (1, 1, NAMES),
        (2, 1, NAMES[:3]),
        (3, 1, NAMES[:3]),
        (4, 1, NAMES),
    ]


def test_a_later_run_opens_nothing_for_the_statistics_that_it_carries(tmp_path: Path) -> None:
    """So there is no set of them: the first one that is confirmed is that of the first round."""
    consortium = placed(tmp_path / "run")
    assert consortium.start(masks=True, num_server_rounds=1).error is None
    course = consortium.start(masks=True, num_server_rounds=1, seed=8, without="west")
    assert course.error is None, course.error
    assert {number: one.purpose for number, one in confirmed(course).items()} == {
        1: "training",
        2: "evaluation",
    }
    assert asked_together(course) == [(1, 1, NAMES[:3])]


@pytest.fixture
def leaving(tmp_path: Path) -> Callable[..., Course]:
    """A run in which sites leave when they are asked to confirm round 1: their nodes are gone."""

    def run(*sites: str, silent_too: Hook = as_it_is, **overrides: Any) -> Course:
        consortium = placed(tmp_path / "run", sets_in_run="any")
        listed: list[Callable[[], Iterable[int]]] = []
        grids: list[InProcessGrid] = []

        def started(grid: InProcessGrid, _strategy: Encrypted) -> None:
            grids.append(grid)
            listed.append(grid.get_node_ids)

        def leaves(passing: Passing) -> RecordDict:
            if (passing.kind, passing.number) == (CONFIRM, 1) and passing.site in sites:
                nodes = [*listed[0]()]
                left = [one for name, one in zip(NAMES, nodes, strict=True) if name not in sites]
                grids[0].get_node_ids = lambda: left  # type: ignore[method-assign]
                raise Vanished
            return silent_too(passing)

        return consortium.start(down=leaves, started=started, masks=True, **overrides)

    return run


def test_witnesses_that_are_gone_are_asked_when_they_are_back(
    leaving: Callable[..., Course],
) -> None:
    course = leaving("south", "west")
    assert isinstance(course.error, ConfirmationsMissing)
    assert "missing: south, west" in str(course.error)
    asked = [one.site for one, _ in course.answers(CONFIRM) if one.number == 1]
    assert sorted(asked) == ["east", "north"]  # of those who answered
    assert (1, "west", "node-gone") in course.quarantined


def test_who_is_gone_after_the_set_was_confirmed_is_missed_in_the_next_round(
    leaving: Callable[..., Course],
) -> None:
    course = leaving("west", silent_too=silent(CONFIRM, 1, "south", times=2), quorum=4)
    assert isinstance(course.error, QuorumNotReached)
    assert confirmed(course)[1].confirmed_by == ("east", "north", "south")
    assert confirmed(course)[1].exchanges == 3


NINE = tuple(f"site-{letter}" for letter in "abcdefghi")
MEDIAN: dict[str, Any] = {"buckets": 3, "rule.name": "coordinate-median", "weighting": "equal"}


@pytest.mark.parametrize("sets_in_run", ["one", "any"])
def test_a_bucket_that_would_fall_below_the_floor_is_left_out_whole(
    sets_in_run: str, tmp_path: Path
) -> None:
    """Its other sites' uploads stay noise, and they confirm."""
    consortium = placed(tmp_path / "run", NINE, sets_in_run=sets_in_run)
    gone = silent("train", 2, "site-a")
    course = consortium.start(down=gone, masks=True, num_server_rounds=2, quorum=3, **MEDIAN)
    assert course.error is None, course.error
    assert asked_together(course) == [(1, 1, NINE), (2, 1, NINE)]
    request = read_round(course.answers("evaluate")[0][0].content)
    labels = [one.label for one in decode_receipts(request.receipts)]
    assert len(labels) == 6
    assert len({label.bucket for label in labels}) == 2
    assert "site-a" not in {label.site for label in labels}
    assert confirmed(course)[2].confirmed_by == NINE[1:]


def test_a_site_that_never_answered_takes_its_bucket_with_it_at_once(tmp_path: Path) -> None:
    """Nobody knows its bucket; but of the two others every site is known."""
    consortium = placed(tmp_path / "run", NINE, sets_in_run="any")
    gone = silent("train", 1, "site-a")
    course = consortium.start(down=gone, masks=True, num_server_rounds=1, quorum=3, **MEDIAN)
    assert course.error is None, course.error
    assert asked_together(course) == [(1, 1, NINE)]
    set_of_round = ChosenSet.decode((consortium.run.vault / "round-1" / SET_FILE).read_bytes())
    assert len(set_of_round.sum_set.sums) == 2


DEATHS = [
    ("progress.json:1", False),
    ("progress.json:1+", True),
    ("round-2/updates/sums.bin", True),
    ("round-2/set.bin", True),
    ("round-2/set.bin", False),
    ("progress.json:3", False),
    ("round-2/confirmations.bin", False),
    ("progress.json:3+", False),
    ("progress.json:5", False),
    ("progress.json:5+", True),
]


@pytest.mark.parametrize(("dies_at", "before"), DEATHS)
def test_a_run_whose_coordinator_died_goes_on_to_the_same_model(
    dies_at: str, before: bool, unmasked: Course, tmp_path: Path
) -> None:
    """One set is shown for confirmation in each round, and no site seals a second update."""
    consortium = placed(tmp_path / "run")
    first = begun(consortium, dies_at, before=before)
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert not second.quarantined
    assert second.model == unmasked.model
    assert uploads(first, second) == sorted(
        (name, number, 1) for name in NAMES for number in range(1, ROUNDS + 1)
    )
    once, again = confirmed(first), confirmed(second)
    assert set(once) | set(again) == set(range(ROUNDS + 2))
    assert all(once[number].digest == again[number].digest for number in set(once) & set(again))


@pytest.mark.parametrize("dies_at", ["round-0/set.bin", "progress.json:1"])
def test_before_the_first_set_is_stored_nobody_confirmed_it_and_a_run_begins_anew(
    dies_at: str, unmasked: Course, tmp_path: Path
) -> None:
    consortium = placed(tmp_path / "run")
    first = begun(consortium, dies_at, before=True)
    assert not first.answers(CONFIRM)
    assert consortium.start(masks=True).model == unmasked.model


def test_a_question_that_may_have_been_asked_is_asked_again_as_it_was(tmp_path: Path) -> None:
    """Whoever is there by then: other sites asked together would be another question."""
    consortium = placed(tmp_path / "run", sets_in_run="any")
    gone = silent("train", 2, "north")
    first = begun(consortium, "round-2/updates/sums.bin", before=True, down=gone)
    assert asked_together(first)[-1] == (2, 2, ("east", "south", "west"))
    second = gone_on(consortium)
    assert second.error is None, second.error
    assert asked_together(second)[0] == (2, 2, ("east", "south", "west"))
    assert asked_together(second)[1] == (3, 1, NAMES)


def test_for_whom_a_run_waits_and_in_which_state_is_kept(tmp_path: Path) -> None:
    """The state is the one that more than half of the sites signed."""
    waits = parked(tmp_path / "run")
    told = awaited(waits.consortium, 2)
    assert told.sites == (GONE,)
    signed = {
        read_reply(answer).receipt
        for asked, answer in waits.course.answers("train")
        if asked.number == 2
    }
    assert {Receipt.decode(one).label.state for one in signed} == {told.state}


@pytest.mark.parametrize("why", ["silent", "elsewhere"])
def test_all_members_go_on_from_one_state_or_none_does(tmp_path: Path, why: str) -> None:
    waits = parked(tmp_path / "run")
    under = waits.under(GONE)
    if why == "elsewhere":
        with SiteMemory(SiteDirectory(under.run.site("south")).memory) as memory:
            memory.answers.finish_run(waits.run)
    down = silent("query.statistics", 0, "south") if why == "silent" else as_it_is
    course = waits.goes_on(under, down=down)
    assert isinstance(course.error, RoundVoid)
    code = "silent" if why == "silent" else "site-refused.state-not-held"
    assert f"missing or from elsewhere: south ({code})" in str(course.error)
    assert course.error.counts == {"missing": 1}
    assert not course.answers("train")
    assert len({asked.site for asked, _ in course.answers("query.statistics")}) >= 2


def test_who_all_go_on_from_the_state_that_was_reached_end_the_run(tmp_path: Path) -> None:
    """The other side of the test above: nobody is missing, so there is one start."""
    waits = parked(tmp_path / "run")
    course = waits.goes_on(waits.under(GONE))
    assert course.error is None, course.error
    assert {asked.site for asked, _ in course.answers("train")} == {*NAMES} - {GONE}
