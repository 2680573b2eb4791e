"""The set that a coordinator chose holds what the witnesses need, and is read as it was kept."""

import hashlib
from pathlib import Path

import pytest

from consortium.run.evidence_store import EvidenceStore
from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import NO_STATE, SealedState
from privacy.protocol.masks.bundles import ShareBundle
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import decode_terms
from privacy.protocol.masks.sum_set import NOTHING
from privacy.protocol.part_digests import sha256_of
from strategies.coordinator.masked.rounds.chosen_set import ChosenSet, Door
from tests.masked_runs import ROUNDS, placed, silent
from tests.small_consortium import NAMES, Consortium, Course, read_reply, read_round

Run = tuple[Consortium, Course]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Run:
    consortium = placed(tmp_path_factory.mktemp("honest") / "run")
    course = consortium.start(masks=True, keep_uploads="all")
    assert course.error is None, course.error
    return consortium, course


def chosen(run: Run, number: int) -> ChosenSet:
    return ChosenSet.decode(EvidenceStore(run[0].run.vault).read(f"round-{number}/set.bin"))


def test_a_set_holds_what_the_next_question_shows(honest: Run) -> None:
    vault = EvidenceStore(honest[0].run.vault)
    held, folder = chosen(honest, 2), "round-2"
    said = held.sum_set
    assert (said.slot.purpose, said.slot.server_round, said.slot.attempt) == ("training", 2, 1)
    assert said.cohort == cohort_digest(NAMES)
    assert held.cohort == NAMES
    assert said.receipts == sha256_of(vault.read(f"{folder}/updates/receipts.bin"))
    assert said.sums == ((0, hashlib.sha256(vault.read(f"{folder}/updates/sums.bin")).digest()),)
    assert said.count_receipts == sha256_of(vault.read(f"{folder}/counts/receipts.bin"))
    assert said.count_sum == sha256_of(vault.read(f"{folder}/counts/sums.bin"))
    assert said.state == SealedState.decode(vault.read(f"{folder}/state.bin")).digest
    shown = next(
        read_round(asked.content).mask_part
        for asked, _ in honest[1].answers("train")
        if asked.number == 3
    )
    assert (shown.terms, shown.count_terms, shown.cohort) == (
        held.terms,
        held.count_terms,
        held.cohort,
    )


def test_each_witness_gets_its_entry_of_each_bundle(honest: Run) -> None:
    held = chosen(honest, 2)
    assert held.sites == NAMES
    replies = {
        asked.site: read_reply(answer)
        for asked, answer in honest[1].answers("train")
        if asked.number == 2
    }
    for place in range(len(NAMES)):
        updates, counts = held.entries(place)
        assert set(updates) == set(counts) == set(NAMES)
        for site in NAMES:
            own = ShareBundle.decode(replies[site].bundle).entries[place]
            assert updates[site] == own.encode()
            own = ShareBundle.decode(replies[site].count_bundle).entries[place]
            assert counts[site] == own.encode()


def test_statistics_and_the_final_evaluation_are_counts_only(honest: Run) -> None:
    for number, purpose in ((0, "statistics"), (ROUNDS + 1, "evaluation")):
        held = chosen(honest, number)
        assert held.sum_set.slot.purpose == purpose
        assert (held.sum_set.receipts, held.sum_set.sums, held.terms) == (NOTHING, (), b"")
        assert set(decode_terms(held.count_terms)) == set(NAMES)
        assert held.entries(0)[0] == {}
    assert chosen(honest, 0).sum_set.state == NO_STATE


def test_without_everybody_no_counts_are_in_the_set(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run", sets_in_run="any")
    course = consortium.start(down=silent("train", 2, "west"), masks=True, keep_uploads="all")
    assert course.error is None, course.error
    held = chosen((consortium, course), 2)
    assert held.cohort == NAMES[:3]
    assert held.sum_set.slot.attempt == 2
    assert (held.sum_set.count_receipts, held.sum_set.count_sum) == (NOTHING, NOTHING)
    assert (held.count_terms, held.entries(0)[1]) == (b"", {})
    assert held.sites == NAMES[:3]


def test_any_other_bytes_are_no_set(honest: Run) -> None:
    encoded = chosen(honest, 2).encode()
    assert ChosenSet.decode(encoded).encode() == encoded
    for wrong in (b"", encoded[:-1], encoded + b"x"):
        with pytest.raises(MalformedEnvelope):
            ChosenSet.decode(wrong)


def test_a_door_without_uploads_is_empty() -> None:
    assert (Door().terms, Door().bundles, Door().digests) == (b"", b"", ())
    assert Door().sum_digest == NOTHING
