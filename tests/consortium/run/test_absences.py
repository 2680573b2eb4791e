"""Whoever starts a run is told who is not in it, and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run.absences import (
    LEFT_OUT_BY_NAME,
    NEVER_CAME,
    NOT_BEGUN,
    Absence,
    absence_text,
    absences_among,
    absences_in,
    shortage_text,
)
from consortium.run.records import QuarantineRecord
from strategies.coordinator.encrypted.parameters import MembersMissing, RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.refusal_finality import is_final

MEMBERS = ("east", "north", "south", "west")
BAD_TABLE, BUDGET = "site-refused.bad-table", "site-refused.budget-exhausted"

codes = st.sampled_from([BAD_TABLE, BUDGET, "silent", "node-failed", NEVER_CAME])
counts = st.dictionaries(st.sampled_from(["columns", "values"]), st.integers(1, 9))
absences = st.lists(st.sampled_from(MEMBERS), min_size=1, unique=True).flatmap(
    lambda sites: st.tuples(
        *(st.builds(Absence, site=st.just(site), code=codes, counts=counts) for site in sites)
    )
)


def test_of_a_run_that_ended_before_it_began_nobody_is_said_never_to_have_come() -> None:
    """Two sites may have come and a third refused, where the quorum is three."""
    present = dict.fromkeys(("east", "north", "west"), False)
    told = absences_among(present, [quarantined(0, "west", BAD_TABLE)], left_out=("north",))
    assert [one.code for one in told] == [NOT_BEGUN, LEFT_OUT_BY_NAME, BAD_TABLE]


def quorum_error(came: int = 0) -> QuorumNotReached:
    return QuorumNotReached("the round needs 2 sites. Bring them back", needed=2, came=came)


@given(left_out=absences)
def test_why_a_run_lacks_sites_names_every_site_and_every_reason(
    left_out: tuple[Absence, ...],
) -> None:
    said = shortage_text(quorum_error(), left_out, members=MEMBERS)
    for one in left_out:
        assert one.site in said
        assert one.code in said
        for name, number in one.counts.items():
            assert f"{name} {number}" in said
    final = all(is_final(one.code) for one in left_out)
    assert ("Bring them back" in said) == (not final)
    assert ("would refuse again" in said) == final


@given(code=codes, numbers=st.lists(counts, min_size=4, max_size=4))
def test_one_reason_of_all_members_is_the_headline(
    code: str, numbers: list[dict[str, int]]
) -> None:
    left_out = [
        Absence(site=site, code=code, counts=told)
        for site, told in zip(MEMBERS, numbers, strict=True)
    ]
    said = shortage_text(quorum_error(), left_out, members=MEMBERS)
    assert said.startswith(f"all four sites are left out for one reason, {code}: ")
    some = shortage_text(quorum_error(1), left_out[:3], members=MEMBERS)
    assert not some.startswith("all ")


def test_a_budget_that_all_sites_have_spent_is_told_as_such() -> None:
    left_out = [
        Absence(site=site, code=BUDGET, counts={"left_milli": 500}) for site in ("east", "west")
    ]
    assert shortage_text(quorum_error(), left_out, members=("east", "west")) == (
        f"all two sites are left out for one reason, {BUDGET}: It refused: the run would spend "
        "more privacy than is left. At east (left 0.5) and west (left 0.5). The round needs 2 "
        "sites, and 0 answered. Who refused would refuse again: correct the cause there first"
    )


@pytest.mark.parametrize(
    ("error", "code", "kept"),
    [
        (RoundVoid("round 2 did not come about. Bring them back", came=1), BUDGET, False),
        (RoundVoid("round 2 did not come about. Bring them back", came=1), "silent", True),
        (MembersMissing("west is missing. Bring them back", missing=1), BAD_TABLE, True),
    ],
)
def test_what_to_do_about_a_void_round_follows_from_why_it_is_void(
    error: RoundVoid, code: str, kept: bool
) -> None:
    """How to go on without a member is always said where the charter's first run needs it."""
    said = shortage_text(error, [Absence(site="west", code=code)], members=MEMBERS)
    assert said.startswith(f"left out: west, {code}: ")
    assert ("Bring them back" in said) == kept


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"came": 2}, "Too few sites answered (2)."),
        ({"missing": 1}, "Too few sites answered: 1 site did not."),
        ({}, "Too few sites answered."),
    ],
)
def test_how_many_sites_answered_is_said_as_far_as_it_is_known(
    counts: dict[str, int], said: str
) -> None:
    error = RoundVoid("round 2 did not come about", **counts)
    told = shortage_text(error, [Absence(site="west", code=BAD_TABLE)], members=MEMBERS)
    assert said in told
    assert "None" not in told


def test_without_a_known_reason_the_error_speaks_for_itself() -> None:
    assert shortage_text(quorum_error(), [], members=MEMBERS) == str(quorum_error())


def quarantined(server_round: int, site: str, code: str, **told: int) -> QuarantineRecord:
    return QuarantineRecord(server_round=server_round, site=site, code=code, counts=told)


def test_each_site_is_told_once_for_each_reason_in_the_charters_order() -> None:
    found = absences_among(
        {"east": False, "north": False, "south": True, "west": False},
        [
            quarantined(0, "node 7", "silent"),
            quarantined(3, "south", "node-gone"),
            quarantined(2, "south", "node-gone"),
            quarantined(0, "west", BAD_TABLE, values=3),
        ],
        left_out=("north",),
    )
    assert [(one.site, one.code, one.rounds) for one in found] == [
        ("east", NEVER_CAME, ()),
        ("north", LEFT_OUT_BY_NAME, ()),
        ("south", "node-gone", (2, 3)),
        ("west", BAD_TABLE, (0,)),
        ("node 7", "silent", (0,)),
    ]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            {"site": "west", "code": BAD_TABLE, "counts": {"values": 3}, "rounds": (0,)},
            f"not in the run: west, {BAD_TABLE} (values 3): Its data break the agreed schema",
        ),
        (
            {"site": "west", "code": "silent", "rounds": (0, 2, 4), "joined": True},
            "left out of the start, round 2, the final evaluation: west, silent: No answer came "
            "before the deadline",
        ),
        (
            {"site": "west", "code": "silent", "rounds": tuple(range(1, 11)), "joined": True},
            "left out of round 1, round 2, round 3, the final evaluation: west, silent: No answer "
            "came before the deadline",
        ),
        (
            {"site": "west", "code": NEVER_CAME},
            "not in the run: west, never-came: Nothing came from it before the run began",
        ),
    ],
)
def test_a_line_says_which_site_which_rounds_and_why(one: dict[str, Any], said: str) -> None:
    assert absence_text(Absence(**one), last_round=3) == said


def test_a_run_that_goes_on_tells_the_same_from_its_events() -> None:
    events: list[dict[str, Any]] = [
        {"event": "run-started", "at_s": 0.0},
        {
            "event": "site-quarantined",
            "server_round": 0,
            "site": "west",
            "code": BAD_TABLE,
            "counts": {"values": 3},
            "at_s": 0.1,
        },
        {"event": "sites-joined", "sites": ["east", "south"], "absent": ["north", "west"]},
    ]
    assert absences_in(events) == (
        Absence(site="north", code=NEVER_CAME),
        Absence(site="west", code=BAD_TABLE, counts={"values": 3}, rounds=(0,)),
    )
