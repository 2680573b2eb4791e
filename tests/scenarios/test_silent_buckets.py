"""Whole runs over several buckets: a silent site costs its bucket that round, and no more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from privacy.protocol.receipts import decode_receipts
from tests.small_consortium import (
    Consortium,
    Course,
    Hook,
    Passing,
    read_round,
    receipts_of,
    with_receipts,
)
from tests.tampering import absent, both

SITES = tuple(f"site-{letter}" for letter in "abcdefghi")
THREES: Mapping[str, Any] = {"buckets": 3, "weighting": "equal", "num-server-rounds": 4}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run", SITES)


def run(consortium: Consortium, hook: Hook) -> Course:
    return consortium.start(down=hook, quorum=6, **THREES)


def sites_shown(course: Course, number: int) -> set[str]:
    """Return the sites whose receipts of the round before a round's request shows."""
    request = next(
        read_round(asked.content) for asked, _ in course.answers("train") if asked.number == number
    )
    return {one.label.site for one in decode_receipts(request.receipts)}


def test_the_other_sites_of_a_silent_sites_bucket_continue_in_the_next_round(
    consortium: Consortium,
) -> None:
    """Their bucket is below its floor, so that it is right not to show their receipts."""
    silent = "site-e"
    course = run(consortium, absent(silent, "train", 2))
    assert course.error is None, course.error
    assert course.quarantined == {(2, silent, "silent")}
    assert sites_shown(course, 2) == set(SITES)
    mates = set(SITES) - sites_shown(course, 3)
    assert silent in mates
    assert len(mates) == 3
    assert sites_shown(course, 4) == set(SITES)
    assert set(course.models) == set(SITES)
    assert len(set(course.models.values())) == 1


def test_the_others_have_two_buckets_if_a_site_stays_away(consortium: Consortium) -> None:
    """The other sites of its bucket train, are not counted, and end with the same model."""
    course = run(consortium, absent("site-e", "train", 1, 2, 3, 4))
    assert course.error is None, course.error
    assert course.quarantined == {(number, "site-e", "silent") for number in (1, 2, 3, 4)}
    assert {len(sites_shown(course, number)) for number in (2, 3, 4)} == {6}
    assert set(course.models) == set(SITES)
    assert len(set(course.models.values())) == 1


@pytest.mark.slow
def test_buckets_that_are_left_out_in_turn_all_return(consortium: Consortium) -> None:
    hook = both(absent("site-e", "train", 1, 3), absent("site-b", "train", 2))
    course = run(consortium, hook)
    assert course.error is None, course.error
    assert {code for _, _, code in course.quarantined} == {"silent"}
    assert len(set(course.models.values())) == 1


def test_a_single_site_cannot_be_left_out_of_a_bucket_that_counts(tmp_path: Path) -> None:
    """The coordinator drops one receipt of a bucket of four, and its site notices."""
    consortium = Consortium.placed(tmp_path / "run", SITES[:4])

    def drops(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind, passing.number) != ("site-a", "train", 2):
            return passing.content
        receipts = receipts_of(read_round(passing.content))
        kept = [one for site, one in receipts.items() if site != "site-a"]
        return with_receipts(read_round(passing.content), kept)

    course = consortium.start(down=drops)
    assert (2, "site-a", "site-refused.receipt-missing") in course.quarantined
