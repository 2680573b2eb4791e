"""The announcements beside a ledger: what a copy that was put back cannot know."""

import shutil
from itertools import combinations, count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privacy.differential.announced_ledger import (
    FRESH_S,
    KEPT,
    AnnouncedLedger,
    Held,
    LedgerNotCompared,
    LedgerRestored,
    Lost,
)
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Budget, DataSet, Released, Reserved
from privacy.differential.ledger_rules import ReservationEnded
from privacy.differential.mechanisms import SampledGaussian, WithoutNoise

OTHERS = ("b", "c", "d")
MAJORITIES = tuple(one for size in (2, 3) for one in combinations(OTHERS, size))
NOW = 1_000_000.0
PLAN = "the run config that was announced"
DATA = DataSet(name="records", fingerprint="0" * 64)
EVENT = SampledGaussian(
    noise_multiplier=1.0, sampling_rate=0.1, steps=3, clip_norm=1.0, unit="person"
)
LOSS = Reserved(
    event=EVENT,
    data_set=DATA,
    run="lost 1",
    part="training",
    budget=Budget(epsilon=0.001, delta=1e-6),
    at="2026-01-01T00:00:00+00:00",
)


def announced_by(member: str, number: int, digest: bytes = b"") -> Held:
    """Return what stands for an announcement: its number and its digest."""
    told = digest or number.to_bytes(32, "big")
    encoded = number.to_bytes(8, "big") + told
    return Held(member=member, number=number, digest=told, encoded=encoded)


class Site:
    """Site `a`, whose directory may be put back, and what the other members hold of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held = {name: AnnouncedLedger(folder / name) for name in OTHERS}
        self.runs = count(1)
        self.answered: set[int] = set()
        self.known: set[int] = set()
        self.copy: set[int] = set()
        with AnnouncedLedger(folder / "a"):
            self.make_copy()

    def close(self) -> None:
        """Close what the others hold."""
        for ledger in self.held.values():
            ledger.close()

    def make_copy(self) -> None:
        """Copy the directory, as a backup does."""
        shutil.rmtree(self.folder / "copy", ignore_errors=True)
        shutil.copytree(self.folder / "a", self.folder / "copy")
        self.copy = set(self.known)

    def put_back(self) -> None:
        """Put the directory back as it was at the last copy."""
        shutil.rmtree(self.folder / "a")
        shutil.copytree(self.folder / "copy", self.folder / "a")
        self.known = set(self.copy)

    def run(self, roster: tuple[str, ...], *, shown: bool) -> bool:
        """Begin a run with some others; return whether the site answers in it."""
        run = next(self.runs)
        digest = run.to_bytes(32, "big")
        with AnnouncedLedger(self.folder / "a") as own:
            number = own.next_number()
            own.note_announced(number, digest, settings=PLAN, at=NOW)
            for name in roster:
                held = self.held[name].held("a", number)
                self.held[name].hold([announced_by("a", number, digest)])
                if shown:
                    own.note_lost([lost(one) for one in held if not own.knows(*read(one))])
            try:
                if shown:
                    own.require_nothing_lost()
                    own.note_passed(digest, roster, at=NOW)
                own.require_compared(
                    str(run), settings=PLAN, others=roster, needed=len(roster), at=NOW
                )
            except (LedgerRestored, LedgerNotCompared):
                return False
        self.answered.add(run)
        self.known.add(run)
        return True


def read(encoded: bytes) -> tuple[int, bytes]:
    """Return number and digest of what stands for an announcement here."""
    return int.from_bytes(encoded[:8], "big"), encoded[8:]


def lost(encoded: bytes) -> Lost:
    """Return an announcement that the site does not know."""
    number, digest = read(encoded)
    return Lost(number=number, digest=digest, encoded=encoded, charter="c", roster=("a", "b"))


RUN = st.tuples(st.just("run"), st.sampled_from(MAJORITIES), st.booleans())
STEPS = st.lists(
    st.one_of(
        RUN,
        RUN,
        RUN,
        st.tuples(st.just("make copy"), st.just(()), st.just(True)),
        st.tuples(st.just("put back"), st.just(()), st.just(True)),
    ),
    max_size=12,
)
# A number that grows without an answer would hide behind itself what was lost.
HELD_BACK_TWICE = [
    ("run", OTHERS, True),
    ("put back", (), True),
    ("run", OTHERS, False),
    ("run", OTHERS, False),
    ("run", OTHERS, True),
]


@settings(max_examples=40, deadline=None)
@given(STEPS)
@example(HELD_BACK_TWICE)
def test_a_site_never_answers_that_forgot_a_run(
    steps: list[tuple[str, tuple[str, ...], bool]],
) -> None:
    """If every run has more than half of the other members in it, whatever is shown to the site."""
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        for what, roster, shown in steps:
            if what == "make copy":
                site.make_copy()
            elif what == "put back":
                site.put_back()
            else:
                forgot = site.answered - site.known
                answers = site.run(roster, shown=shown)
                assert not (answers and forgot)
        site.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MAJORITIES), st.booleans()), max_size=8))
def test_a_site_that_was_never_put_back_answers_whenever_all_are_shown(
    runs: list[tuple[tuple[str, ...], bool]],
) -> None:
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        assert [site.run(roster, shown=shown) for roster, shown in runs] == [
            shown for _, shown in runs
        ]
        site.close()


@pytest.fixture
def own(tmp_path: Path) -> AnnouncedLedger:
    """The ledger of a site."""
    return AnnouncedLedger(tmp_path / "ledger")


def passed(own: AnnouncedLedger, digest: bytes = bytes(32), *, at: float = NOW) -> None:
    """Let two members answer an announcement."""
    own.note_announced(own.next_number(), digest, settings=PLAN, at=at)
    own.note_passed(digest, ["b", "c"], at=at)


def test_a_comparison_serves_one_run_from_its_first_question_to_its_end(
    own: AnnouncedLedger,
) -> None:
    passed(own)
    for later in (0.0, 2 * FRESH_S):
        own.require_compared("first", settings=PLAN, others=["b", "c"], needed=2, at=NOW + later)
    with pytest.raises(LedgerNotCompared):
        own.require_compared("second", settings=PLAN, others=["b", "c"], needed=2, at=NOW)


def test_a_comparison_that_served_no_run_within_the_hour_is_worth_nothing(
    own: AnnouncedLedger,
) -> None:
    passed(own)
    with pytest.raises(LedgerNotCompared, match="missing are b, c"):
        own.require_compared(
            "late", settings=PLAN, others=["b", "c"], needed=1, at=NOW + FRESH_S + 1
        )


def test_a_comparison_serves_the_run_that_was_announced(own: AnnouncedLedger) -> None:
    """Before it is used, and afterwards: else the others would hold the plan of a cheaper run."""
    passed(own)
    for _ in range(2):
        with pytest.raises(LedgerNotCompared):
            own.require_compared("run", settings="dearer", others=["b"], needed=1, at=NOW)
        own.require_compared("run", settings=PLAN, others=["b"], needed=1, at=NOW)


def test_those_count_who_are_in_the_run(own: AnnouncedLedger) -> None:
    passed(own)
    with pytest.raises(LedgerNotCompared) as refused:
        own.require_compared("run", settings=PLAN, others=["c", "d"], needed=2, at=NOW)
    assert refused.value.counts == {"needed": 2, "came": 1}


def test_answers_are_believed_for_an_hour(own: AnnouncedLedger) -> None:
    own.note_announced(1, bytes(32), settings=PLAN, at=NOW)
    assert own.is_fresh(bytes(32), at=NOW + FRESH_S)
    assert not own.is_fresh(bytes(32), at=NOW + FRESH_S + 1)
    assert not own.is_fresh(bytes(32), at=NOW - 1)
    assert not own.is_fresh(b"x" * 32, at=NOW)


def test_the_number_grows_only_with_what_was_answered(own: AnnouncedLedger) -> None:
    own.note_announced(own.next_number(), b"a" * 32, settings=PLAN, at=NOW)
    assert own.next_number() == 1
    passed(own)
    assert own.next_number() == 2


def test_a_gap_is_entered_with_all_steps_done_whatever_the_budget(own: AnnouncedLedger) -> None:
    known = lost((7).to_bytes(8, "big") + b"l" * 32)
    own.note_lost([known, known])
    assert own.lost() == (known,)
    released = Released(
        event=WithoutNoise(what="updates"),
        data_set=DATA,
        run="lost 1",
        part="updates",
        asked="",
        at=LOSS.at,
    )
    own.enter_lost([LOSS, released], [known])
    assert own.events() == (EVENT,)
    assert own.releases() == (released,)
    (charge,) = own.charges()
    assert charge.committed == EVENT.steps
    with pytest.raises(ReservationEnded):
        own.enter_use(charge.number, "round 1", 1, now=None)


def test_what_is_entered_is_known_and_serves_no_run(own: AnnouncedLedger) -> None:
    known = lost((7).to_bytes(8, "big") + b"l" * 32)
    own.note_lost([known])
    with pytest.raises(LedgerRestored) as refused:
        own.require_compared("run", settings=PLAN, others=["b"], needed=0, at=NOW)
    assert refused.value.counts == {"runs": 1}
    own.enter_lost([], [known])
    own.require_nothing_lost()
    assert own.knows(7, b"l" * 32)
    assert own.next_number() == 8
    with pytest.raises(LedgerNotCompared):
        own.require_compared("run", settings=PLAN, others=["b"], needed=1, at=NOW)


def test_of_what_is_held_the_lowest_numbers_go_first(own: AnnouncedLedger) -> None:
    for number in range(1, KEPT + 11):
        own.hold([announced_by("b", number)])
    found = [int.from_bytes(one[:8], "big") for one in own.held("b", 1)]
    assert found == list(range(11, KEPT + 11))


def test_shown_is_what_is_held_from_a_number_on_and_the_last_before(own: AnnouncedLedger) -> None:
    own.hold([announced_by("b", number) for number in (2, 5, 6, 9, 5)])
    assert own.held("b", 6) == tuple(announced_by("b", one).encoded for one in (5, 6, 9))
    assert own.held("b", 12) == (announced_by("b", 9).encoded,)
    assert own.held("c", 1) == ()


def test_a_ledger_of_an_earlier_version_opens_with_its_entries(tmp_path: Path) -> None:
    with Ledger(tmp_path) as earlier:
        earlier.reserve(EVENT, data_set=DATA, run="r", budget=Budget(epsilon=9.0, delta=1e-6))
        head = earlier.head()
    with AnnouncedLedger(tmp_path) as later:
        assert later.verify() == head
        passed(later)
    with Ledger(tmp_path) as earlier:
        assert earlier.verify() == head
