"""The parts of a message are hashed once, whoever asks, and nothing of them is kept after it."""

import gc
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.protocol.part_digests import digests_shared, sha256_of

LONG = 5_000


@given(st.lists(st.binary(min_size=LONG, max_size=LONG + 3) | st.binary(max_size=8)))
def test_a_shared_digest_is_the_digest(parts: list[bytes]) -> None:
    with digests_shared():
        assert [sha256_of(one) for one in [*parts, *parts]] == [
            hashlib.sha256(one).digest() for one in [*parts, *parts]
        ]


def test_each_part_is_hashed_once_within_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    inner: Callable[[bytes], Any] = hashlib.sha256

    def counted(data: bytes) -> Any:
        hashed.append(data)
        return inner(data)

    monkeypatch.setattr(hashlib, "sha256", counted)
    one, other = bytes(LONG), bytes([1]) * LONG
    with digests_shared():
        digests = [sha256_of(part) for part in (one, other, one, other)]
    assert hashed == [one, other]
    assert digests[:2] == digests[2:]
    sha256_of(one)
    assert len(hashed) == 3


def test_what_was_changed_in_place_is_hashed_anew() -> None:
    part: Any = bytearray(LONG)
    with digests_shared():
        before = sha256_of(part)
        part[0] = 1
        assert sha256_of(part) != before


def test_bytes_that_come_after_others_are_not_taken_for_them() -> None:
    """An object may get the address of one that is gone."""
    with digests_shared():
        for first in range(200):
            part = bytes([first]) * LONG
            assert sha256_of(part) == hashlib.sha256(part).digest()
            del part


def test_nothing_is_kept_after_the_block() -> None:
    held = bytes(LONG)
    before = len(gc.get_referrers(held))
    with digests_shared():
        sha256_of(held)
    assert len(gc.get_referrers(held)) == before
