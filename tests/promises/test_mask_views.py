"""Of a masked round one sum opens, over all honest sites that were asked: in every possible view.

The coordinator is malicious and has a member with it. It chooses whom it asks with whom, in two
attempts, which state it shows to whom, and which sets it shows to whom, before and after. Every
choice is played; the sites' rules and memories are the real ones.
"""

from pathlib import Path

import pytest

from privacy.protocol.masks import set_checks
from privacy.protocol.masks.set_checks import CheckedSet, KnownRound, ShownSet, StatesDiffer
from tests import mask_views
from tests.carrier import staged
from tests.mask_views import Cohort, Play, States, first_of

THREE_STATES: tuple[States, ...] = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2))


def four(folder: Path, *, too_few: int = 0, forgets: bool = False) -> Play:
    """Four sites, one of them in league with the coordinator."""
    return Play(
        honest=("a", "b", "e"), in_league=("c",), folder=folder, too_few=too_few, forgets=forgets
    )


def three(folder: Path, in_league: Cohort = ("c",), *, state_in_masks: bool = True) -> Play:
    """Three sites, of which all but those in league are honest."""
    honest = tuple(one for one in ("a", "b", "c") if one not in in_league)
    return Play(honest=honest, in_league=in_league, folder=folder, state_in_masks=state_in_masks)


def opened(play: Play, states: tuple[States, ...] = THREE_STATES) -> str | None:
    """Return what lies open that may not, in the first such view."""
    found = first_of(play.views(states))
    return None if found is None else found.opens


def test_no_view_of_four_sites_shows_a_second_sum_or_one_site(tmp_path: Path) -> None:
    played = four(tmp_path)
    assert opened(played) is None
    staged(so=played.opened > 10_000, what="hardly any view opened a sum at all")


def test_with_a_quorum_of_one_less_a_second_sum_opens(tmp_path: Path) -> None:
    """The eyes of these tests see; and q is not larger than it must be."""
    assert opened(four(tmp_path, too_few=1)) == "more than one sum"


def test_with_a_memory_that_was_put_back_a_second_sum_opens(tmp_path: Path) -> None:
    """One site that forgot what it confirmed is one more in league: the excluded case."""
    assert opened(four(tmp_path, forgets=True)) == "more than one sum"


def test_below_the_floor_one_site_opens(tmp_path: Path) -> None:
    """Of two sites, one in league, the sum is the other one's."""
    played = four(tmp_path)
    played.floor -= 1
    assert opened(played) == "one site"


@pytest.mark.parametrize("in_league", [(), ("c",)])
def test_no_view_of_three_sites_shows_more_than_their_sum(
    tmp_path: Path, in_league: Cohort
) -> None:
    played = three(tmp_path, in_league)
    states = tuple(one[: len(played.honest)] for one in THREE_STATES)
    assert opened(played, states) is None
    staged(so=played.opened > 0, what="no view opened a sum at all")


def without_the_state(shown: ShownSet, known: KnownRound) -> CheckedSet | None:
    """Check a set as ever, but for the states of its sites."""
    try:
        return set_checks.check_set(shown, known)
    except StatesDiffer:
        return None


@pytest.mark.parametrize(("compared", "in_masks"), [(True, False), (False, True), (False, False)])
def test_either_of_two_rules_keeps_sites_of_several_states_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: bool, in_masks: bool
) -> None:
    """They compare the states before they confirm, and masks of other states do not cancel."""
    if not compared:
        monkeypatch.setattr(mask_views, "check_set", without_the_state)
    found = opened(three(tmp_path, state_in_masks=in_masks), ((0, 1),))
    assert found == (None if compared or in_masks else "sites in several states")
