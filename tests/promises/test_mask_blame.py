"""Confirmations alone let the audit of a masked run name the coordinator, a bucket, or nobody."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from consortium.audit import journal as audit
from consortium.audit.cross_check import gather_evidence, read_log
from consortium.client.audit_trail import journal_of
from consortium.run.directory import RunDirectory
from privacy.protocol.masks.confirmations import Confirmation, join_confirmations
from privacy.protocol.masks.signed_set import SignedSet
from privacy.protocol.masks.sum_set import NOTHING, digests_of_sums
from privacy.protocol.part_digests import sha256_of
from privacy.secrets.keys import Identity
from privacy.wire.mask_messages import ConfirmationRequest
from strategies.coordinator.encrypted.rounds.ciphertext_sums import SUMS_FILE
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    ChosenSet,
)
from tests.carrier import staged
from tests.small_consortium import (
    COORDINATOR,
    NAMES,
    Consortium,
    Passing,
    forget_processes,
)
from tests.tampering import Liar, spoiled_tag

CONFIRMED = f"added correctly, and confirmed so by {', '.join(NAMES)}"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    """A masked run in which nobody lied."""
    forget_processes()
    consortium = Consortium.placed(tmp_path_factory.mktemp("ended") / "run")
    course = consortium.start(masks=True, num_server_rounds=1)
    assert course.error is None
    return consortium


@pytest.fixture
def moved(ended: Consortium, tmp_path: Path) -> Consortium:
    """The same, in a folder where its files may be altered."""
    shutil.copytree(ended.run.path, tmp_path / "moved")
    return replace(ended, run=RunDirectory(tmp_path / "moved"))


def test_confirmations_decide_without_the_evidence_of_any_site(ended: Consortium) -> None:
    """Without masks it takes the logs of sites."""
    for evidence in ((), NAMES):
        verdicts = ended.verdicts(*evidence)
        assert {one.text for one in verdicts.values()} == {CONFIRMED}
        assert set(verdicts) == {"statistics 0", "updates 1", "counts 1", "counts 2"}


def test_a_coordinator_that_publishes_another_sum_is_named(moved: Consortium) -> None:
    sums = moved.run.vault / "round-1" / "updates" / SUMS_FILE
    sums.write_bytes(sums.read_bytes()[:-1] + b"x")
    told = moved.verdicts()
    assert told["updates 1"].deviation == (
        "the coordinator published a sum other than that of the signed uploads"
    )
    assert told["counts 1"].text == CONFIRMED


def confirm(consortium: Consortium, witnesses: Sequence[str], **changed: Any) -> None:
    """Let these sites have confirmed, in round 1, a set of which something is changed."""
    folder = consortium.run.vault / "round-1"
    chosen = ChosenSet.decode((folder / SET_FILE).read_bytes())
    other = replace(chosen, sum_set=replace(chosen.sum_set, **changed))
    made = [
        Confirmation.sign(
            other.sum_set.digest,
            witness=one,
            shares=b"",
            sign=(consortium.identity(one) if one in NAMES else Identity.generate(one)).sign,
        )
        for one in witnesses
    ]
    (folder / SET_FILE).write_bytes(other.encode())
    (folder / CONFIRMATIONS_FILE).write_bytes(join_confirmations(made))


@pytest.mark.parametrize(
    ("changed", "sum_of", "deviation"),
    [
        ({"sums": digests_of_sums({0: b"a forged sum"})}, "updates 1", "another sum than"),
        ({"count_sum": sha256_of(b"a forged sum")}, "counts 1", "another sum than"),
        ({"receipts": sha256_of(b"others")}, "updates 1", "other receipts than"),
        ({"count_receipts": sha256_of(b"others")}, "counts 1", "other receipts than"),
    ],
)
def test_a_coordinator_that_let_the_sites_confirm_something_else_is_named(
    moved: Consortium, changed: dict[str, Any], sum_of: str, deviation: str
) -> None:
    """Its own files are honest sums of honest uploads."""
    confirm(moved, NAMES, **changed)
    told = moved.verdicts()
    assert told[sum_of].deviation.startswith(f"the coordinator let the sites confirm {deviation}")
    (other,) = {"updates 1", "counts 1"} - {sum_of}
    assert told[other].text == CONFIRMED


@pytest.mark.parametrize("witnesses", [(), NAMES[:2], (*NAMES[:2], "stranger")])
def test_without_a_quorum_nothing_is_decided(moved: Consortium, witnesses: list[str]) -> None:
    """Nobody could read such a sum, so nobody was told that it is one."""
    confirm(moved, witnesses)
    told = moved.verdicts(*NAMES)["updates 1"]
    assert not told.deviation
    assert told.undecided.startswith(f"{min(2, len(witnesses))} of the 3 confirmations")


def test_counts_that_the_set_does_not_open_are_not_decided(moved: Consortium) -> None:
    confirm(moved, NAMES, count_sum=NOTHING)
    told = moved.verdicts()
    assert told["counts 1"].undecided == "the set that the sites confirmed does not open it"
    assert told["updates 1"].text == CONFIRMED


def test_who_asks_for_two_sets_of_a_round_is_named_by_its_own_signatures(tmp_path: Path) -> None:
    """West alone is asked to confirm another sum; the others are enough for the run."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")

    def down(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind, passing.number) != ("west", "query.confirm", 1):
            return passing.content
        asked = ConfirmationRequest.read(passing.content)
        kept = consortium.run.vault / "round-1" / SET_FILE
        rival = replace(
            ChosenSet.decode(kept.read_bytes()).sum_set, sums=digests_of_sums({0: b"forged"})
        )
        said = SignedSet(
            charter=bytes.fromhex(consortium.charter.fingerprint), set_digest=rival.digest
        )
        shown = replace(asked.shown, sums=rival.sums, signature=said.sign(COORDINATOR.sign))
        return replace(asked, shown=shown).content()

    course = consortium.start(down=down, masks=True, num_server_rounds=1)
    staged(so=bool(course.quarantined), what="west confirmed as the others did")
    assert consortium.verdicts()["updates 1"].text != ""
    for evidence in (("west",), NAMES):
        told = consortium.verdicts(*evidence)
        for name in ("updates 1", "counts 1"):
            assert told[name].deviation == (
                "the coordinator signed another set of this round for west than the one that it "
                "kept: it asked for the confirmation of two"
            )
    innocent = consortium.verdicts("east", "north")["updates 1"]
    assert innocent.text.startswith("added correctly, and confirmed so by")


def test_no_site_makes_a_second_set_of_one_that_was_asked_for(moved: Consortium) -> None:
    """It says that the set of a later round was of this one, or that it was asked for another."""
    east = moved.run.site("east")
    (one, *_) = [
        asked
        for asked in gather_evidence([east], moved.charter)[0].asked_to_confirm
        if asked.slot.server_round == 1
    ]
    invented = replace(one, sums=digests_of_sums({0: b"forged"}))
    signed = next(
        entry.event.facts["signed"]
        for entry in read_log(east / "audit" / audit.LOG, moved.charter).entries_of(audit.CONFIRMED)
    )
    journal = journal_of(east, "east")
    for said in (invented.encode(), one.digest, b""):
        journal.note(
            audit.CONFIRMED, purpose="training", round=1, attempt=1, set=said.hex(), signed=signed
        )
    journal.commit()
    assert moved.verdicts("east")["updates 1"].text == CONFIRMED


def test_of_a_right_sum_whose_checksum_failed_a_member_of_the_bucket_spoiled_its_part(
    tmp_path: Path,
) -> None:
    """The sites confirmed it before they could know."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    overrides = {"masks": True, "num_server_rounds": 2}
    course = Liar(consortium, "west", "train", spoiled_tag, overrides).run()
    assert course.error is not None
    told = consortium.verdicts(*NAMES)["updates 1"].deviation
    assert told.startswith("one of east, north, south, west spoiled its part: the coordinator")
    for givers in (("east",), ("east", "west")):
        verdict = consortium.verdicts(*givers)["updates 1"]
        assert not verdict.deviation
        assert "not at more than half" in verdict.undecided
