from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.membership_proof import Presence

PRESENCE = Presence(
    charter=b"c" * 32,
    run=2**63,
    node=2**64 - 1,
    challenge=b"n" * 32,
    site="north",
    layout=b"l" * 32,
    num_examples=12,
)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("charter", b"d" * 32),
        ("run", 7),
        ("node", 7),
        ("challenge", b"m" * 32),
        ("site", "south"),
        ("layout", b"k" * 32),
        ("num_examples", 13),
    ],
)
def test_every_part_is_signed(part: str, other: object) -> None:
    changed = replace(PRESENCE, **{part: other})  # type: ignore[arg-type]  # each of its own type
    assert changed.encode() != PRESENCE.encode()


@given(
    first=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    second=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
)
def test_no_two_nodes_of_any_two_runs_sign_the_same(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    encoded = {replace(PRESENCE, run=run, node=node).encode() for run, node in (first, second)}
    assert len(encoded) == len({first, second})


@pytest.mark.parametrize(
    ("part", "odd"),
    [("charter", b"c"), ("challenge", b""), ("layout", b"l" * 33), ("site", "No Name")],
)
def test_what_has_another_form_is_not_signed(part: str, odd: object) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(PRESENCE, **{part: odd})  # type: ignore[arg-type]  # each of its own type
