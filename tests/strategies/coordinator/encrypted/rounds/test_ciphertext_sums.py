"""Which uploads the coordinator accepts, and which it refuses."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consortium.protocol.parameters import count_placement
from privacy.encryption.ciphertext_sum import MalformedCiphertext
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import EVALUATION, STATISTICS, Receipt, Slot
from privacy.protocol.receipts import (
    NotInRoster,
    ReceiptAltered,
    WrongBucket,
    WrongWeightClass,
    decode_receipts,
)
from privacy.wire.encrypted_messages import SealedReply
from strategies.coordinator.encrypted.parameters import SealedTerms
from strategies.coordinator.encrypted.rounds.ciphertext_sums import (
    CiphertextSums,
    MajorityVote,
    UploadForm,
)
from tests.small_consortium import NAMES, Consortium, Course, read_reply, read_round
from tests.tampering import relabelled

Honest = tuple[Consortium, Course]
GARBLED = MalformedCiphertext


@pytest.fixture
def terms(honest: Honest) -> SealedTerms:
    return honest[0].strategy(Course())._terms


def sent(honest: Honest, name: str, number: int = 2) -> SealedReply:
    return read_reply(honest[1].moments[name, "train", number].answer)


class Keeper(dict[str, bytes]):
    """Keeps files in memory."""

    def keep(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep one."""
        self[name] = b"".join(parts)


@pytest.fixture
def kept() -> Keeper:
    return Keeper()


@pytest.fixture
def sums(honest: Honest, terms: SealedTerms, kept: Keeper) -> CiphertextSums:
    """The form for updates of round 2."""
    consortium, course = honest
    assert course.progress is not None
    return CiphertextSums(
        form=terms.update_form(course.progress.layout, 2),
        slot=Receipt.decode(sent(honest, "east").receipt).label.slot,
        roster=terms.agreement.roster(consortium.charter.names),
        keep=kept.keep,
    )


def take(sums: CiphertextSums, honest: Honest, *names: str) -> None:
    for name in names:
        reply = sent(honest, name)
        sums.add(reply.upload, sums.check(name, reply.upload, reply.receipt))


def test_what_was_added_is_what_the_sites_were_shown(
    honest: Honest, sums: CiphertextSums, kept: Keeper
) -> None:
    """In whatever order it comes; with what proves it kept."""
    take(sums, honest, "west", "east", "south", "north")
    receipts, summed = sums.finish_sums(floor=3)
    shown = read_round(honest[1].moments["east", "train", 3].asked.content)
    assert (receipts, summed) == (shown.receipts, shown.sums)
    assert kept["round-2/updates/receipts.bin"] == receipts
    assert kept["round-2/updates/sums.bin"] == summed
    assert kept["round-2/updates/upload-east.bin"] == sent(honest, "east").upload
    assert sums.agreed_state(floor=3) == decode_receipts(receipts)[0].label.state


def test_below_the_floor_nothing_is_finished(honest: Honest, sums: CiphertextSums) -> None:
    take(sums, honest, "west", "east")
    assert sums.buckets(floor=3) == ()
    assert sums.counted_sites(floor=3) == []
    assert sums.agreed_state(floor=3) is None
    assert decode_receipts(sums.finish_sums(floor=3)[0]) == ()
    assert sums.finish_sums(floor=3)[1] == b""
    assert sums.buckets(floor=2) == (0,)


def test_a_bucket_below_the_floor_is_left_out_of_everything(
    honest: Honest, sums: CiphertextSums
) -> None:
    """Its receipts have no say in what most of them sign, either: the sites will not see them."""
    take(sums, honest, *NAMES)
    for name in ("east", "north"):
        state = name.encode().ljust(32)
        sums.added[name] = replace(sums.added[name], bucket=1, state=state)
    sums.added["centre"] = sums.added["west"]
    assert sums.buckets(floor=3) == (0,)
    assert sums.counted_sites(floor=3) == ["centre", "south", "west"]
    assert sums.agreed_state(floor=3) == sums.added["west"].state
    assert len(sums.finish_sums(floor=3)[1]) == sums.form.placement.sum_bytes


def test_half_is_no_majority(honest: Honest, sums: CiphertextSums) -> None:
    take(sums, honest, *NAMES)
    for name in ("east", "north"):
        sums.added[name] = replace(sums.added[name], state=bytes(32))
    assert sums.agreed_state(floor=3) is None


def test_only_what_was_agreed_and_signed_comes_in(
    honest: Honest, sums: CiphertextSums, tmp_path: Path
) -> None:
    consortium, course = honest
    sums.form = replace(sums.form, weight_classes=(4, 8))
    mine, other = sent(honest, "east"), sent(honest, "west")
    receipt = Receipt.decode(mine.receipt)
    sign = consortium.identity("east").sign
    slot = receipt.label.slot

    def signed(**changes: object) -> bytes:
        return relabelled(receipt, sign, **changes).encode()

    wrong: list[tuple[str, bytes, bytes, type[ConsortiumError] | str]] = [
        ("east", mine.upload, b"", "malformed-envelope"),
        ("east", other.upload, mine.receipt, ReceiptAltered),
        ("east", other.upload, other.receipt, NotInRoster),
        ("stranger", mine.upload, mine.receipt, NotInRoster),
        ("east", mine.upload, sent(honest, "east", 1).receipt, "wrong-round"),
        ("east", mine.upload, mine.count_receipt, "wrong-purpose"),
        ("east", mine.upload, signed(slot=replace(slot, attempt=2)), "wrong-attempt"),
        ("east", mine.upload, signed(slot=replace(slot, run="other")), "wrong-run"),
        ("east", mine.upload, signed(bucket=1), WrongBucket),
        ("east", mine.upload, signed(weight_class=2), WrongWeightClass),
        ("east", mine.upload, signed(nonce=bytes(32)), ReceiptAltered),
        ("east", mine.upload, replace(receipt, signature=bytes(64)).encode(), BadSignature),
        ("east", mine.upload[:-1], mine.receipt, MalformedCiphertext),
        ("east", b"", mine.receipt, MalformedCiphertext),
        ("east", mine.upload[:32] + b"\xff" * (len(mine.upload) - 32), mine.receipt, GARBLED),
    ]
    for name, upload, encoded, expected in wrong:
        with pytest.raises(ConsortiumError) as refused:
            sums.check(name, upload, encoded)
        if isinstance(expected, str):
            assert refused.value.code == expected
        else:
            assert refused.type is expected
    assert not sums.added
    assert course.error is None


def test_a_site_that_is_not_in_the_run_is_not_in_its_sums(
    honest: Honest, sums: CiphertextSums
) -> None:
    sums.roster = {name: one for name, one in sums.roster.items() if name != "east"}
    reply = sent(honest, "east")
    with pytest.raises(NotInRoster):
        sums.check("east", reply.upload, reply.receipt)


def test_tallies_have_a_folder_of_their_own(honest: Honest, terms: SealedTerms) -> None:
    layout = honest[1].progress.layout if honest[1].progress else None
    assert layout is not None
    forms = {EVALUATION: terms.evaluation_form(layout), STATISTICS: terms.statistics_form(layout)}
    folders = {
        CiphertextSums(
            form=form,
            slot=Slot(run="run", purpose=purpose, server_round=4, attempt=2),
            roster={},
            keep=Keeper().keep,
        ).folder
        for purpose, form in forms.items()
    }
    assert folders == {"round-4/counts", "round-4/statistics"}
    assert isinstance(forms[EVALUATION], UploadForm)
    assert forms[EVALUATION].placement == count_placement(
        honest[0].place("east").config, honest[0].charter, terms.evaluation.tally_size
    )


@pytest.mark.parametrize(
    ("votes", "elected"),
    [
        ([], None),
        ([1], 1),
        ([1, 1, 2], 1),
        ([1, 2], None),
        ([1, 1, None, None], None),
        ([1, 1, 1, None, None], 1),
        ([None, None, 7], None),
        ([3, 2, 1], None),
    ],
)
def test_what_more_than_half_of_the_sites_say_is_believed(
    votes: list[int | None], elected: int | None
) -> None:
    ballot = MajorityVote()
    for value in votes:
        ballot.cast(None if value is None else np.array([value, value]))
    assert len(ballot._tallies) == len(set(votes) - {None})
    outcome = ballot.majority_tally()
    assert (outcome is None) == (elected is None)
    assert outcome is None or outcome.tolist() == [elected] * 2
