"""The exact sums of a charter never combine to one site's value, whoever is in which run."""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import (
    CountedData,
    OtherBuckets,
    OtherSettings,
    OtherSites,
    Start,
)

SITES = ("a", "b", "c", "d", "e", "f")
FLOOR = 3
COUNTED = CountedData(charter="0" * 64, data_set="records")
Rosters = list[frozenset[str]]


def opened(memories: dict[str, SiteMemory], rosters: Rosters) -> Rosters:
    """Return the rosters whose exact sums everybody can open: all of their sites sealed."""
    complete: Rosters = []
    for roster in rosters:
        # Every site is asked, also if another one refused: it does not know.
        sealed = [memories[site].rosters.claim_roster(COUNTED, sorted(roster)) for site in roster]
        complete += [roster] if all(sealed) else []
    return complete


def rank(rows: Sequence[Sequence[int]]) -> int:
    """Return the rank of a matrix of whole numbers, exactly."""
    left = [[Fraction(value) for value in row] for row in rows]
    found = 0
    for column in range(len(SITES)):
        pivot = next((i for i in range(found, len(left)) if left[i][column]), None)
        if pivot is None:
            continue
        left[found], left[pivot] = left[pivot], left[found]
        for i in range(found + 1, len(left)):
            factor = left[i][column] / left[found][column]
            left[i] = [x - factor * y for x, y in zip(left[i], left[found], strict=True)]
        found += 1
    return found


def isolated(sums: Rosters) -> list[str]:
    """Return the sites whose own value is a combination of these sums."""
    rows = [[int(site in roster) for site in SITES] for roster in sums]
    return [
        site
        for site in SITES
        if rank([*rows, [int(one == site) for one in SITES]]) == rank(rows) and rows
    ]


def test_sums_over_whatever_rosters_isolate_sites() -> None:
    """The law below is not empty: four of five sites, and two pairs with all, show one."""
    everyone, without = frozenset("abcd"), frozenset("abc")
    assert isolated([everyone, without]) == ["d"]
    assert isolated([frozenset("abc"), frozenset("ade"), frozenset("abcde")]) == ["a"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.frozensets(st.sampled_from(SITES), min_size=FLOOR), min_size=1, max_size=12),
    st.data(),
)
def test_no_sites_value_is_in_the_span_of_the_exact_sums(
    rosters: Rosters, data: st.DataObject
) -> None:
    """Runs in any order, each with sites away; between any two, a site may restart."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        memories = {site: stack.enter_context(SiteMemory(Path(folder) / site)) for site in SITES}
        sums: Rosters = []
        for roster in rosters:
            restarted = data.draw(st.sampled_from(SITES))
            memories[restarted].close()
            memories[restarted] = stack.enter_context(SiteMemory(Path(folder) / restarted))
            sums += opened(memories, [roster])
    assert not isolated(sums)
    assert all(one == other or not one & other for one in sums for other in sums)


def test_the_first_roster_stands_for_its_charter_and_data_set_only(tmp_path: Path) -> None:
    other_charter = CountedData(charter="1" * 64, data_set="records")
    other_data = CountedData(charter="0" * 64, data_set="images")
    with SiteMemory(tmp_path) as memory:
        assert memory.rosters.claim_roster(COUNTED, ["b", "a"])
        assert memory.rosters.claim_roster(COUNTED, ["a", "b"])
        assert not memory.rosters.claim_roster(COUNTED, ["a", "b", "c"])
        for counted in (other_charter, other_data):
            assert memory.rosters.claim_roster(counted, ["a", "b", "c"])


START = Start(counted=COUNTED, seed=7)


def test_updates_from_a_start_are_sealed_for_the_first_roster_only(tmp_path: Path) -> None:
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_start(START, [["a", "b", "c", "d"]])
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_start(START, [["d", "c", "b", "a"]])
        with pytest.raises(OtherSites, match="same sites, with another seed, or with noise"):
            memory.rosters.claim_start(START, [["a", "b", "c"]])
        memory.rosters.claim_start(Start(counted=COUNTED, seed=8), [["a", "b", "c"]])


def test_updates_from_a_start_are_sealed_for_the_first_buckets_only(tmp_path: Path) -> None:
    """Whatever drew them: another epoch has another key, and another number is another draw."""
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_start(START, [["a", "b", "c"], ["d", "e", "f"]])
        memory.rosters.claim_start(START, [["f", "d", "e"], ["c", "a", "b"]])
        for others in ([["a", "b", "d"], ["c", "e", "f"]], [["a", "b", "c", "d", "e", "f"]]):
            with pytest.raises(OtherBuckets):
                memory.rosters.claim_start(START, others)
        memory.rosters.claim_start(Start(counted=COUNTED, seed=8), [["a", "b", "d", "e"]])


def test_updates_from_a_start_are_sealed_with_the_first_settings_only(tmp_path: Path) -> None:
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_settings(START, "0a")
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_settings(START, "0a")
        with pytest.raises(OtherSettings, match="give the run another seed"):
            memory.rosters.claim_settings(START, "0b")
        memory.rosters.claim_settings(Start(counted=COUNTED, seed=8), "0b")


def test_another_charter_does_not_begin_a_start_anew(tmp_path: Path) -> None:
    """Of the same sites, buckets and settings it may: it is then the same sum."""
    later = Start(counted=CountedData(charter="1" * 64, data_set="records"), seed=START.seed)
    with SiteMemory(tmp_path / "memory") as memory:
        rosters = memory.rosters
        rosters.claim_start(START, ["abc", "def"])
        rosters.claim_settings(START, "0a")
        rosters.claim_opened(START, 1, ["abc"])
        rosters.require_other_start(later, ["fed", "bca"], "0a")
        for buckets, settings in ((["abc", "de"], "0a"), (["abd", "cef"], "0a"), (["abc"], "0a")):
            with pytest.raises(OtherSites):
                rosters.require_other_start(later, buckets, settings)
        with pytest.raises(OtherSites):
            rosters.require_other_start(later, ["abc", "def"], "0b")
        rosters.require_other_start(replace(later, seed=START.seed + 1), ["abc"], "0b")
        other = CountedData(charter="1" * 64, data_set="other")
        rosters.require_other_start(replace(later, counted=other), ["abc"], "0b")
        # Under its own charter `claim_start` decides.
        rosters.require_other_start(START, ["abc"], "0b")


def test_other_data_and_another_charter_have_starts_of_their_own(tmp_path: Path) -> None:
    other_charter = CountedData(charter="1" * 64, data_set="records")
    other_data = CountedData(charter="0" * 64, data_set="images")
    with SiteMemory(tmp_path) as memory:
        for size, counted in enumerate((COUNTED, other_charter, other_data), start=3):
            memory.rosters.claim_start(Start(counted=counted, seed=7), [SITES[:size]])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(1, 2),
            st.frozensets(st.sampled_from(SITES), min_size=FLOOR),
        ),
        max_size=12,
    )
)
def test_the_sums_of_one_start_and_round_isolate_no_site(
    sums: list[tuple[int, int, frozenset[str]]],
) -> None:
    """A site that opens whatever it is shown, in runs that lose sites in any round."""
    opened: dict[tuple[int, int], Rosters] = {}
    with TemporaryDirectory() as folder, SiteMemory(Path(folder)) as memory:
        for seed, number, sites in sums:
            start = Start(counted=COUNTED, seed=seed)
            with suppress(OtherSites):
                memory.rosters.claim_opened(start, number, [sorted(sites)])
                opened.setdefault((seed, number), []).append(sites)
    assert not any(isolated(of_round) for of_round in opened.values())


def test_the_same_updates_are_not_opened_in_other_buckets(tmp_path: Path) -> None:
    """Nor in the same buckets under other numbers: those say nothing of who is added to whom."""
    with SiteMemory(tmp_path) as memory:
        memory.rosters.claim_opened(START, 1, [["a", "b", "c"], ["d", "e", "f"]])
        memory.rosters.claim_opened(START, 1, [["f", "e", "d"], ["a", "b", "c"]])
        with pytest.raises(OtherSites):
            memory.rosters.claim_opened(START, 1, [["a", "b", "d"], ["c", "e", "f"]])


def test_a_sealed_roster_gives_way_until_its_sum_is_opened(tmp_path: Path) -> None:
    """A member that was asked and never answered binds nobody."""
    with SiteMemory(tmp_path) as memory:
        for roster in ("abcd", "abc"):
            memory.rosters.seal_statistics_for(COUNTED, roster)
            assert memory.rosters.counts_for(COUNTED, roster) is None
        assert memory.rosters.open_statistics_of(COUNTED, "abc")
    with SiteMemory(tmp_path) as memory:
        memory.rosters.seal_statistics_for(COUNTED, "abcd")
        assert not memory.rosters.open_statistics_of(COUNTED, "abcd")
        assert memory.rosters.open_statistics_of(COUNTED, "cba")
        assert not memory.rosters.counts_for(COUNTED, "abcd")
        assert not memory.rosters.claim_roster(COUNTED, "abcd")


def test_of_two_sealed_rosters_the_earlier_one_is_not_opened(tmp_path: Path) -> None:
    """All sites of the later one have sealed for it, so none of them opens the earlier one."""
    with SiteMemory(tmp_path) as memory:
        memory.rosters.seal_statistics_for(COUNTED, "abcd")
        memory.rosters.seal_statistics_for(COUNTED, "abc")
        assert not memory.rosters.open_statistics_of(COUNTED, "abcd")
        assert memory.rosters.open_statistics_of(COUNTED, "abc")


def test_who_was_given_statistics_opens_none(tmp_path: Path) -> None:
    """The difference would be that of the sites between."""
    with SiteMemory(tmp_path) as memory:
        memory.rosters.seal_statistics_for(COUNTED, "abcd")
        memory.rosters.forget_sealed_statistics(COUNTED)
        assert not memory.rosters.open_statistics_of(COUNTED, "abcd")
        assert memory.rosters.claim_roster(COUNTED, "abcd")  # for an evaluation
        assert not memory.rosters.open_statistics_of(COUNTED, "abcd")


def test_who_holds_statistics_chooses_its_roster_when_it_has_seen_that_they_are_the_same(
    tmp_path: Path,
) -> None:
    with SiteMemory(tmp_path) as memory:
        memory.rosters.seal_statistics_for(COUNTED, "abcd")
        memory.rosters.keep_pooled_statistics(COUNTED.charter, np.array([7]))
        assert memory.rosters.open_statistics_of(COUNTED, "abcd")
        assert memory.rosters.counts_for(COUNTED, "abcd") is None


def test_what_was_counted_first_stays(tmp_path: Path) -> None:
    """A patient who came overnight would be the difference."""
    first, later = np.array([3, 5]), np.array([3, 6])
    with SiteMemory(tmp_path) as memory:
        assert memory.rosters.own_statistics(COUNTED) is None
        assert memory.rosters.keep_own_statistics(COUNTED, first).tolist() == [3, 5]
        assert memory.rosters.keep_own_statistics(COUNTED, later).tolist() == [3, 5]
    with SiteMemory(tmp_path) as memory:
        held = memory.rosters.own_statistics(COUNTED)
        assert held is not None
        assert held.tolist() == [3, 5]


def test_the_statistics_that_were_opened_last_are_kept(tmp_path: Path) -> None:
    with SiteMemory(tmp_path) as memory:
        assert memory.rosters.pooled_statistics(COUNTED.charter) is None
        for tally in (np.array([7]), np.array([8])):
            memory.rosters.keep_pooled_statistics(COUNTED.charter, tally)
        held = memory.rosters.pooled_statistics(COUNTED.charter)
        assert held is not None
        assert held.tolist() == [8]
        assert memory.rosters.pooled_statistics("1" * 64) is None


def test_a_memory_without_the_tables_gets_them(tmp_path: Path) -> None:
    """As one of version 0.1.0, which remembered no rosters."""
    with SiteMemory(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "memory.sqlite")) as database:
        for table in (
            "exact_rosters",
            "own_statistics",
            "pooled_statistics",
            "sealed_rosters",
            "start_rosters",
        ):
            database.execute(f"DROP TABLE {table}")
        database.commit()
    with SiteMemory(tmp_path) as memory:
        assert memory.rosters.claim_roster(COUNTED, ["a", "b", "c"])


@given(asked=st.lists(st.integers(1, 4), max_size=6), value=st.integers(-(2**40), 2**40))
def test_records_are_counted_again_only_by_a_higher_number(asked: list[int], value: int) -> None:
    """The number is the operator's: the same one, asked again, forgets nothing."""
    with TemporaryDirectory() as folder, SiteMemory(Path(folder)) as memory:
        rosters, highest = memory.rosters, 0
        for number in asked:
            rosters.keep_own_statistics(COUNTED, np.array([value]))
            rosters.forget_own_statistics(COUNTED, number=number)
            assert (rosters.own_statistics(COUNTED) is None) == (number > highest)
            highest = max(highest, number)
            assert rosters.recounts(COUNTED) == highest


@given(values=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4))
def test_what_was_counted_of_a_model_first_is_what_counts(values: list[int]) -> None:
    with TemporaryDirectory() as folder, SiteMemory(Path(folder)) as memory:
        assert memory.rosters.own_evaluation(COUNTED, "aa") is None
        for value in values:
            kept = memory.rosters.keep_own_evaluation(COUNTED, "aa", np.array([value]))
            assert kept.tolist() == [values[0]]
        assert memory.rosters.own_evaluation(COUNTED, "bb") is None
