"""Whatever the power does to its disk, a masked site confirms one set, and seals one upload."""

from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.wire.mask_messages import ConfirmationRequest, read_confirmation
from tests.masked_by_hand import signed_request
from tests.promises.test_power import (
    NORTH,
    answered,
    cases,
    other_question,
    require_counted_once,
    require_whole,
    sent,
)
from tests.small_consortium import Moment as Asked
from tests.small_consortium import forget_processes, read_reply, refusal, rehearsed

CONFIRM = "query.confirm"
KINDS = [("train", 2), ("evaluate", 4), (CONFIRM, 2)]


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Asked]:
    forget_processes()
    return rehearsed(tmp_path_factory.mktemp("power"), masks=True)[1].moments


def other(asked: Asked) -> tuple[RecordDict, str]:
    """Return another question for the same place in the run, and why it is refused."""
    if asked.asked.kind != CONFIRM:
        return other_question(asked), "already-answered"
    request = ConfirmationRequest.read(asked.asked.content)
    sums = tuple((bucket, bytes(32)) for bucket, _ in request.shown.sums)
    shown = replace(request.shown, sums=sums)
    return signed_request(replace(request, shown=shown)).content(), "round-confirmed"


def left(kind: str, answer: RecordDict) -> tuple[bytes, ...]:
    """Return what was sealed or signed in an answer."""
    if kind == CONFIRM:
        return (read_confirmation(answer),)
    read = read_reply(answer)
    return (*sent(answer), read.bundle, read.terms, read.count_bundle, read.count_terms)


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_an_answer_takes_one_sync(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The files of a model, which is kept once a run, have theirs."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    once_a_run = ("provisional", "sides")
    of_answer = [one for one in done.disk.syncs if not one.startswith(once_a_run)]
    assert of_answer == ["memory/memory.sqlite-wal"]


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_what_left_is_remembered_after_the_power_went(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The same question gets the same bytes, another one none: no second set, no second mask."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    for index, (case, files) in enumerate(done.disk.moments[-1].outcomes().items()):
        place = done.after(files, tmp_path / f"after-{index}")
        require_whole(place, known=done.log)
        question, code = other(done.asked)
        assert place.refusal(kind, question) == code, case
        again = place.ask(kind, done.asked.asked.content)
        assert not refusal(again), case
        assert left(kind, again) == left(kind, done.answer), case
        require_counted_once(place)


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_the_power_may_go_at_any_moment_of_an_answer(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The site starts, and answers the same question."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    seen: set[int] = set()
    for index, (moment, case, files) in enumerate(cases(done.disk.moments[:-1])):
        if (state := hash(frozenset(files.items()))) in seen:
            continue
        seen.add(state)
        place = done.after(files, tmp_path / f"after-{index}")
        again = place.ask(kind, done.asked.asked.content)
        assert not refusal(again), (moment.what, case)
        require_counted_once(place)
        require_whole(place)
    assert len(seen) > len(done.disk.moments)
