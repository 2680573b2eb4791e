"""What a coordinator's signature of a question covers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.protocol.signed_question import MASKED_PARTS, PARTS, QuestionDigests

KEY = SigningKey(bytes(range(32)))
QUESTION = QuestionDigests.of("ab" * 32, 3, 1, [name.encode() for name in PARTS])
SIGNATURE = QUESTION.sign(KEY.sign)


def test_it_is_valid_for_its_question_and_its_key() -> None:
    QUESTION.verify(KEY.public, SIGNATURE)
    with pytest.raises(BadSignature):
        QUESTION.verify(SigningKey(bytes(32)).public, SIGNATURE)
    with pytest.raises(BadSignature):
        QUESTION.verify(KEY.public, b"")


@given(st.sampled_from(range(len(PARTS))), st.binary(min_size=32, max_size=32))
def test_no_part_can_be_exchanged(at: int, digest: bytes) -> None:
    parts = (*QUESTION.parts[:at], digest, *QUESTION.parts[at + 1 :])
    if parts != QUESTION.parts:
        with pytest.raises(BadSignature):
            replace(QUESTION, parts=parts).verify(KEY.public, SIGNATURE)


@pytest.mark.parametrize("changed", [{"server_round": 4}, {"attempt": 2}, {"charter": bytes(32)}])
def test_nor_its_place(changed: dict[str, object]) -> None:
    with pytest.raises(BadSignature):
        replace(QUESTION, **changed).verify(KEY.public, SIGNATURE)  # type: ignore[arg-type]


def test_a_masked_question_has_one_part_more_and_a_tag_of_its_own() -> None:
    masked = QuestionDigests.of("ab" * 32, 3, 1, [name.encode() for name in MASKED_PARTS])
    assert list(masked.named) == [*MASKED_PARTS]
    assert list(QUESTION.named) == [*PARTS]
    with pytest.raises(BadSignature):
        masked.verify(KEY.public, SIGNATURE)
    signature = masked.sign(KEY.sign)
    masked.verify(KEY.public, signature)
    with pytest.raises(BadSignature):
        replace(masked, parts=masked.parts[:-1]).verify(KEY.public, signature)


def test_what_has_another_form_is_no_question() -> None:
    for charter, parts in (("AB" * 32, 6), ("ab", 6), ("ab" * 32, 5), ("ab" * 32, 8)):
        with pytest.raises(MalformedEnvelope):
            QuestionDigests.of(charter, 1, 1, [b""] * parts)
