from dataclasses import replace

import pytest

from consortium.charter.document import Floors
from consortium.config import Scalar
from privacy.errors import ConsortiumError
from privacy.layout import Field, Layout
from privacy.protocol.envelope import TRAINING, Slot, UploadLabel
from strategies.coordinator.encrypted.parameters import (
    NothingSent,
    RoundVoid,
    SealedTerms,
    StateDisputed,
)
from strategies.coordinator.messaging.reply_validation import ReplyRefused
from strategies.rules.registry import SPECS
from tests.small_consortium import Consortium, Course

LAYOUT = Layout(fields=(Field("weight", (3, 5)),))


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> SealedTerms:
    floors = Floors(min_others=3, encrypted=True)
    consortium = Consortium.placed(tmp_path_factory.mktemp("terms"), floors=floors)
    return consortium.strategy(Course(), attempts=2)._terms


def test_the_floor_counts_whoever_reads_as_well(terms: SealedTerms) -> None:
    assert terms.floor == 4
    assert terms.attempts == 2


@pytest.fixture(scope="module")
def fifteen(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    folder = tmp_path_factory.mktemp("fifteen")
    return Consortium.placed(folder, [f"site-{index:02}" for index in range(15)])


@pytest.mark.parametrize(("liars", "voters"), [(0, 1), (1, 3), (2, 5)])
def test_twice_as_many_buckets_as_liars_and_one_are_needed(
    liars: int, voters: int, fifteen: Consortium
) -> None:
    """By every rule that expects liars and gives the same bits on every CPU."""
    robust = [one for one in SPECS if one.same_on_every_cpu and one.sites_needed(1)]
    for rule in ["mean"] if not liars else [one.name for one in robust]:
        rules: dict[str, Scalar] = {"rule.name": rule, "rule.num-byzantine": liars}
        strategy = fifteen.strategy(Course(), weighting="equal", buckets=5, **rules)
        assert strategy._terms.voters == voters


def test_each_kind_of_upload_has_its_form(terms: SealedTerms) -> None:
    """Updates are added by bucket and tallies all together, each in its own form."""
    many = replace(terms, buckets=3, weight_classes=(4, 8))
    updates, counts = many.update_form(LAYOUT, 2), many.evaluation_form(LAYOUT)
    statistics = many.statistics_form(LAYOUT)
    assert [form.name for form in (updates, counts, statistics)] == [
        "updates",
        "counts",
        "statistics",
    ]
    assert [form.buckets for form in (updates, counts, statistics)] == [3, 1, 1]
    classes = [form.weight_classes for form in (updates, counts, statistics)]
    assert classes == [(4, 8), (1, 2), (1, 4, 2)]  # counted, counted again, withheld
    assert updates.placement.dim == LAYOUT.dim
    assert counts.placement == terms.evaluation
    assert statistics.placement == terms.statistics
    assert counts.placement != statistics.placement


def test_a_form_knows_the_header_of_an_upload(terms: SealedTerms) -> None:
    slot = Slot(run="run-1", purpose=TRAINING, server_round=1, attempt=1)
    label = UploadLabel(
        slot=slot, site="east", bucket=0, weight_class=1, nonce=bytes(32), state=bytes(32)
    )
    header = terms.update_form(LAYOUT, 2).header(label)
    assert header.label == label
    assert header.layout.hex() == LAYOUT.digest
    assert header.blocks == terms.updates(LAYOUT, 2).num_ciphertexts


def test_what_goes_wrong_has_a_type() -> None:
    for refused in (NothingSent("none"), StateDisputed("another")):
        assert isinstance(refused, ReplyRefused)
    assert {error("").code for error in (NothingSent, StateDisputed, RoundVoid)} == {
        "nothing-sent",
        "state-disputed",
        "round-void",
    }
    assert isinstance(RoundVoid(""), ConsortiumError)
    assert not isinstance(RoundVoid(""), ReplyRefused)
