"""Runs with other sites than before train as ever, and count nothing exactly anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import RecordDict

from consortium.run.evidence_store import EvidenceStore
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt
from privacy.protocol.grouping import COUNTED, WITHHELD
from privacy.wire.encrypted_messages import SealedReply
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.encrypted.progress import read_standing
from tests.carrier import away, released_tallies
from tests.decisions import evaluating_for_one_roster
from tests.receipts import encode_receipts
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    altered,
    forget_processes,
    read_reply,
    read_round,
    records,
    refusal,
)
from tests.tampering import added

THREE: dict[str, Any] = {"quorum": 3, "num_server_rounds": 2}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return evaluating_for_one_roster(tmp_path / "run")


def run(consortium: Consortium, *, without: str = "", named: bool = False, **hooks: Any) -> Course:
    """Run to the end, as processes that start now; without a site, from a seed of its own.

    Args:
        consortium: Who is in it.
        without: Who is away.
        named: Whether the run leaves it out by name, as a first one must.
        hooks: Of the run, with what differs in its config.
    """
    forget_processes()
    if without:
        hooks = {"down": away(without), "seed": 8, **hooks}
    if named:
        hooks["without"] = without
    return consortium.start(**hooks, **THREE)


def statistics(consortium: Consortium, name: str) -> Tally:
    """Return the statistics in a site's model."""
    model = consortium.run.site(name) / "model" / "model.json"
    return np.array(json.loads(model.read_text())["statistics"])


def classes_of_counts(course: Course) -> set[int]:
    """Return what the receipts of evaluations say: counted, or withheld."""
    replies = [read_reply(answer) for _, answer in course.answers("train")]
    return {Receipt.decode(one.count_receipt).label.weight_class for one in replies}


def test_a_run_without_a_site_trains_with_the_statistics_of_all(consortium: Consortium) -> None:
    everyone = run(consortium)
    before = statistics(consortium, "east")
    three = run(consortium, without="west")
    assert three.error is None
    assert {code for _, _, code in three.quarantined} == {"silent"}
    assert len(set(three.models.values())) == 1
    assert three.model != everyone.model
    assert np.array_equal(statistics(consortium, "east"), before)
    assert classes_of_counts(everyone) == {COUNTED}
    assert classes_of_counts(three) == {WITHHELD}
    assert not released_tallies(three)


def test_exact_counts_go_on_when_all_are_back(consortium: Consortium) -> None:
    everyone = run(consortium)
    run(consortium, without="west")
    again = run(consortium)
    assert again.error is None
    assert again.model == everyone.model
    assert len(released_tallies(again)) == len(released_tallies(everyone)) > 0


def test_a_site_that_was_away_gets_the_statistics_with_the_start(consortium: Consortium) -> None:
    assert run(consortium, without="west", named=True).error is None
    everyone = run(consortium)
    assert everyone.error is None
    assert set(everyone.models) == set(NAMES)
    assert np.array_equal(statistics(consortium, "west"), statistics(consortium, "east"))
    assert not released_tallies(everyone)


def test_a_policy_may_evaluate_for_any_roster(tmp_path: Path) -> None:
    """The policy of a scenario does. Training records are counted once all the same."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    run(consortium)
    before = statistics(consortium, "east")
    assert released_tallies(run(consortium, without="west"))
    assert np.array_equal(statistics(consortium, "east"), before)


def test_a_record_that_came_overnight_is_in_no_later_statistics(consortium: Consortium) -> None:
    run(consortium)
    before = statistics(consortium, "east")
    path = consortium.run.site("west") / "data.parquet"
    more = records("other", 30).assign(person=[f"new-{index}" for index in range(30)])
    pd.concat([records("west"), more]).to_parquet(path, index=False)
    assert run(consortium).error is None
    assert np.array_equal(statistics(consortium, "east"), before)


def test_a_roster_that_few_counted_for_ends_the_run_with_a_reason(tmp_path: Path) -> None:
    forget_processes()
    names = tuple("abcdef")
    consortium = Consortium.placed(tmp_path / "run", names)

    def only(*present: str) -> Any:
        def hook(passing: Passing) -> RecordDict:
            return passing.content if passing.site in present else away(passing.site)(passing)

        return hook

    first = consortium.start(down=only("a", "b", "c"), without="d,e,f", **THREE)
    assert first.error is None
    forget_processes()
    mixed = consortium.start(down=only("c", "d", "e", "f"), **THREE)
    assert isinstance(mixed.error, RoundVoid)
    assert "c counted for another one" in str(mixed.error)


def test_nobody_opens_a_sum_with_zeros_in_the_place_of_a_tally(consortium: Consortium) -> None:
    """West was away, and is the only one that seals: the sum would be its own counts."""
    run(consortium, without="west", named=True)
    sealed: dict[str, SealedReply] = {}

    def up(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) == ("train", 1):
            sealed[passing.site] = read_reply(passing.content)
        return passing.content

    def down(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) != ("train", 2):
            return passing.content
        session = consortium.place(passing.site, **THREE).session(read_round(passing.content))
        placement = session.terms.counts("evaluation")
        return altered(
            passing.content,
            count_sum=added(placement, [one.count_upload for one in sealed.values()]),
            count_receipts=encode_receipts(
                [Receipt.decode(sealed[name].count_receipt) for name in sorted(sealed)]
            ),
        )

    course = run(consortium, down=down, up=up)
    found = {Receipt.decode(one.count_receipt).label.weight_class for one in sealed.values()}
    assert found == {COUNTED, WITHHELD}
    codes = {refusal(answer) for asked, answer in course.answers("train") if asked.number == 2}
    assert codes == {"wrong-weight-class"}


def test_a_start_that_most_did_not_sign_is_refused(consortium: Consortium) -> None:
    """One site's receipt of the start is no majority."""
    run(consortium)

    def down(passing: Passing) -> RecordDict:
        if passing.site == "west":
            return away("west")(passing)
        request = read_round(passing.content) if passing.kind == "train" else None
        if request is None or request.server_round != 1:
            return passing.content
        return altered(passing.content, state=request.state[:-1] + b"\x00")

    course = run(consortium, down=down)
    codes = {refusal(answer) for _, answer in course.answers("train")}
    assert course.error is not None
    assert "" not in codes


def test_a_run_with_carried_statistics_is_resumed_byte_for_byte(consortium: Consortium) -> None:
    run(consortium)
    shown: list[RecordDict] = []

    def stop(passing: Passing) -> RecordDict:
        if passing.kind == "train":
            shown.append(passing.content)
            return away(passing.site)(passing)
        return away("west")(passing) if passing.site == "west" else passing.content

    assert run(consortium, down=stop, attempts=1).error is not None
    standing = read_standing(
        EvidenceStore(consortium.run.vault).read, consortium.charter.fingerprint, 2
    )
    assert standing.request.digests == read_round(shown[0]).digests
    assert standing.request.state


def test_all_exact_sums_are_checked_by_the_auditor(tmp_path: Path) -> None:
    """Zeros in the place of statistics are signed uploads like any other."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    assert run(consortium, seed=8).error is None
    assert run(consortium, without="west", seed=7).error is None
    assert not any(consortium.audited().values())
