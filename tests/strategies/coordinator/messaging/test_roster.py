from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Field, Layout
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp, Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import RunEvent, SiteQuarantined
from strategies.coordinator.messaging.exchange import GONE, Exchange
from strategies.coordinator.messaging.refusal_finality import FinalRefusals
from strategies.coordinator.messaging.roster import Present, Reception
from tests.small_site import (
    CHARTER,
    LAYOUT,
    MAX_EXAMPLES,
    NAMES,
    SmallSite,
    cohort_of,
    grid_of,
    honest,
)

FIRST = 1001
OTHER = Layout(fields=(Field("weight", (1,)),))


class ChangingGrid(InProcessGrid):
    """A bus on which nodes come and go."""

    def __init__(self, sites: Sequence[SiteApp], here: Iterable[int]) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self.here = set(here)
        self.asked: list[int] = []

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of those that are here now."""
        return [FIRST + index for index in self.here]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Note who is asked."""
        pushed = list(messages)
        self.asked += [message.metadata.dst_node_id - FIRST for message in pushed]
        return super().push_messages(pushed)


@dataclass
class Told:
    """What a reception says of those it turns away."""

    events: list[RunEvent] = field(default_factory=list)

    @property
    def away(self) -> list[tuple[int, str, str]]:
        """Round, site and code of each."""
        return [
            (event.server_round, event.site, event.code)
            for event in self.events
            if isinstance(event, SiteQuarantined)
        ]


def reception_of(grid: InProcessGrid, told: Told, *, quorum: int = 1) -> Reception:
    return Reception(
        exchange=Exchange(grid=grid, deadline_s=0.0),
        cohort=cohort_of(quorum=quorum),
        charter=CHARTER,
        max_examples=MAX_EXAMPLES,
        observe=told.events.append,
    )


def silent(_message: Message, _context: Context) -> Message:
    raise Vanished


def test_all_members_join_under_their_names() -> None:
    told = Told()
    roster = reception_of(grid_of(honest()), told).await_members()
    assert roster.sites == NAMES
    assert roster.layout == LAYOUT
    assert roster.present["south"] == Present(node=FIRST + 2, num_examples=150)
    assert roster.asked == {FIRST, FIRST + 1, FIRST + 2, FIRST + 3}
    assert told.away == []


@given(order=st.permutations(NAMES))
def test_the_order_of_nodes_does_not_matter(order: list[str]) -> None:
    roster = reception_of(grid_of(honest(order)), Told()).await_members()
    assert roster.sites == NAMES
    for index, name in enumerate(order):
        assert roster.present[name].node == FIRST + index


def raising(_message: Message, _context: Context) -> Message:
    raise ZeroDivisionError


def not_json(content: RecordDict) -> RecordDict:
    arrays, _ = wire.arrays_and_facts(content)
    arrays["layout"] = wire.bytes_array(b"9" * 5_000)
    return content


def broken_refusal(_content: RecordDict) -> RecordDict:
    return RecordDict({wire.REFUSAL: ConfigRecord({"code": 3, "site": "east"})})


BAD_SITES: dict[str, tuple[SiteApp, str, str]] = {
    "a stranger": (SmallSite(name="elsewhere"), "node 1001", "not-a-member"),
    "a site of another charter": (
        SmallSite(name="east", charter="d" * 64),
        "node 1001",
        "wrong-charter",
    ),
    "a site of another layout": (SmallSite(name="east", layout=OTHER), "east", "wrong-layout"),
    "a site with too many examples": (
        SmallSite(name="east", num_examples=10**12),
        "node 1001",
        "malformed-record",
    ),
    "a hostile layout": (
        SmallSite(name="east", spoil={messages.HELLO: not_json}),
        "node 1001",
        "malformed-record",
    ),
    "another message": (
        SmallSite(name="east", spoil={messages.HELLO: lambda _: messages.question(CHARTER)}),
        "node 1001",
        "malformed-record",
    ),
    "a refusal that is none": (
        SmallSite(name="east", spoil={messages.HELLO: broken_refusal}),
        "node 1001",
        "malformed-record",
    ),
    "silence": (silent, "node 1001", "silent"),
    "an exception": (raising, "node 1001", "node-failed"),
}


@pytest.mark.parametrize(("bad", "name", "code"), BAD_SITES.values(), ids=BAD_SITES)
def test_who_does_not_fit_is_turned_away_and_the_others_join(
    bad: SiteApp, name: str, code: str
) -> None:
    """The bad node comes first: whoever it says it is, the others' layout and names stand."""
    told = Told()
    roster = reception_of(grid_of([bad, *honest(["north", "south", "west"])]), told).await_members()
    assert roster.sites == ("north", "south", "west")
    assert roster.layout == LAYOUT
    assert told.away == [(0, name, code)]


@given(order=st.permutations([0, 1, 2, 3]))
def test_the_most_common_layout_is_agreed_on(order: list[int]) -> None:
    sites = [SmallSite(name="east", layout=OTHER), *honest(["north", "south", "west"])]
    told = Told()
    roster = reception_of(grid_of([sites[index] for index in order]), told).await_members()
    assert roster.layout == LAYOUT
    assert told.away == [(0, "east", "wrong-layout")]


@given(order=st.permutations([0, 1]))
def test_a_tie_of_layouts_is_broken_by_their_digest(order: list[int]) -> None:
    sites = [SmallSite(name="east", layout=OTHER), SmallSite(name="north")]
    roster = reception_of(grid_of([sites[index] for index in order]), Told()).await_members()
    assert roster.layout.digest == min(OTHER.digest, LAYOUT.digest)


def test_one_name_has_one_vote_however_many_nodes_claim_it() -> None:
    liars = [SmallSite(name="east", layout=OTHER) for _ in range(5)]
    told = Told()
    roster = reception_of(grid_of([*liars, *honest(["north", "south"])]), told).await_members()
    assert roster.layout == LAYOUT
    assert roster.sites == ("north", "south")
    assert told.away == [(0, "east", "wrong-layout")] * 5


def test_of_two_nodes_of_one_name_the_second_is_turned_away() -> None:
    told = Told()
    roster = reception_of(grid_of(honest(["north", "north", "south"])), told).await_members()
    assert roster.sites == ("north", "south")
    assert roster.present["north"].node == FIRST
    assert told.away == [(0, "north", "name-taken")]


def test_a_name_claimed_for_another_layout_is_still_free() -> None:
    sites = [SmallSite(name="east", layout=OTHER), *honest()]
    assert reception_of(grid_of(sites), Told()).await_members().sites == NAMES


@pytest.mark.parametrize(
    ("sites", "missing"),
    [
        ([], "east, north, south, west"),
        (honest(["north"]), "east, south, west"),
        (honest(["north", "north", "north"]), "east, south, west"),
        ([SmallSite(name="east", layout=OTHER), SmallSite(name="north")], "south, west"),
    ],
    ids=["nobody", "one", "one three times", "two that do not fit"],
)
def test_too_few_who_fit_are_refused_by_name(sites: list[SiteApp], missing: str) -> None:
    with pytest.raises(QuorumNotReached, match=f"missing: .*{missing}"):
        reception_of(grid_of(sites), Told(), quorum=2).await_members()


def test_whoever_was_turned_away_is_known_even_if_too_few_are_left() -> None:
    """Otherwise the operator would read only that a site is missing, not why."""
    told = Told()
    sites = [SmallSite(name="elsewhere"), SmallSite(name="north")]
    with pytest.raises(QuorumNotReached):
        reception_of(grid_of(sites), told, quorum=2).await_members()
    assert told.away[0] == (0, "node 1001", "not-a-member")


@dataclass
class Clock:
    """Time that passes only while somebody sleeps; nodes come with it."""

    grid: ChangingGrid
    arrivals: dict[int, float]
    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.grid.here = {site for site, at in self.arrivals.items() if at <= self.now}


@given(arrivals=st.lists(st.integers(0, 20), min_size=4, max_size=4))
def test_the_members_are_awaited_until_all_are_there_or_the_deadline(arrivals: list[int]) -> None:
    grid = ChangingGrid(honest(), [])
    clock = Clock(grid, {index: float(at) for index, at in enumerate(arrivals)})
    clock.sleep(0.0)
    reception = replace(
        reception_of(grid, Told()),
        exchange=Exchange(grid=grid, deadline_s=0.0, clock=clock, sleep=clock.sleep),
        cohort=replace(cohort_of(), join_deadline_s=10.0),
    )
    in_time = {name for name, at in zip(NAMES, arrivals, strict=True) if at <= 10}
    if in_time:
        assert set(reception.await_members().sites) == in_time
    else:
        with pytest.raises(QuorumNotReached):
            reception.await_members()
    assert clock.now <= 10.2
    assert clock.now <= max(arrivals) + 0.2


@given(arrivals=st.lists(st.integers(0, 20), min_size=4, max_size=4))
def test_nobody_waits_for_a_site_that_is_left_out_nor_takes_it_for_another(
    arrivals: list[int],
) -> None:
    """All members are awaited, though the node of the site makes as many nodes as members."""
    grid, told = ChangingGrid(honest(), []), Told()
    clock = Clock(grid, {index: float(at) for index, at in enumerate(arrivals)})
    clock.sleep(0.0)
    members = cohort_of([name for name in NAMES if name != "east"])
    reception = replace(
        reception_of(grid, told),
        exchange=Exchange(grid=grid, deadline_s=0.0, clock=clock, sleep=clock.sleep),
        cohort=replace(members, left_out=frozenset({"east"}), join_deadline_s=10.0),
    )
    in_time = {name for name, at in zip(NAMES, arrivals, strict=True) if at <= 10} - {"east"}
    if in_time:
        assert set(reception.await_members().sites) == in_time
        assert told.away == []
    else:
        with pytest.raises(QuorumNotReached):
            reception.await_members()
    assert clock.now <= max(10.2 if len(in_time) < 3 else 0.0, max(arrivals[1:]) + 0.2)


def test_if_too_few_come_each_member_that_never_came_is_told_and_no_other() -> None:
    """Who came did nothing wrong, and who refused has a reason already."""
    refusal = {messages.HELLO: lambda _said: wire.refusal_of("bad-table", {}, site="south")}
    sites = [*honest(["east"]), SmallSite(name="south", spoil=refusal)]
    told = Told()
    with pytest.raises(QuorumNotReached):
        reception_of(ChangingGrid(sites, range(2)), told, quorum=3).await_members()
    assert told.away == [
        (0, "south", "site-refused.bad-table"),
        (0, "north", "never-came"),
        (0, "west", "never-came"),
    ]


class Offline:
    """A site that Flower takes for offline until it was asked so many times."""

    def __init__(self, site: SmallSite, times: int) -> None:
        self.site, self.left = site, times

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer, or let Flower say that the node is gone."""
        self.left -= 1
        if self.left >= 0:
            return Message(Error(GONE, "offline"), reply_to=message)
        return self.site(message, context)


@given(times=st.integers(0, 12), quorum=st.integers(1, 4))
def test_a_node_that_is_back_by_the_join_deadline_is_asked_again_if_the_quorum_needs_it(
    times: int, quorum: int
) -> None:
    """As after a restart of the SuperLink, which takes all nodes for offline at first."""
    elsewhere, back = SmallSite(name="elsewhere"), Offline(SmallSite(name="south"), times)
    grid = ChangingGrid([elsewhere, *honest(["east", "north", "west"]), back], range(5))
    clock, told = Clock(grid, dict.fromkeys(range(5), 0.0)), Told()
    reception = replace(
        reception_of(grid, told, quorum=quorum),
        exchange=Exchange(grid=grid, deadline_s=0.0, clock=clock, sleep=clock.sleep),
    )
    reception = replace(reception, cohort=replace(reception.cohort, join_deadline_s=0.95))
    needed, in_time = quorum == 4, times <= 10
    if needed and not in_time:
        with pytest.raises(QuorumNotReached, match="missing: south"):
            reception.await_members()
    else:
        sites = reception.await_members().sites
        assert sites == (NAMES if times == 0 or needed else ("east", "north", "west"))
    asked = Counter(grid.asked)
    assert [asked[index] for index in range(4)] == [1, 1, 1, 1]
    assert asked[4] == (min(times, 10) + 1 if needed else 1)
    assert told.away[0] == (0, "node 1001", "not-a-member")


def test_nobody_is_asked_twice() -> None:
    grid, told = ChangingGrid([SmallSite(name="elsewhere"), *honest()], range(5)), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    assert reception.refresh_roster(roster, 1) == roster
    assert sorted(grid.asked) == [0, 1, 2, 3, 4]
    assert told.away == [(0, "node 1001", "not-a-member")]


def test_a_member_whose_node_has_gone_is_absent() -> None:
    """Each round that begins without it names it."""
    grid, told = ChangingGrid(honest(), range(4)), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    grid.here = {0, 1, 3}
    for server_round in (1, 2):
        roster = reception.refresh_roster(roster, server_round)
        assert roster.sites == ("east", "north", "west")
    grid.here = {0, 1, 2, 3}
    assert reception.refresh_roster(roster, 3).sites == NAMES
    assert told.away == [(1, "south", "node-gone"), (2, "south", "node-gone")]


def test_a_member_that_comes_back_and_refuses_is_not_said_to_be_gone() -> None:
    """The refusal is why it is left out, also of later rounds."""
    refusal = {messages.HELLO: lambda _said: wire.refusal_of("bad-table", {}, site="south")}
    grid, told = ChangingGrid([*honest(), SmallSite(name="south", spoil=refusal)], range(4)), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    grid.here = {0, 1, 3, 4}
    for server_round in (1, 2):
        roster = reception.refresh_roster(roster, server_round)
    assert told.away == [(1, "south", "site-refused.bad-table")]


def test_a_refusal_in_the_name_of_a_site_that_is_away_is_not_final_for_it() -> None:
    """Or one node could end the run of all: it claims the names of those who are away."""
    refusal = {messages.HELLO: lambda _said: wire.refusal_of("bad-table", {}, site="south")}
    grid, told = ChangingGrid([*honest(), SmallSite(name="west", spoil=refusal)], range(4)), Told()
    known = FinalRefusals(told.events.append)
    reception = replace(reception_of(grid, told), observe=known)
    roster = reception.await_members()
    grid.here = {0, 1, 3, 4}
    roster = reception.refresh_roster(roster, 1)
    assert told.away == [(1, "south", "site-refused.bad-table")]
    assert known.sites == set()
    grid.here = {0, 1, 2, 3}
    assert reception.refresh_roster(roster, 2).sites == NAMES


def test_a_member_comes_back_under_its_old_node() -> None:
    """With node authentication, a SuperNode that restarts keeps its id."""
    grid = ChangingGrid(honest(), range(4))
    reception = reception_of(grid, Told())
    roster = reception.await_members()
    grid.here = {0, 1, 3}
    roster = reception.refresh_roster(roster, 1)
    grid.here = {0, 1, 2, 3}
    assert reception.refresh_roster(roster, 2).sites == NAMES


def test_a_member_comes_back_under_a_new_node() -> None:
    grid, told = ChangingGrid([*honest(), SmallSite(name="south")], range(4)), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    grid.here = {0, 1, 3, 4}
    roster = reception.refresh_roster(roster, 1)
    assert roster.sites == NAMES
    assert roster.present["south"].node == FIRST + 4
    assert told.away == []


def test_a_member_comes_back_before_its_old_node_is_seen_to_be_gone() -> None:
    """Its name is taken until Flower misses the old node's heartbeats; then it is asked again."""
    grid, told = ChangingGrid([*honest(), SmallSite(name="south")], range(4)), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    grid.here = {0, 1, 2, 3, 4}
    roster = reception.refresh_roster(roster, 1)
    assert roster.present["south"].node == FIRST + 2
    assert told.away == [(1, "south", "name-taken")]
    grid.here = {0, 1, 3, 4}
    roster = reception.refresh_roster(roster, 2)
    assert roster.sites == NAMES
    assert roster.present["south"].node == FIRST + 4


def test_a_member_that_comes_late_is_welcome() -> None:
    grid = ChangingGrid(honest(), [0, 1, 2])
    reception = reception_of(grid, Told())
    roster = reception.await_members()
    assert roster.sites == ("east", "north", "south")
    grid.here = {0, 1, 2, 3}
    assert reception.refresh_roster(roster, 2).sites == NAMES


def test_a_latecomer_has_no_vote() -> None:
    late = [SmallSite(name=name, layout=OTHER) for name in ("south", "west")]
    grid, told = ChangingGrid([SmallSite(name="east"), *late], [0]), Told()
    reception = reception_of(grid, told)
    roster = reception.await_members()
    grid.here = {0, 1, 2}
    assert reception.refresh_roster(roster, 5).sites == ("east",)
    assert told.away == [(5, "south", "wrong-layout"), (5, "west", "wrong-layout")]


@given(
    present=st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=2, max_size=6),
)
def test_after_a_welcome_every_member_with_a_node_is_present(present: list[set[int]]) -> None:
    """Whatever the history: nodes 4 and 5 are second nodes of east and north."""
    grid = ChangingGrid([*honest(), *honest(["east", "north"])], present[0])
    reception = reception_of(grid, Told())
    roster = reception.await_members()
    for server_round, here in enumerate(present[1:], 1):
        grid.here = here
        roster = reception.refresh_roster(roster, server_round)
        assert set(roster.sites) == {NAMES[index % 4] for index in here}
        assert {member.node - FIRST for member in roster.present.values()} <= here
