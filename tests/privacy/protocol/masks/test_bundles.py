"""A bundle commits its dealer to one share for each witness."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import STATISTICS, TRAINING, Slot
from privacy.protocol.masks.bundles import (
    MAX_BUNDLE_BYTES,
    MAX_ENTRY_BYTES,
    SEALED_SHARE_SIZE,
    Deal,
    Entry,
    ShareBundle,
    WrongBundle,
)
from privacy.protocol.masks.groups import MOST_WITNESSES
from privacy.protocol.receipts import NotInRoster

SLOT = Slot(run="run-1", purpose=TRAINING, server_round=3, attempt=1)
DEAL = Deal(
    slot=SLOT,
    site="east",
    witnesses=("east", "north", "south"),
    threshold=2,
    commitment=b"\x05" * 32,
)

entries = st.builds(
    Entry,
    commitment=st.binary(min_size=32, max_size=32),
    sealed=st.one_of(
        st.just(b""), st.binary(min_size=SEALED_SHARE_SIZE, max_size=SEALED_SHARE_SIZE)
    ),
)
bundles = st.builds(
    ShareBundle, entries=st.lists(entries, min_size=1, max_size=MOST_WITNESSES).map(tuple)
)


@given(bundles)
def test_a_bundle_is_read_as_it_was_written(bundle: ShareBundle) -> None:
    encoded = bundle.encode()
    assert ShareBundle.decode(encoded) == bundle
    assert len(encoded) <= MAX_BUNDLE_BYTES
    assert all(Entry.decode(one.encode()) == one for one in bundle.entries)
    assert all(len(one.encode()) <= MAX_ENTRY_BYTES for one in bundle.entries)


@given(bundles, st.data())
def test_other_bytes_are_refused_or_have_another_digest(
    bundle: ShareBundle, data: st.DataObject
) -> None:
    written = bytearray(bundle.encode())
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = ShareBundle.decode(bytes(written))
    except MalformedEnvelope:
        return
    assert read.encode() == bytes(written)
    assert read.digest != bundle.digest


@pytest.mark.parametrize("count", [0, MOST_WITNESSES + 1])
def test_a_bundle_holds_one_entry_for_each_of_1_to_32_witnesses(count: int) -> None:
    entry = Entry(commitment=bytes(32), sealed=b"")
    with pytest.raises(MalformedEnvelope, match="number of witnesses"):
        ShareBundle(entries=(entry,) * count)
    start = ShareBundle(entries=(entry,)).encode()[: len(ShareBundle.tag)]
    with pytest.raises(MalformedEnvelope, match="number of witnesses"):
        ShareBundle.decode(start + count.to_bytes(8, "big") + bytes(40 * count))


@pytest.mark.parametrize("size", [1, SEALED_SHARE_SIZE - 1, SEALED_SHARE_SIZE + 1])
def test_a_sealed_share_has_one_size(size: int) -> None:
    with pytest.raises(MalformedEnvelope):
        Entry(commitment=bytes(32), sealed=bytes(size))


def test_a_witness_finds_its_entry_by_its_place() -> None:
    bundle = ShareBundle(
        entries=tuple(Entry(commitment=bytes([one]) * 32, sealed=b"") for one in range(3))
    )
    assert [DEAL.point(witness) for witness in DEAL.witnesses] == [1, 2, 3]
    assert bundle.entry(DEAL, "south").commitment == b"\x02" * 32
    with pytest.raises(NotInRoster, match="3 witnesses"):
        bundle.entry(DEAL, "west")
    with pytest.raises(WrongBundle, match="3 entries") as refused:
        ShareBundle(entries=bundle.entries[:2]).entry(DEAL, "north")
    assert refused.value.counts == {"needed": 3, "came": 2}


def test_a_commitment_is_to_one_share_of_one_witness_of_one_mask() -> None:
    others = [
        replace(DEAL, site="north"),
        replace(DEAL, commitment=b"\x06" * 32),
        replace(DEAL, slot=replace(SLOT, attempt=2)),
        replace(DEAL, slot=replace(SLOT, purpose=STATISTICS)),
        replace(DEAL, slot=replace(SLOT, server_round=4)),
        replace(DEAL, slot=replace(SLOT, run="run-2")),
    ]
    digests = [deal.share_commitment("south", 7) for deal in (DEAL, *others)]
    digests += [DEAL.share_commitment("south", 8), DEAL.share_commitment("north", 7)]
    assert len(set(digests)) == len(digests)
