"""Lies of a member that only the sites can see: the sites stop with a typed error.

Where the sites can only say "the coordinator, or a member", the auditor says which from the stored
uploads.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.client.encrypted.session import Session
from consortium.config import Scalar
from consortium.protocol.parameters import update_placement
from consortium.run.evidence_store import EvidenceStore
from privacy.protocol.envelope import Receipt
from privacy.protocol.key_messages import Opening, opening_body
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.opening.key_setup import NoOpener
from strategies.coordinator.encrypted.parameters import RoundVoid
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    altered,
    configured,
    read_round,
    spoiled,
)
from tests.tampering import Liar, forged, own_levels, spoiled_tag, with_constant

Honest = tuple[Consortium, Course]
Lie = Callable[[Session, SealedRound, SealedReply], SealedReply]
CHECKSUM, BURNED = "site-refused.checksum-failed", "site-refused.key-burned"
LIAR = "south"
OTHERS = tuple(name for name in NAMES if name != LIAR)


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run")


def run_with_liar(
    consortium: Consortium, kind: str, lie: Lie, overrides: Mapping[str, Scalar] | None = None
) -> Course:
    return Liar(consortium, LIAR, kind, lie, overrides or {}).run()


def refusals(course: Course) -> set[str]:
    """Return the one code with which all honest sites refuse."""
    codes = {
        name: {code for _, site, code in course.quarantined if site == name} for name in OTHERS
    }
    assert len({frozenset(said) for said in codes.values()}) == 1
    return codes[OTHERS[0]]


def require_coordinator_cleared(consortium: Consortium) -> None:
    found = {told for told in consortium.audited().values() if told}
    assert all(told.startswith("one of ") and "spoiled its part" in told for told in found), found


def test_a_corrupted_tag_stops_the_run_and_the_auditor_clears_the_coordinator(
    consortium: Consortium,
) -> None:
    """The sites can only say: the coordinator, or a member. The coordinator added correctly."""
    course = run_with_liar(consortium, "train", spoiled_tag)
    assert isinstance(course.error, RoundVoid)
    assert refusals(course) == {CHECKSUM, BURNED}
    log = (consortium.run.site("east") / "site.log").read_text()
    assert "the coordinator altered it, or a member of this bucket spoiled its own tag" in log
    assert "SHA-256" in log
    found = consortium.audited()
    assert found.pop("updates 1").startswith("one of east, north, south, west spoiled its part")
    assert found == {"statistics 0": "", "counts 1": ""}


def test_the_auditor_finds_a_sum_that_the_coordinator_altered(
    consortium: Consortium,
) -> None:
    """The sites refuse as before; but here the stored uploads have another sum."""
    vault = EvidenceStore(consortium.run.vault)
    layout = consortium.place("east").site.task.layout
    placement = update_placement(configured({}), consortium.charter, layout, 2)

    def altering(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) != ("train", 2):
            return passing.content
        sums = with_constant(read_round(passing.content).sums, placement)
        vault.keep("round-1/updates/sums.bin", [sums])
        return altered(passing.content, sums=sums)

    course = consortium.start(down=altering)
    assert isinstance(course.error, RoundVoid)
    assert refusals(course) == {CHECKSUM, BURNED}
    assert "a sum other than" in consortium.audited()["updates 1"]


def overflowing(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    """Return levels that overflow, so that their sum is meaningless."""
    levels = np.full(session.terms.updates.dim, 2**23 - 1, np.int32)
    upload, receipt = forged(session, Receipt.decode(sent.receipt).label, levels=levels)
    return replace(sent, upload=upload, receipt=receipt)


def test_an_overflow_that_spoils_the_sum_clears_the_coordinator(consortium: Consortium) -> None:
    course = run_with_liar(consortium, "train", overflowing)
    assert isinstance(course.error, RoundVoid)
    assert refusals(course) == {CHECKSUM, BURNED}
    require_coordinator_cleared(consortium)


def huge_counts(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    label = Receipt.decode(sent.count_receipt).label
    tally = np.full(session.terms.counts(label.slot.purpose).tally_size, 2**45, np.int64)
    upload, receipt = forged(session, label, tally=tally)
    return replace(sent, count_upload=upload, count_receipt=receipt)


def impossible_counts(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    label = Receipt.decode(sent.count_receipt).label
    size = session.terms.counts(label.slot.purpose).tally_size
    tally = np.full(size, -(2**40), np.int64)
    upload, receipt = forged(session, label, tally=tally)
    return replace(sent, count_upload=upload, count_receipt=receipt)


def spoiled_counts(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    upload, receipt = forged(session, Receipt.decode(sent.count_receipt).label, shift=1)
    return replace(sent, count_upload=upload, count_receipt=receipt)


@pytest.mark.parametrize("kind", ["query.statistics", "train"])
@pytest.mark.parametrize(
    ("lie", "codes"),
    [
        (impossible_counts, {"site-refused.impossible-tally"}),
        (huge_counts, {"site-refused.field-overflow"}),
        (spoiled_counts, {CHECKSUM, BURNED}),
    ],
)
def test_an_impossible_tally_stops_the_run_before_training_uses_it(
    consortium: Consortium, kind: str, lie: Lie, codes: set[str]
) -> None:
    """The checksum is right, so a member did it, and no key is burned."""
    course = run_with_liar(consortium, kind, lie)
    assert isinstance(course.error, RoundVoid)
    assert refusals(course) == codes
    require_coordinator_cleared(consortium)


def test_no_site_releases_an_impossible_tally_of_the_last_model(
    consortium: Consortium,
) -> None:
    """The model is confirmed by then: the run finishes, without that figure."""
    course = run_with_liar(consortium, "evaluate", impossible_counts)
    assert course.error is None
    assert not course.rounds[-1].evaluation.any()
    assert course.rounds[-2].evaluation.any()
    assert refusals(course) == {"site-refused.impossible-tally"}


def test_a_site_that_claims_another_bucket_stops_the_run_and_is_in_every_sites_log(
    tmp_path: Path,
) -> None:
    """The coordinator does not know the buckets; the sites do."""
    names = [f"site-{letter}" for letter in "abcdef"]
    made = Consortium.placed(tmp_path / "run", names)

    def moves(session: Session, request: SealedRound, sent: SealedReply) -> SealedReply:
        label = Receipt.decode(sent.receipt).label
        said = replace(label, bucket=1 - label.bucket)
        upload, receipt = forged(session, said, levels=own_levels(session, request))
        return replace(sent, upload=upload, receipt=receipt)

    overrides: dict[str, Scalar] = {
        "buckets": 2,
        "weighting": "equal",
        "quorum": 3,
        "num-server-rounds": 2,
    }
    floored = Consortium(run=made.run, charter=made.charter)
    course = Liar(floored, "site-c", "train", moves, overrides).run()
    # A bucket of two is below the floor: what is left is one bucket of four, with the liar in it.
    assert isinstance(course.error, RoundVoid)
    assert {code for _, _, code in course.quarantined} == {"site-refused.wrong-bucket"}
    for name in names:
        log = (made.run.site(name) / "site.log").read_text()
        assert "site-c belongs to bucket" in log


def test_a_run_does_not_start_if_nobody_can_unwrap_the_openers_key(
    consortium: Consortium,
) -> None:
    """Each opener is asked, and named."""

    def wrapped_anew(passing: Passing) -> RecordDict:
        if passing.kind != "query.open":
            return passing.content
        opening = Opening.decode(sealed_messages.read_opening(passing.content))
        wrapped = opening.wrapped[:-1] + bytes([opening.wrapped[-1] ^ 1])
        signature = consortium.identity(passing.site).sign(opening_body(opening.terms, wrapped))
        forged_one = Opening(terms=opening.terms, wrapped=wrapped, signature=signature)
        return sealed_messages.opening(forged_one.encode())

    course = consortium.start(up=wrapped_anew)
    assert isinstance(course.error, NoOpener)
    assert {code for _, _, code in course.quarantined} == {"unusable-keys"}


def test_one_liar_cannot_change_the_pooled_figures(consortium: Consortium) -> None:
    def embellishes(passing: Passing) -> RecordDict:
        if passing.site == LIAR and passing.kind in ("train", "evaluate", "query.release"):
            return spoiled(passing.content, released=np.full(2084, 7, np.int64))
        return passing.content

    course = consortium.start(up=embellishes, num_server_rounds=1)
    assert course.error is None
    assert all(one.evaluation.max() != 7 for one in course.rounds)
