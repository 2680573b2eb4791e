"""What a masked run stores of its standing is read again as it was."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.progress import BadProgress, SealedStanding
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.masked.progress import (
    AwaitedSites,
    MaskedStanding,
    confirming_of,
    parse_masked_standing,
)
from tests.small_consortium import Consortium, Course

names = st.lists(st.sampled_from("abcdef"), unique=True).map(sorted).map(tuple)


@given(
    standing=st.builds(
        MaskedStanding,
        asked=names,
        set_of=st.integers(-1, 9),
        confirmed=st.booleans(),
        buckets=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    )
)
def test_a_standing_is_read_as_it_was_written(standing: MaskedStanding) -> None:
    described = json.loads(json.dumps(standing.describe()))
    assert parse_masked_standing(described) == standing
    assert described["files"] == list(standing.files)


def test_a_confirmed_set_belongs_to_its_confirmations() -> None:
    assert MaskedStanding().files == ()
    assert MaskedStanding(set_of=3).files == ("round-3/set.bin",)
    confirmed = MaskedStanding(set_of=3, confirmed=True).files
    assert confirmed == ("round-3/set.bin", "round-3/confirmations.bin")


@pytest.mark.parametrize(
    "damage",
    [{"asked": 3}, {"asked": None}, {"set_of": "x"}, {"buckets": []}, {"buckets": {"a": "x"}}],
)
def test_a_damaged_standing_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(BadProgress):
        parse_masked_standing({**MaskedStanding().describe(), **damage})


def test_a_standing_without_a_part_is_refused() -> None:
    described = MaskedStanding().describe()
    del described["confirmed"]
    with pytest.raises(BadProgress):
        parse_masked_standing(described)


def test_a_set_whose_file_is_lost_or_damaged_is_not_taken_up(tmp_path: Path) -> None:
    consortium = Consortium.placed(tmp_path)
    terms = consortium.strategy(Course(), masks=True)._terms
    assert isinstance(terms, MaskedTerms)
    layout = consortium.place("east").site.task.layout
    request = SealedRound(
        charter=consortium.charter.fingerprint, server_round=2, attempt=1, opening=b""
    )
    since = SealedStanding(layout=layout, request=request)
    assert confirming_of(MaskedStanding(), since, terms) is None
    for files in ({}, {"round-1/set.bin": b"no set"}):
        lost = SealedStanding(layout=layout, request=request, files=files)
        with pytest.raises(BadProgress):
            confirming_of(MaskedStanding(set_of=1), lost, terms)


@given(sites=names, state=st.sampled_from([b"", bytes(32)]))
def test_for_whom_a_run_waits_is_read_as_it_was_written(
    sites: tuple[str, ...], state: bytes
) -> None:
    awaited = AwaitedSites(sites=sites, state=state)
    assert AwaitedSites.decode(awaited.encode()) == awaited


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[]", b'{"sites": "a", "state": ""}', b'{"sites": [], "state": "x"}']
)
def test_for_whom_a_run_waits_is_refused_where_it_is_damaged(damaged: bytes) -> None:
    with pytest.raises(BadProgress):
        AwaitedSites.decode(damaged)
