from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import canonical
from privacy.canonical import MAX_NAMES, MalformedEnvelope
from privacy.identity.public_identity import BadSignature
from privacy.protocol.key_messages import (
    MAX_WRAPPED_BYTES,
    Delivery,
    DeliveryTerms,
    Opening,
    OpeningTerms,
)
from privacy.secrets.key_exchange import NewEpoch
from privacy.secrets.keys import Identity

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,30}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32)
SIGNATURES = st.binary(min_size=64, max_size=64)
EPOCHS = st.integers(1, 2**63 - 1)
OPENINGS = st.builds(
    Opening,
    terms=st.builds(
        OpeningTerms,
        label=NAMES,
        descriptor=DIGESTS,
        charter=DIGESTS,
        epoch=EPOCHS,
        epoch_fingerprint=DIGESTS,
        opener=NAMES,
        roster=st.lists(NAMES, unique=True, max_size=6).map(sorted).map(tuple),
        lineage=st.none() | NAMES,
        salt=DIGESTS,
    ),
    wrapped=st.binary(min_size=1, max_size=100),
    signature=SIGNATURES,
)
DELIVERIES = st.builds(
    Delivery,
    terms=st.builds(
        DeliveryTerms,
        charter=DIGESTS,
        epoch=EPOCHS,
        epoch_fingerprint=DIGESTS,
        maker=NAMES,
        maker_fingerprint=DIGESTS,
        recipient=NAMES,
        recipient_fingerprint=DIGESTS,
    ),
    sealed=st.binary(min_size=80, max_size=80),
    signature=SIGNATURES,
)


@settings(max_examples=100)
@given(form=st.one_of(OPENINGS, DELIVERIES), more=st.binary(min_size=1, max_size=3))
def test_one_form_has_one_encoding(form: Opening | Delivery, more: bytes) -> None:
    data = form.encode()
    assert type(form).decode(data) == form
    for changed in (data + more, data[: -len(more)], more + data):
        with pytest.raises(MalformedEnvelope):
            type(form).decode(changed)


@settings(max_examples=50)
@given(first=OPENINGS, second=OPENINGS)
def test_a_run_id_names_one_opening(first: Opening, second: Opening) -> None:
    same = (first.terms, first.wrapped) == (second.terms, second.wrapped)
    assert (first.run == second.run) == same


def test_a_run_id_is_a_name_even_for_the_longest_label(opening: Opening) -> None:
    longest = replace(opening, terms=replace(opening.terms, label="a" * 63))
    canonical.require_name("a run id", longest.run)
    assert opening.run == f"bank-credit-{opening.digest.hex()}"
    with pytest.raises(MalformedEnvelope):
        replace(opening.terms, label="a" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "Bank"},
        {"descriptor": b""},
        {"charter": b""},
        {"epoch": 0},
        {"epoch_fingerprint": b""},
        {"opener": ""},
        {"roster": ("b", "a")},
        {"roster": ("a", "a")},
        {"lineage": "A"},
        {"salt": b""},
    ],
)
def test_terms_out_of_range_do_not_construct(opening: Opening, change: dict[str, Any]) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(opening.terms, **change)


@pytest.mark.parametrize(
    "change", [{"wrapped": b""}, {"wrapped": bytes(MAX_WRAPPED_BYTES + 1)}, {"signature": b""}]
)
def test_an_opening_out_of_range_does_not_construct(
    opening: Opening, change: dict[str, Any]
) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(opening, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"charter": b""},
        {"epoch": 0},
        {"epoch_fingerprint": b""},
        {"maker": ""},
        {"maker_fingerprint": b""},
        {"recipient": ""},
        {"recipient_fingerprint": b""},
    ],
)
def test_delivery_terms_out_of_range_do_not_construct(
    epoch: NewEpoch, change: dict[str, Any]
) -> None:
    delivery = epoch.deliveries["west"]
    with pytest.raises(MalformedEnvelope):
        replace(delivery.terms, **change)
    for outer in ({"sealed": b"1" * 79}, {"signature": b""}):
        with pytest.raises(MalformedEnvelope):
            replace(delivery, **outer)  # type: ignore[arg-type]


def test_the_longest_roster_and_key_still_travel(opening: Opening) -> None:
    roster = tuple(sorted(f"s{'x' * 120}{index:04}" for index in range(MAX_NAMES)))
    largest = replace(
        opening, terms=replace(opening.terms, roster=roster), wrapped=bytes(MAX_WRAPPED_BYTES)
    )
    assert Opening.decode(largest.encode()) == largest
    assert "wrapped" not in repr(largest)


def test_two_lineages_are_refused(opening: Opening) -> None:
    one = replace(opening.terms, lineage="first").encode()
    two = one.replace(canonical.names(["first"]), canonical.names(["first", "second"]))
    with pytest.raises(MalformedEnvelope, match="one lineage"):
        OpeningTerms.decode(two)


def test_signatures_are_of_the_named_member(
    identities: dict[str, Identity], opening: Opening, epoch: NewEpoch
) -> None:
    for form in (opening, epoch.deliveries["west"]):
        form.verify(identities["east"].public)
        with pytest.raises(BadSignature):
            form.verify(identities["north"].public)
        with pytest.raises(BadSignature):
            replace(form, signature=bytes(64)).verify(identities["east"].public)
