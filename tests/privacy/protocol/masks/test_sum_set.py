"""D covers everything that says which sums are opened in a round."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import MAX_BUCKETS, Slot
from privacy.protocol.masks.sum_set import NOTHING, SumSet, digests_of_sums

digests = st.binary(min_size=32, max_size=32)
slots = st.builds(
    Slot,
    run=st.sampled_from(["run", "other"]),
    purpose=st.sampled_from(["training", "statistics", "evaluation"]),
    server_round=st.integers(0, 3),
    attempt=st.integers(1, 4),
)
sets = st.builds(
    SumSet,
    slot=slots,
    state=digests,
    cohort=digests,
    receipts=digests,
    sums=st.dictionaries(st.integers(0, 5), st.binary(max_size=3)).map(digests_of_sums),
    count_receipts=digests,
    count_sum=digests,
)


@given(sets)
def test_a_set_is_read_as_it_was_written(sum_set: SumSet) -> None:
    assert SumSet.decode(sum_set.encode()) == sum_set


@given(sets, sets, st.sampled_from([field.name for field in fields(SumSet)]))
def test_whatever_differs_gives_another_digest(one: SumSet, other: SumSet, field: str) -> None:
    changed = replace(one, **{field: getattr(other, field)})
    assert (changed.digest == one.digest) == (changed == one)


def test_a_set_says_whether_it_opens_counts() -> None:
    slot = Slot(run="run", purpose="training", server_round=1, attempt=1)
    made = SumSet(
        slot=slot,
        state=bytes(32),
        cohort=bytes(32),
        receipts=bytes(32),
        sums=(),
        count_receipts=bytes(32),
        count_sum=NOTHING,
    )
    assert not made.opens_counts
    assert replace(made, count_sum=bytes(32)).opens_counts


@pytest.mark.parametrize(
    "sums",
    [
        ((1, bytes(32)), (0, bytes(32))),
        ((0, bytes(32)), (0, bytes(32))),
        ((MAX_BUCKETS, bytes(32)),),
        ((0, b"short"),),
        ((-1, bytes(32)),),
    ],
)
def test_sums_are_digests_of_distinct_buckets_in_order(sums: tuple[tuple[int, bytes], ...]) -> None:
    made = SumSet(
        slot=Slot(run="run", purpose="training", server_round=1, attempt=1),
        state=bytes(32),
        cohort=bytes(32),
        receipts=bytes(32),
        sums=((0, bytes(32)),),
        count_receipts=bytes(32),
        count_sum=bytes(32),
    )
    with pytest.raises(MalformedEnvelope):
        replace(made, sums=sums)


@given(sets)
def test_bytes_that_announce_too_many_sums_are_refused(sum_set: SumSet) -> None:
    before = len(sum_set.tag) + len(sum_set.slot.encode()) + 8 + 3 * 32
    written = bytearray(sum_set.encode())
    written[before : before + 8] = (MAX_BUCKETS + 1).to_bytes(8, "big")
    with pytest.raises(MalformedEnvelope):
        SumSet.decode(bytes(written))
