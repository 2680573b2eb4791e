"""Sets that are confirmed over rounds and runs do not differ by single sites.

What a site claims, it claims in the commit of its confirmation: a sum that was sealed and never
confirmed is noise, and binds nobody.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import TRAINING, Slot
from privacy.protocol.masks.groups import confirmations_needed
from privacy.protocol.masks.set_checks import ShownSet
from privacy.secrets.masked_runs.mask_memory import OtherSetConfirmed
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData, OtherBuckets, OtherSites, Start
from tests.mask_views import open_sums
from tests.masked_sites import CHARTER, MaskedSite, begin, shown, slot_of, upload_of

COUNTED = CountedData(charter=CHARTER, data_set="records")
START = Start(counted=COUNTED, seed=7)
NAMES = ("a", "b", "c", "d", "e")

Sites = dict[str, MaskedSite]
Begin = Callable[..., Sites]


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Begin]:
    """Begin a run at some sites."""
    with ExitStack() as stack:

        def sites(buckets: dict[str, int], *, one_set: bool = False) -> Sites:
            made = {
                name: MaskedSite.begun(name, tmp_path, buckets, floor=3, one_set=one_set)
                for name in buckets
            }
            for site in made.values():
                stack.enter_context(site.memory)
            return made

        yield sites


def asked(sites: Sites, cohort: Sequence[str], server_round: int, attempt: int = 1) -> ShownSet:
    """Ask a cohort to seal; return the set of what came."""
    slot = slot_of(attempt, server_round=server_round)
    return shown(slot, cohort, [sites[one].ask(slot, cohort) for one in cohort])


def test_who_was_in_the_first_set_is_not_left_out_of_a_later_one(begun: Begin) -> None:
    """Round 2 without e, where a run has one set: refused at sealing, and at confirming."""
    sites = begun(dict.fromkeys(NAMES, 0), one_set=True)
    first = asked(sites, NAMES, 1)
    for site in sites.values():
        site.confirm(first)
    fewer, slot = NAMES[:-1], slot_of(server_round=2)
    for name in fewer:
        with pytest.raises(OtherSetConfirmed):
            sites[name].ask(slot, fewer)
    forced = shown(slot, fewer, [upload_of(one, slot, fewer) for one in fewer])
    with pytest.raises(OtherSetConfirmed):
        sites["e"].confirm(forced)
    second = asked(sites, NAMES, 2)
    for site in sites.values():
        site.confirm(second)


def test_a_site_that_only_opened_the_first_set_is_bound_by_it_too(begun: Begin) -> None:
    """It was away when the others confirmed."""
    sites = begun(dict.fromkeys(NAMES, 0), one_set=True)
    sites["a"].accept(asked(sites, NAMES, 1))
    with pytest.raises(OtherSetConfirmed):
        sites["a"].ask(slot_of(server_round=2), NAMES[:-1])


def test_a_bucket_that_was_left_out_is_bound_by_nothing(begun: Begin) -> None:
    """It gets its sites when its first set is confirmed."""
    buckets = {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 1, "w": 1}
    sites, slot = begun(buckets, one_set=True), slot_of()
    cohort, second = tuple(buckets), slot_of(server_round=2)
    whole = [sites[one].ask(slot, cohort) for one in ("a", "b", "c")]
    for site in sites.values():
        site.confirm(shown(slot, cohort, whole))
    without_w = ("a", "b", "c", "x", "y", "z")
    told = shown(second, without_w, [sites[one].ask(second, without_w) for one in without_w])
    for site in sites.values():
        site.confirm(told)
    with pytest.raises(OtherSetConfirmed):
        sites["x"].ask(slot_of(server_round=3), cohort)


def test_where_any_set_is_allowed_who_is_late_is_left_out_of_one_round(begun: Begin) -> None:
    """With noise: what two such sums say of a site, the noise bounds."""
    sites = begun(dict.fromkeys(NAMES, 0))
    for server_round, cohort in ((1, NAMES), (2, NAMES[:-1]), (3, NAMES)):
        told = asked(sites, cohort, server_round)
        for site in sites.values():
            site.confirm(told)


def slot_in(run: str) -> Slot:
    return Slot(run=run, purpose=TRAINING, server_round=1, attempt=1)


def test_the_same_start_is_not_opened_in_other_buckets_without_noise(tmp_path: Path) -> None:
    """Nine sites in three buckets: three such openings show a site alone."""
    first = [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]
    second = [["a", "d", "g"], ["b", "e", "h"], ["c", "f", "i"]]
    with SiteMemory(tmp_path / "a") as memory:

        def confirm(run: str, buckets: Sequence[Sequence[str]]) -> None:
            memory.masks.confirm(
                slot_in(run),
                b"\x01" * 32,
                only_sites={},
                claim=lambda: memory.rosters.claim_start(START, buckets),
            )

        for run in ("run-1", "run-2", "run-3"):
            begin(memory, run)
        confirm("run-1", first)
        with pytest.raises(OtherBuckets):
            confirm("run-2", second)
        assert memory.masks.confirmed(slot_in("run-2")) is None
        confirm("run-3", first)


def opened_rosters(
    folder: Path, rosters: Sequence[str], in_league: str, *, claims: bool
) -> list[str]:
    """Return the rosters whose counts open, if each is the roster of a run, in this order."""
    opened = []
    with ExitStack() as stack:
        memories = {
            site: stack.enter_context(SiteMemory(folder / site))
            for site in sorted({*"".join(rosters)} - {in_league})
        }

        def confirms(site: str, run: str, roster: str) -> bool:
            memory = memories[site]
            begin(memory, run)

            def claim() -> None:
                if claims and not memory.rosters.claim_roster(COUNTED, [*roster]):
                    raise OtherSites("exact counts are of one roster")

            try:
                memory.masks.confirm(slot_in(run), b"\x01" * 32, only_sites={}, claim=claim)
            except ConsortiumError:
                return False
            return True

        for number, roster in enumerate(rosters):
            honest = [site for site in roster if site != in_league]
            # Every site is asked, also if another one refused: it does not know.
            votes = sum(confirms(site, f"run-{number}", roster) for site in honest)
            if votes + (in_league in roster) >= confirmations_needed(len(roster), 1):
                opened.append(roster)
    return opened


def alone(rosters: Sequence[str], in_league: str) -> list[str]:
    """Return the sites whose own value follows from the sums over rosters."""
    honest = sorted({*"".join(rosters)} - {in_league})
    rows: list[dict[object, int]] = [
        {site: 1 for site in roster if site != in_league} for roster in rosters
    ]
    solved = open_sums(rows, honest)  # of solved rows, a single value is a row of its own
    return [
        honest[next(i for i, weight in enumerate(row) if weight)]
        for row in solved
        if sum(map(bool, row)) == 1
    ]


TWO = ("abecf", "abf")  # they differ by e and by c, which knows its own
FOUR = ("abcdef", "abcghi", "defghij", "abc")  # any two differ by three sites or more


@pytest.mark.parametrize(("rosters", "in_league"), [(TWO, "c"), (FOUR, "z"), (FOUR, "a")])
def test_no_order_of_rosters_shows_a_site_alone(
    tmp_path: Path, rosters: tuple[str, ...], in_league: str
) -> None:
    turns = [rosters[turn:] + rosters[:turn] for turn in range(len(rosters))]
    for number, order in enumerate(turns):
        opened = opened_rosters(tmp_path / str(number), order, in_league, claims=True)
        assert opened[0] == order[0]
        assert not alone(opened, in_league)
        if number == 0:
            seen = opened_rosters(tmp_path / "without", order, in_league, claims=False)
            assert alone(seen, in_league)  # the eyes of this test see
