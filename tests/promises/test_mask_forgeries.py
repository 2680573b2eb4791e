"""A coordinator in league with a member makes no honest site open what it chose afterwards.

It has the keys of the run, which every member has: it forges sums whose checksum is right, and
seals shares to the sites. East is the member. Real sites, put by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from privacy.protocol.envelope import TRAINING, Receipt
from privacy.protocol.grouping import WITHHELD
from privacy.protocol.masks.confirmations import Confirmation
from privacy.secrets.masks.share_bundles import open_shares, seal_shares
from tests.masked_by_hand import ByHand, Gathered, memory_of, session_at
from tests.opened_sums import opened_sums
from tests.small_consortium import Consortium, Place, forget_processes
from tests.tampering import added, as_sum, numbers

HONEST = ("north", "south", "west")

Standing = tuple[ByHand, Gathered]


@pytest.fixture(scope="module")
def first_round(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    """Four sites that trained once; nobody confirmed that yet."""
    forget_processes()
    run = ByHand(Consortium.placed(tmp_path_factory.mktemp("forgeries") / "run"))
    run.set_up()
    return run, run.train(1, run.statistics())


@pytest.fixture
def trained(first_round: Standing, tmp_path: Path) -> Standing:
    """A copy of that run which a test may alter."""
    return first_round[0].again(tmp_path / "run"), first_round[1]


def forged(run: ByHand, gathered: Gathered, level: int) -> Gathered:
    """Return the round with a sum that holds what no receipt names; its checksum is right."""
    session = session_at(run.places["east"], run.opening)
    placement = session.terms.updates_in(1)
    wanted = np.full(placement.dim, level, np.int32)
    nothing = np.zeros(placement.tally_size, np.int64)
    planted = session.terms.sealer(TRAINING, 1, placement).seal(wanted, nothing, pad=0)
    both = numbers(gathered.sums[0], placement) + numbers(added(placement, [planted]), placement)
    return replace(gathered, sums={0: as_sum(both, placement)})


def refusals(run: ByHand, before: Gathered, said: Sequence[Confirmation]) -> dict[str, str]:
    """Show a sum of round 1 with confirmations to the honest sites; return what each says."""
    asked = run.question(2, before=before, confirmations=said).content()
    return {name: run.refusal(name, "train", asked) for name in HONEST}


def states(gathered: Gathered) -> set[bytes]:
    """Return from which states the sites trained."""
    return {Receipt.decode(one.receipt).label.state for one in gathered.replies.values()}


def test_a_sum_that_was_forged_after_the_confirmations_is_opened_nowhere(
    trained: Standing,
) -> None:
    """Its checksum would be right. Nobody decrypts it, and the run goes on with the true one."""
    run, gathered = trained
    said = run.confirm(gathered)
    with opened_sums() as seen:
        for level in (1, 50):
            told = refusals(run, forged(run, gathered, level), said)
            assert set(told.values()) == {"another-set-confirmed"}
    assert not seen
    for name in HONEST:
        memory_of(run.places[name]).require_unburned(run.run)
    assert set(refusals(run, gathered, said).values()) == {""}


def test_a_sum_that_was_forged_before_the_confirmations_is_the_same_at_all_sites(
    trained: Standing,
) -> None:
    """East adds what it likes, as it could to its own update; no site gets another one."""
    run, gathered = trained
    chosen = forged(run, gathered, 50)
    said = run.confirm(chosen)
    for other in (gathered, forged(run, gathered, 1)):
        assert set(refusals(run, other, said).values()) == {"another-set-confirmed"}
        asked = run.confirmation_request(other, "north").content()
        assert run.refusal("north", "query.confirm", asked) == "round-confirmed"
    assert len(states(run.train(2, chosen, confirmations=said))) == 1


def test_a_sum_for_each_site_is_confirmed_for_none(trained: Standing) -> None:
    """The draft opened one at each: differences of states then show single updates."""
    run, gathered = trained
    sums = {name: forged(run, gathered, level) for level, name in enumerate(HONEST, 1)}
    for name, chosen in sums.items():
        in_league = Confirmation.sign(  # it signs one for each
            chosen.sum_set.digest,
            witness="east",
            shares=b"",
            sign=run.consortium.identity("east").sign,
        )
        said = [in_league, *run.confirm(chosen, [name])]
        assert run.needed == 3
        assert set(refusals(run, chosen, said).values()) == {"too-few-confirmations"}


def spoken_for(run: ByHand, gathered: Gathered, said: Confirmation, name: str) -> Confirmation:
    """Return a confirmation in the name of a site, with shares that east sealed itself."""
    east = session_at(run.places["east"], run.opening)
    count = len(gathered.updating) + len(gathered.counting)
    key = east.terms.opened.keys.reveal
    shares = open_shares(
        said.shares, count=count, key=key, set_digest=said.set_digest, witness=said.witness
    )
    sealed = seal_shares(shares, key=key, set_digest=said.set_digest, witness=name)
    return Confirmation.sign(
        said.set_digest, witness=name, shares=sealed, sign=east.terms.member.identity.sign
    )


def test_who_has_the_reveal_key_speaks_for_no_other_site(trained: Standing) -> None:
    """East can seal shares as north would; the signature is north's alone."""
    run, gathered = trained
    east, south = run.confirm(gathered, ["east", "south"])
    forgery = spoken_for(run, gathered, south, "north")
    with opened_sums() as seen:
        assert set(refusals(run, gathered, [east, forgery, south]).values()) == {"bad-signature"}
    assert not seen
    (north,) = run.confirm(gathered, ["north"])
    altered = replace(north, shares=forgery.shares)
    assert set(refusals(run, gathered, [east, altered, south]).values()) == {"bad-signature"}
    assert set(refusals(run, gathered, [east, north, south]).values()) == {""}


@dataclass
class Without(ByHand):
    """A run of all but some sites, whose absence the run config names."""

    absent: tuple[str, ...] = ()

    def agree_on_epoch(self) -> None:
        """Hold the epoch secret of the run before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who takes part."""
        return tuple(name for name in super().names if name not in self.absent)

    @cached_property
    def places(self) -> dict[str, Place]:
        """The sites."""
        without = ",".join(self.absent)
        return {
            name: self.consortium.place(name, masks=True, seed=8, without=without)
            for name in self.names
        }


def test_of_statistics_with_a_site_and_without_it_one_sum_opens(tmp_path: Path) -> None:
    """All four sealed; then the coordinator says that west is missing, and begins again.

    The sum of four stays closed, though all uploads are there, and the coordinator knows what
    east knows: its pair secrets, and the keys of the run.
    """
    forget_processes()
    four = ByHand(Consortium.placed(tmp_path / "run"))
    four.set_up()
    all_sealed = four.statistics()
    three = Without(four.consortium, absent=("west",))
    three.set_up()
    fewer = three.statistics()
    three.train(1, fewer)
    confirmed = ["east"]
    for name in HONEST:
        asked = four.confirmation_request(all_sealed, name).content()
        refused = four.refusal(name, "query.confirm", asked)
        assert refused == ("" if name == "west" else "another-roster")
        confirmed += [] if refused else [name]
    assert len(confirmed) < four.needed
    said = four.confirm(all_sealed, ["west"])
    question = four.question(1, before=all_sealed, confirmations=said).content()
    with opened_sums() as seen:
        assert four.refusal("west", "train", question) == "too-few-confirmations"
    assert not seen


def test_after_the_sum_with_a_site_nobody_counts_without_it(tmp_path: Path) -> None:
    """They seal zeros, and say so: nobody confirms a sum of them."""
    forget_processes()
    four = ByHand(Consortium.placed(tmp_path / "run"))
    four.set_up()
    four.train(1, four.statistics())
    three = Without(four.consortium, absent=("west",))
    three.set_up()
    withheld = three.statistics()
    classes = {
        Receipt.decode(one.count_receipt).label.weight_class for one in withheld.replies.values()
    }
    assert classes == {WITHHELD}
    for name in ("north", "south"):
        asked = three.confirmation_request(withheld, name).content()
        assert three.refusal(name, "query.confirm", asked) == "wrong-weight-class"
