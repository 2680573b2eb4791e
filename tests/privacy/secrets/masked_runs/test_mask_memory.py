"""A site confirms one set for each round of a run, over all attempts, for ever."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, Slot, WrongAttempt
from privacy.secrets.answer_memory import Answer, AnswerForgotten
from privacy.secrets.masked_runs.mask_memory import ConfirmedSet, OtherSetConfirmed, RoundConfirmed
from privacy.secrets.masked_runs.pair_memory import RunForgotten
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData, OtherSites, Start
from tests.masked_sites import begin, no_claim, slot_of

D, OTHER = b"\x01" * 32, b"\x02" * 32
SHARE = b"this site's own share of its mask"
START = Start(counted=CountedData(charter="0" * 64, data_set="records"), seed=7)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SiteMemory]:
    with SiteMemory(tmp_path / "memory") as memory:
        begin(memory)
        yield memory


def confirm(memory: SiteMemory, slot: Slot, set_digest: bytes = D) -> None:
    memory.masks.confirm(slot, set_digest, only_sites={}, claim=no_claim)


def answer(slot: Slot, share: bytes = SHARE) -> Answer:
    return Answer(
        slot=slot,
        request=bytes(32),
        state=bytes(32),
        receipt=b"receipt",
        reply=b"the sealed upload of round %d" % slot.server_round,
        own_share=share,
    )


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


slots = st.builds(
    Slot,
    run=st.just("run"),
    purpose=st.sampled_from([TRAINING, EVALUATION, STATISTICS]),
    server_round=st.integers(0, 2),
    attempt=st.integers(1, 4),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(slots, st.sampled_from([D, OTHER]), st.booleans()), max_size=12))
def test_of_whatever_is_shown_the_first_set_of_a_round_stands(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[Slot, bytes, bool]]
) -> None:
    """To be confirmed or to be opened, in any order; between any two, the site restarts."""
    folder = tmp_path_factory.mktemp("memory") / "m"
    first: dict[tuple[bool, int], tuple[int, bytes]] = {}
    for slot, set_digest, opens in told:
        place = (slot.purpose == STATISTICS, slot.server_round)
        stands = first.setdefault(place, (slot.attempt, set_digest))
        with SiteMemory(folder) as memory:
            if not memory.pairs.open_runs():
                begin(memory)
            act = memory.masks.accept if opens else memory.masks.confirm
            more = {} if opens else {"claim": no_claim}
            if stands == (slot.attempt, set_digest):
                act(slot, set_digest, only_sites={}, **more)
            else:
                with pytest.raises(RoundConfirmed, match="no other one, ever"):
                    act(slot, set_digest, only_sites={}, **more)
            held = memory.masks.confirmed(slot)
            assert held == ConfirmedSet(attempt=stands[0], set_digest=stands[1])


def test_nothing_is_sealed_in_another_attempt_once_one_is_confirmed(memory: SiteMemory) -> None:
    """For updates and for counts: they are one set."""
    memory.answers.remember_reply(answer(slot_of(1)))
    confirm(memory, slot_of(1))
    for purpose in (TRAINING, EVALUATION):
        with pytest.raises(RoundConfirmed, match="seals nothing in attempt 2"):
            memory.answers.remember_reply(answer(slot_of(2, purpose=purpose)))
    assert memory.answers.remember_reply(answer(slot_of(1))) == answer(slot_of(1)).reply
    memory.answers.remember_reply(answer(slot_of(1, server_round=2)))


@pytest.mark.parametrize("purpose", [TRAINING, EVALUATION])
def test_a_set_of_an_attempt_before_the_last_answered_one_is_not_confirmed(
    memory: SiteMemory, purpose: str
) -> None:
    memory.answers.remember_reply(answer(slot_of(1)))
    memory.answers.remember_reply(answer(slot_of(2, purpose=purpose)))
    with pytest.raises(WrongAttempt) as caught:
        confirm(memory, slot_of(1))
    assert caught.value.counts == {"needed": 2, "came": 1}
    confirm(memory, slot_of(2))


def test_statistics_have_a_place_of_their_own(memory: SiteMemory) -> None:
    statistics = slot_of(server_round=0, purpose=STATISTICS)
    memory.answers.remember_reply(answer(replace(statistics, attempt=2)))
    with pytest.raises(WrongAttempt):
        confirm(memory, statistics)
    confirm(memory, slot_of(server_round=0))
    confirm(memory, replace(statistics, attempt=2), OTHER)


def test_a_claim_that_is_refused_confirms_nothing_and_one_that_is_not_is_kept_with_it(
    memory: SiteMemory,
) -> None:
    """One commit for both: a death in between would leave a claim of what never opened."""

    def claim(*sites: str) -> None:
        memory.rosters.claim_opened(START, 1, [sites])

    memory.masks.confirm(slot_of(), D, only_sites={}, claim=lambda: claim("east", "north"))
    with pytest.raises(OtherSites):
        claim("east", "west")
    later = slot_of(server_round=2)
    with pytest.raises(OtherSites):
        memory.masks.confirm(later, D, only_sites={}, claim=lambda: claim("east", "west"))
    assert memory.masks.confirmed(later) is None


def test_a_set_that_is_refused_leaves_no_bucket_behind(memory: SiteMemory) -> None:
    confirmed = {0: ("east", "north")}
    memory.masks.confirm(slot_of(), D, only_sites=confirmed, claim=no_claim)
    refused = {1: ("a", "b"), 0: ("east", "west")}
    later = slot_of(server_round=2)
    with pytest.raises(OtherSetConfirmed):
        memory.masks.confirm(later, D, only_sites=refused, claim=no_claim)
    assert memory.masks.confirmed(later) is None
    memory.masks.require_bucket_sites("run", 1, ("c", "d"))


def test_where_a_run_has_one_set_a_bucket_keeps_its_first_sites(memory: SiteMemory) -> None:
    masks = memory.masks
    masks.confirm(slot_of(), D, only_sites={0: ("b", "a"), 1: ("c",)}, claim=no_claim)
    later = slot_of(server_round=2)
    masks.require_bucket_sites("run", 0, ("a", "b"))
    masks.require_bucket_sites("run", 2, ("z",))
    masks.require_bucket_sites("other", 0, ("a",))
    acts: list[Callable[[], object]] = [
        lambda: masks.require_bucket_sites("run", 0, ("a",)),
        lambda: masks.confirm(later, D, only_sites={0: ("a",)}, claim=no_claim),
        lambda: masks.accept(later, D, only_sites={0: ("a", "b", "c")}),
    ]
    for act in acts:
        with pytest.raises(OtherSetConfirmed) as caught:
            act()
        assert caught.value.counts == {"bucket": 0}
    masks.accept(later, D, only_sites={0: ("a", "b")})
    masks.accept(slot_of(server_round=3), D, only_sites={2: ("x",)})
    with pytest.raises(OtherSetConfirmed):
        masks.require_bucket_sites("run", 2, ("z",))


def test_a_share_is_kept_with_its_answer_or_not_at_all(memory: SiteMemory) -> None:
    memory.answers.remember_round(
        slot_of(), b"update", [answer(slot_of(purpose=EVALUATION), b"other"), answer(slot_of())]
    )
    assert memory.masks.own_share(slot_of()) == SHARE
    assert memory.masks.own_share(slot_of(purpose=EVALUATION)) == b"other"
    assert memory.answers.remember_round(slot_of(2), b"another", [answer(slot_of(2))]) is None
    assert memory.masks.own_share(slot_of(2)) is None
    memory.answers.remember_reply(answer(slot_of(), b"made again"))
    assert memory.masks.own_share(slot_of()) == SHARE
    no_witness = answer(slot_of(server_round=2), b"")
    memory.answers.remember_reply(no_witness)
    assert memory.masks.own_share(no_witness.slot) is None


def test_the_next_set_deletes_the_share_and_the_upload_before_it(
    memory: SiteMemory, tmp_path: Path
) -> None:
    """Accepted again, after this round was answered, it deletes nothing of this round."""
    counted = slot_of(server_round=0, purpose=STATISTICS)
    memory.answers.remember_reply(answer(counted, b"the share of statistics"))
    memory.answers.remember_round(slot_of(), b"the kept update", [answer(slot_of())])
    memory.masks.accept(slot_of(), D, only_sites={})
    held = all_bytes(tmp_path / "memory")
    assert b"the share of statistics" not in held
    assert b"upload of round 0" not in held
    assert SHARE in held
    assert b"the kept update" in held
    second = slot_of(server_round=2)
    memory.masks.accept(slot_of(), D, only_sites={})
    memory.answers.remember_round(second, b"the next update", [answer(second, b"next share")])
    memory.masks.accept(slot_of(), D, only_sites={})
    memory.masks.accept(second, OTHER, only_sites={})
    held = all_bytes(tmp_path / "memory")
    for gone in (SHARE, b"the kept update", b"upload of round 1"):
        assert gone not in held
    for kept in (b"next share", b"the next update", b"upload of round 2"):
        assert kept in held
    with pytest.raises(AnswerForgotten):
        memory.answers.recall_reply(slot_of(), bytes(32))


def test_a_run_that_is_over_confirms_nothing_and_opens_what_it_confirmed(
    memory: SiteMemory,
) -> None:
    """Its release may be asked for again."""
    memory.answers.remember_reply(answer(slot_of()))
    memory.masks.accept(slot_of(), D, only_sites={})
    memory.pairs.release_run("run")
    assert memory.masks.own_share(slot_of()) is None
    memory.masks.accept(slot_of(), D, only_sites={})
    acts: list[Callable[[], object]] = [
        lambda: confirm(memory, slot_of()),
        lambda: confirm(memory, slot_of(server_round=2)),
        lambda: memory.masks.accept(slot_of(server_round=2), D, only_sites={}),
        lambda: memory.answers.remember_reply(answer(slot_of(server_round=2))),
    ]
    for act in acts:
        with pytest.raises(RunForgotten):
            act()
    with pytest.raises(RoundConfirmed):
        memory.masks.accept(slot_of(), OTHER, only_sites={})
    assert memory.masks.confirmed(slot_of()) == ConfirmedSet(attempt=1, set_digest=D)
