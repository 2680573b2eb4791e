"""What a coordinator and a member in league open of a masked run, solved on the real bytes.

`scenario inspect RUN --as coordinator,SITE` writes each kept upload as value and masks, and
eliminates. In a run that followed the rules nothing opens but what was confirmed. Where a rule is
taken away the site's update is printed: that shows that the solver would have found it.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.audit.league.view import LeagueView, view_of_league
from consortium.audit.sum_verification import Auditor
from consortium.config import Scalar
from consortium.run.evidence_store import EvidenceStore
from privacy.layout import Vector
from privacy.protocol.envelope import TRAINING, Receipt, Slot
from privacy.secrets.masked_runs import mask_memory
from privacy.secrets.masked_runs.mask_memory import MaskMemory, OtherSetConfirmed, RoundConfirmed
from privacy.secrets.masks.mask_streams import OwnMask
from privacy.wire.messages import Contribution
from scenarios.cli.encrypted_runs import described_league
from tests.carrier import staged
from tests.kept_sets import keep_set
from tests.masked_by_hand import ByHand, Gathered, memory_of
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    configured,
    forget_processes,
)

MEMBER = "north"  # in league with the coordinator
VICTIM = "east"
OTHERS = tuple(name for name in NAMES if name != VICTIM)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[ByHand, Gathered, Gathered]:
    """Sites that trained once; their statistics are confirmed, their updates not yet."""
    forget_processes()
    run = ByHand(Consortium.placed(tmp_path_factory.mktemp("run") / "run", sets_in_run="any"))
    run.set_up()
    counted = run.statistics()
    return run, counted, run.train(1, counted)


@pytest.fixture
def trained(
    trained_once: tuple[ByHand, Gathered, Gathered], tmp_path: Path
) -> tuple[ByHand, Gathered, Gathered]:
    """A copy of that run which a test may alter."""
    run, counted, gathered = trained_once
    return run.again(tmp_path / "run"), counted, gathered


def finished(folder: Path, *, masks: bool) -> Consortium:
    """Return sites after a run of theirs, all of whose uploads are kept."""
    forget_processes()
    consortium = Consortium.placed(folder)
    course = consortium.start(num_server_rounds=2, keep_uploads="all", masks=masks)
    staged(so=course.error is None, what="the run did not end")
    return consortium


def seen_by(consortium: Consortium, *members: str, **overrides: Scalar) -> LeagueView:
    """Return what the coordinator opens in league with some members."""
    auditor = Auditor(
        consortium.charter, configured(overrides), EvidenceStore(consortium.run.vault)
    )
    places = {name: consortium.run.site(name) for name in consortium.charter.names}
    return view_of_league(auditor, {name: places[name] for name in members}, evidence=places)


def seen_in(run: ByHand, *members: str) -> LeagueView:
    """Return the same of a run that is played by hand."""
    return seen_by(run.consortium, *members, masks=True, **run.overrides)


def test_of_a_masked_run_nothing_opens_but_the_confirmed_sums(tmp_path: Path) -> None:
    consortium = finished(tmp_path, masks=True)
    view = seen_by(consortium, MEMBER, num_server_rounds=2, masks=True)
    assert not view.opened_sites
    for one in view.rounds:
        (part,) = one.open
        assert {*part.factors} == {*NAMES}
        assert part.confirmed_by == NAMES
        assert part.numbers is not None
        assert part.numbers.checksum_right
    assert min(one.p_value for each in view.rounds for one in each.uploads) > 1e-6
    assert [*described_league(view)][-1] == "nothing opens but sums that the sites confirmed"
    # More of them than the charter allows for read the only other one from the sum.
    view = seen_by(consortium, *OTHERS, num_server_rounds=2, masks=True)
    assert view.opened_sites == (VICTIM,)
    assert any(f"only {VICTIM} is honest" in line for line in described_league(view))


def test_each_bucket_of_a_masked_run_opens_whole_and_no_site_of_it(tmp_path: Path) -> None:
    forget_processes()
    names = tuple("abcdef")
    consortium = Consortium.placed(tmp_path, names)
    chosen: dict[str, Scalar] = {
        "num_server_rounds": 1,
        "masks": True,
        "buckets": 2,
        "weighting": "equal",
    }
    course = consortium.start(num_server_rounds=1, masks=True, buckets=2, weighting="equal")
    staged(so=course.error is None, what="the run did not end")
    view = seen_by(consortium, "c", **chosen)
    assert not view.opened_sites
    (updates,) = (one for one in view.rounds if one.what == "updates")
    assert sorted(site for part in updates.open for site in part.factors) == [*names]
    assert all(part.numbers and part.numbers.checksum_right for part in updates.open)


def test_of_an_encrypted_run_without_masks_every_upload_opens(tmp_path: Path) -> None:
    consortium = finished(tmp_path, masks=False)
    view = seen_by(consortium, MEMBER, num_server_rounds=2, masks=False)
    assert {*view.opened_sites} == {*NAMES} - {MEMBER}
    for one in view.rounds:
        assert [part.honest for part in one.alone] == [(name,) for name in view.opened_sites]
        assert all(part.numbers and part.numbers.checksum_right for part in one.alone)
        assert max(upload.p_value for upload in one.uploads) < 1e-6
    assert [*described_league(view)][-1].startswith("OPEN")


def test_before_anything_is_confirmed_not_even_the_sum_opens(
    trained: tuple[ByHand, Gathered, Gathered],
) -> None:
    run, _, gathered = trained
    keep_set(run, gathered, [])
    view = seen_in(run, MEMBER)
    assert not [part for one in view.rounds for part in one.open]
    assert not view.without_secrets
    # Nor with the confirmations of fewer witnesses than the quorum.
    keep_set(run, gathered, run.confirm(gathered, NAMES[: run.needed - 1]))
    assert not [part for one in seen_in(run, MEMBER).rounds for part in one.open]


def test_a_second_set_is_refused_and_nothing_opens(
    trained: tuple[ByHand, Gathered, Gathered],
) -> None:
    run, counted, gathered = trained
    keep_set(run, gathered, run.confirm(gathered))
    asked = second_question(run, counted)
    assert {run.refusal(name, "train", asked) for name in OTHERS} == {RoundConfirmed.code}
    assert not seen_in(run, MEMBER).opened_sites


def test_without_the_rule_of_one_confirmation_a_sites_update_opens(
    trained: tuple[ByHand, Gathered, Gathered], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft's step 2: a witness confirms a second set of the round, and reveals twice."""
    run, counted, gathered = trained
    truth = update_of(run, VICTIM)
    monkeypatch.setattr(MaskMemory, "_is_decided", lambda *_: True)
    monkeypatch.setattr(mask_memory, "_confirmed", lambda *_: None)
    keep_set(run, gathered, run.confirm(gathered))
    second = run.train(1, counted, asked=OTHERS, attempt=2)
    keep_set(run, second, run.confirm(second, OTHERS))
    view = seen_in(run, MEMBER)
    opens_as(view, truth)
    # The bytes of each upload are still even: only solving shows what is open.
    closed = [one for each in view.rounds for one in each.uploads if one.site != MEMBER]
    assert min(one.p_value for one in closed) > 1e-6


def test_a_copy_of_a_memory_that_is_put_back_opens_a_sites_update(
    trained: tuple[ByHand, Gathered, Gathered], tmp_path: Path
) -> None:
    """What is not claimed: each site has one memory, which is never put back.

    docs/protocol.md says so, and `consortium site forget --all-open` is for whoever does.
    """
    run, counted, gathered = trained
    truth = update_of(run, VICTIM)
    forgetful = ("south", MEMBER)  # a site that is put back; who is in league needs no mistake
    for name in forgetful:
        shutil.copytree(run.places[name].directory, tmp_path / name)
    keep_set(run, gathered, run.confirm(gathered, (VICTIM, *forgetful)))
    put_back(run, {MEMBER: tmp_path / MEMBER})
    assert run.refusal("south", "train", second_question(run, counted)) == RoundConfirmed.code
    put_back(run, {"south": tmp_path / "south"})
    second = run.train(1, counted, asked=OTHERS, attempt=2)
    keep_set(run, second, run.confirm(second, OTHERS))
    opens_as(seen_in(run, MEMBER), truth)


def test_where_two_rounds_differ_by_one_site_its_update_can_be_estimated(
    trained: tuple[ByHand, Gathered, Gathered],
) -> None:
    """What is not claimed with `sets_in_run = any`: what two lawful sums say over rounds."""
    run, _, gathered = trained
    keep_set(run, gathered, run.confirm(gathered))
    second = run.train(2, gathered, asked=OTHERS)
    keep_set(run, second, run.confirm(second, OTHERS))
    view = seen_in(run, MEMBER)
    assert not view.opened_sites
    (guess,) = view.estimates
    assert (guess.site, guess.server_round, guess.other_round) == (VICTIM, 1, 2)
    assert guess.cosine is not None
    assert guess.relative_error is not None
    assert guess.cosine > 0.8
    assert 0 < guess.relative_error < 1
    assert any(f"differ by {VICTIM}" in line for line in described_league(view))


def test_with_one_set_in_the_run_who_is_left_out_in_the_next_round_stops_it(
    tmp_path: Path,
) -> None:
    forget_processes()
    run = ByHand(Consortium.placed(tmp_path))
    run.set_up()
    gathered = run.train(1, run.statistics())
    said = run.confirm(gathered)
    asked = run.question(2, before=gathered, confirmations=said, asked=OTHERS).content()
    assert {run.refusal(name, "train", asked) for name in OTHERS} == {OtherSetConfirmed.code}


def test_no_own_mask_is_in_any_file_or_message_and_pair_secrets_are_gone_after_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_processes()
    own_masks, pair_secrets = set[bytes](), set[bytes]()
    made = OwnMask.fresh

    def noted() -> OwnMask:
        mask = made()
        own_masks.add(mask.number.to_bytes(32, "big"))
        return mask

    def note_pairs(passing: Passing) -> RecordDict:
        if passing.kind == "train":
            memory = memory_of(consortium.place(passing.site, masks=True))
            for run in memory.pairs.open_runs():
                pair_secrets.update(one.secret for one in memory.pairs.pair_secrets(run).values())
        return passing.content

    monkeypatch.setattr(OwnMask, "fresh", noted)
    consortium = Consortium.placed(tmp_path)
    course = consortium.start(num_server_rounds=2, keep_uploads="all", masks=True, down=note_pairs)
    staged(so=course.error is None, what="the run did not end")
    # Statistics, two rounds of updates and counts, and the last evaluation.
    assert len(own_masks) == len(NAMES) * 6
    assert len(pair_secrets) == len(NAMES) * (len(NAMES) - 1) // 2
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    sent = b"".join(part for one in course.seen for part in all_bytes(*one))
    receipts = [path.read_bytes() for path in tmp_path.rglob("receipts.bin")]
    staged(so=all(one in written for one in receipts) and len(sent) > 1000, what="nothing found")
    assert not [one for one in own_masks | pair_secrets if one in written or one in sent]


def all_bytes(passing: Passing, answer: RecordDict) -> Iterator[bytes]:
    """Yield all bytes that a message and its answer hold."""
    for content in (passing.content, answer):
        for record in content.array_records.values():
            yield from (array.data for array in record.values())
        for facts in content.config_records.values():
            for value in facts.values():
                yield value if isinstance(value, bytes) else str(value).encode()


def update_of(run: ByHand, name: str) -> Vector:
    """Return what a site trained in the first round, times its share, from its own memory."""
    slot = Slot(run=run.run, purpose=TRAINING, server_round=1, attempt=1)
    answers = memory_of(run.places[name]).answers
    kept, own = answers.recall_update(slot), answers.own_receipt(slot)
    assert kept is not None
    assert own is not None
    share = Receipt.decode(own).label.weight_class / 8
    return np.asarray(Contribution.decode(kept).update, np.float64) * share


def second_question(run: ByHand, counted: Gathered) -> RecordDict:
    """Return the question of a second attempt at the first round, without the victim."""
    said = run.confirm(counted)
    return run.question(1, before=counted, confirmations=said, asked=OTHERS, attempt=2).content()


def opens_as(view: LeagueView, truth: Vector) -> None:
    """Check that the victim's update opens, and is what the victim trained."""
    assert view.opened_sites == (VICTIM,)
    (part,) = (part for one in view.rounds if one.what == "updates" for part in one.alone)
    assert part.numbers is not None
    assert part.numbers.checksum_right
    np.testing.assert_allclose(part.numbers.values, truth, atol=1e-3 * np.abs(truth).max())
    assert any(f"what {VICTIM} sent, ALONE" in line for line in described_league(view))


def put_back(run: ByHand, copies: Mapping[str, Path]) -> None:
    """Replace the directories of sites by older copies, as a backup is put back."""
    forget_processes()
    for name, copy in copies.items():
        directory = run.places[name].directory
        shutil.rmtree(directory)
        shutil.copytree(copy, directory)
