"""What real sites of a masked run do when one of them, or the coordinator, plays against them.

Each run is put by hand: the tests are its coordinator, and hold the keys of the member in league.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import pytest
from flwr.app import ArrayRecord, RecordDict

from consortium.client.masked import sealing
from privacy.protocol.envelope import EVALUATION, Receipt
from privacy.protocol.masks.bundles import Deal, ShareBundle
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.secrets.masks.mask_streams import OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.masks.share_bundles import join_own_mask, open_shares, seal_bundle
from privacy.storage.site_process import SITE_PROCESS
from tests.masked_by_hand import ByHand, Gathered, memory_of, session_at
from tests.small_consortium import Consortium, forget_processes

THREE = ("east", "north", "south")


def states_of(gathered: Gathered) -> set[bytes]:
    """Return the states that the updates of a round were made from."""
    return {Receipt.decode(one.receipt).label.state for one in gathered.replies.values()}


def test_a_member_that_signs_two_states_at_the_end_leads_to_one_model_or_none(
    tmp_path: Path,
) -> None:
    """Of three sites each sees itself, and one other state: a majority would find two models."""
    run = ByHand(Consortium.placed(tmp_path, THREE), {"num_server_rounds": 1})
    run.set_up()
    last = run.evaluate(run.train(1, run.statistics()))
    identity = run.consortium.identity("south")
    honest = Receipt.decode(last.replies["south"].count_receipt)
    other = Receipt.sign(
        replace(honest.label, state=bytes(32)), upload=honest.upload, sign=identity.sign
    )
    replies = dict(last.replies)
    replies["south"] = replace(replies["south"], count_receipt=other.encode())
    lied = run.gather(EVALUATION, run.question(2), replies)
    for name in ("east", "north"):
        asked = run.confirmation_request(lied, name).content()
        assert run.refusal(name, "query.confirm", asked) == "states-differ"
    run.release(last)
    models = {
        name: list((place.directory / "model").glob("*")) for name, place in run.places.items()
    }
    assert all(models.values())


@pytest.mark.parametrize("parameter_set", ["default", "strict-256", "compact-12", "compact-8"])
def test_masks_change_no_bit_of_a_model_whatever_the_parameters_and_the_attempt(
    tmp_path: Path, parameter_set: str
) -> None:
    """What the second attempt seals was rounded in the first."""
    plain = Consortium.placed(tmp_path / "plain").start(
        parameter_set=parameter_set, num_server_rounds=1
    )
    run = ByHand(
        Consortium.placed(tmp_path / "masked"),
        {"parameter_set": parameter_set, "num_server_rounds": 1},
    )
    run.set_up()
    counted = run.statistics()
    run.train(1, counted)
    last = run.evaluate(run.train(1, counted, attempt=2))
    assert {one.model.hex() for one in last.replies.values()} == {plain.model}


def test_a_later_attempt_seals_what_was_trained_though_records_changed(tmp_path: Path) -> None:
    """The difference of two attempts would be that of the records."""
    run = ByHand(Consortium.placed(tmp_path), {"num_server_rounds": 1})
    run.set_up()
    counted = run.statistics()
    said = run.confirm(counted)
    before = run.train(1, counted, confirmations=said)
    data = run.places["north"].directory / "data.parquet"
    pd.read_parquet(data).iloc[:-5].to_parquet(data, index=False)
    forget_processes()
    again = run.train(1, counted, confirmations=said, attempt=2)
    kept = [
        session_at(run.places["north"], run.opening).answers.contribution(
            run.question(1, before=counted, confirmations=said, attempt=attempt)
        )
        for attempt in (1, 2)
    ]
    assert kept[0] is not None
    assert kept[1] is not None
    assert kept[0].encode() == kept[1].encode()
    assert states_of(before) == states_of(again)


@pytest.fixture
def dealt_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    """South deals the shares of another mask than it added and committed to."""

    def deal(
        own: OwnMask, deal: Deal, *, secrets: Mapping[str, PairSecret]
    ) -> tuple[ShareBundle, int | None]:
        return seal_bundle(OwnMask.fresh() if deal.site == "south" else own, deal, secrets=secrets)

    monkeypatch.setattr(sealing, "seal_bundle", deal)


@pytest.mark.usefixtures("dealt_wrongly")
def test_a_dealer_whose_shares_join_to_another_mask_costs_the_round_and_no_key(
    tmp_path: Path,
) -> None:
    run = ByHand(Consortium.placed(tmp_path))
    run.set_up()
    counted = run.statistics()
    question = run.question(1, before=counted, confirmations=run.confirm(counted))
    for name in ("east", "north", "west"):
        assert run.refusal(name, "train", question.content()) == "mask-not-joined"
        memory_of(run.places[name]).require_unburned(run.run)


@dataclass
class Overheard(ByHand):
    """A run of whose messages every byte is kept."""

    heard: list[bytes] = field(default_factory=list)

    def answer(self, name: str, kind: str, content: RecordDict) -> RecordDict:
        """Return what a site answers, and keep both."""
        answered = super().answer(name, kind, content)
        for record in (content, answered):
            arrays = record["arrays"]
            assert isinstance(arrays, ArrayRecord)
            self.heard += [array.data for array in arrays.values()]
        return answered


def test_no_mask_and_no_pair_secret_is_in_any_message_and_no_mask_in_any_file(
    tmp_path: Path,
) -> None:
    """Those who hold the keys of a site can compute each mask of a confirmed sum; it is nowhere."""
    run = Overheard(Consortium.placed(tmp_path))
    run.set_up()
    counted = run.statistics()
    trained = run.train(1, counted)
    said = run.confirm(trained)
    run.train(2, trained, confirmations=said)
    masks = session_at(run.places["north"], run.opening).masks
    places = [("training", one) for one in run.names] + [("evaluation", one) for one in run.names]
    held = {
        one.witness: open_shares(
            one.shares,
            count=len(places),
            key=masks.terms.opened.keys.reveal,
            set_digest=one.set_digest,
            witness=one.witness,
        )
        for one in said
    }
    own = list[bytes]()
    for at, (purpose, name) in enumerate(places):
        counts = purpose == "evaluation"
        reply = trained.replies[name]
        receipt = Receipt.decode(reply.count_receipt if counts else reply.receipt)
        terms = MaskTerms.decode(reply.count_terms if counts else reply.terms)
        deal = masks.deal(receipt.label.slot, name, terms.commitment)
        shares = {witness: one for witness, got in held.items() if (one := got[at]) is not None}
        own.append(join_own_mask(shares, deal)[0].number.to_bytes(32, "big"))
    assert len(set(own)) == 2 * len(run.names)
    pairs = [
        one.secret
        for place in run.places.values()
        for one in memory_of(place).pairs.pair_secrets(run.run).values()
    ]
    SITE_PROCESS.clear()
    messages = b"|".join(run.heard)
    files = b"|".join(
        path.read_bytes()
        for place in run.places.values()
        for path in place.directory.rglob("*")
        if path.is_file()
    )
    assert not [one for one in (*own, *pairs) if one in messages]
    assert not [one for one in own if one in files]
    assert all(re.search(re.escape(one), files) for one in pairs), "until the run is released"
