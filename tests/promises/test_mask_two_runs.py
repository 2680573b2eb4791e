"""Two runs from one start open one set, whoever a coordinator asks to confirm in which of them."""

from pathlib import Path

import pytest

from privacy.protocol.masks import groups
from privacy.secrets.roster_memory import CountedData
from tests.masked_by_hand import ByHand, Gathered, memory_of
from tests.small_consortium import Consortium

LEFT_OUT, IN_LEAGUE = "north", "west"


def refusals(run: ByHand, gathered: Gathered, names: tuple[str, ...]) -> list[str]:
    """Return the codes with which some witnesses refuse to confirm a set; empty if they confirm."""
    asked = {name: run.confirmation_request(gathered, name).content() for name in names}
    return [run.refusal(name, "query.confirm", one) for name, one in asked.items()]


def test_a_site_that_a_second_run_leaves_out_does_not_help_to_open_its_sum(tmp_path: Path) -> None:
    """The first run sums all, the second one all but north; the difference would be north's update.

    Each sum needs three confirmations, and west gives one to both. East is asked in the first run
    only and south in the second, so north is the one honest site that both need.
    """
    first = ByHand(Consortium.placed(tmp_path))
    first.set_up()
    everybody = first.train(1, first.statistics())
    second = ByHand(first.consortium)
    second.compare_ledgers()
    second.offer_keys()
    second.open()
    second.pair()
    fewer = second.train(1, second.statistics(), asked=["east", "south", IN_LEAGUE])
    assert first.needed == second.needed == 3
    assert refusals(first, everybody, ("east", LEFT_OUT)) == ["", ""]
    assert refusals(second, fewer, ("south", LEFT_OUT)) == ["", "other-sites"]


def roster_chosen(run: ByHand, name: str) -> bool | None:
    """Return whether a site counts exactly for the roster of this run; None if for none yet."""
    site = run.places[name].site
    counted = CountedData(charter=site.fingerprint, data_set=site.config.data_set)
    return memory_of(run.places[name]).rosters.counts_for(counted, run.names)


@pytest.mark.parametrize(("most", "chosen"), [(3, True), (32, None)])
def test_where_not_all_sites_confirm_statistics_are_sealed_for_one_roster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, chosen: bool | None
) -> None:
    """Of all, of one half and of the other: three such sums would leave one site alone.

    Where all sites confirm, a quorum of each of these sums is more than there are sites.
    """
    monkeypatch.setattr(groups, "MOST_WITNESSES", most)
    run = ByHand(Consortium.placed(tmp_path))
    run.set_up()
    run.statistics()
    assert [roster_chosen(run, name) for name in run.names] == [chosen] * 4
