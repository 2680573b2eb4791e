"""Laws of tags, spans, pieces and windows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.text.iob2_tags import (
    NO_PIECE,
    Span,
    UnknownTag,
    allowed_transitions,
    codes_of,
    decode_tags,
    first_break,
    first_pieces,
    overlapping_windows,
    spans_of,
    tag_names,
    tags_of,
)

TYPES = ("Disease", "Drug")
TAGS = tag_names(TYPES)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Return entities that do not overlap, and the number of words of their sentence."""
    spans, word = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = word + draw(st.integers(0, 3))
        word = start + draw(st.integers(1, 4))
        spans.append(Span(draw(st.sampled_from(TYPES)), start, word))
    return spans, word + draw(st.integers(0, 3))


@given(sentences())
def test_spans_are_read_back_from_their_tags(sentence: tuple[list[Span], int]) -> None:
    """Tags made from entities are IOB2 and give the same entities."""
    spans, n_words = sentence
    tags = tags_of(spans, n_words)
    assert spans_of(tags) == spans
    assert first_break(tags) is None
    assert len(tags) == n_words


@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_tags_break_iob2_if_and_only_if_a_break_is_found(tags: list[str]) -> None:
    """Tags are IOB2 if and only if they are the tags of their own spans."""
    same = list(tags_of(spans_of(tags), len(tags))) == tags
    assert (first_break(tags) is None) == same


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["O", "I-Disease"], (1, "I after O")),
        (["I-Disease"], (0, "I after O")),
        (["B-Drug", "I-Disease"], (1, "I after another type")),
        (["B-"], (0, "not a tag: O, B-TYPE or I-TYPE")),
        (["O", "disease"], (1, "not a tag: O, B-TYPE or I-TYPE")),
        (["S-Disease"], (0, "not a tag: O, B-TYPE or I-TYPE")),
        (["B-cell-line", "I-cell-line", "O"], None),
    ],
)
def test_a_break_says_where_and_why(tags: list[str], found: tuple[int, str] | None) -> None:
    assert first_break(tags) == found


def test_codes_are_positions_in_the_list_of_tags() -> None:
    assert codes_of(TAGS, TYPES).tolist() == list(range(len(TAGS)))
    with pytest.raises(UnknownTag, match="B-Gene"):
        codes_of(["O", "B-Gene"], TYPES)


@given(st.integers(0, 400), st.integers(1, 60), st.data())
def test_windows_keep_every_piece_once_with_context(
    n_pieces: int, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = overlapping_windows(n_pieces, size=size, overlap=overlap)
    kept = [piece for w in found for piece in range(w.keep_from, w.keep_to)]
    assert kept == list(range(n_pieces))
    for w in found:
        assert 0 < w.end - w.start <= size
        assert w.start <= w.keep_from < w.keep_to <= w.end
        assert w.keep_from == 0 or w.keep_from - w.start >= overlap // 2
        assert w.keep_to == n_pieces or w.end - w.keep_to >= overlap // 2


@given(st.lists(st.integers(0, 3), max_size=10))
def test_the_first_piece_of_each_word_is_found(pieces_of_word: list[int]) -> None:
    words = [word for word, pieces in enumerate(pieces_of_word) for _ in range(pieces)]
    first = first_pieces([None, *words, None], len(pieces_of_word))
    for word, pieces in enumerate(pieces_of_word):
        assert first[word] == (1 + words.index(word) if pieces else NO_PIECE)


@given(st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_decoding_finds_the_best_sequence_that_iob2_allows(n_words: int, seed: int) -> None:
    """Compared with trying every sequence."""
    scores = np.random.default_rng(seed).standard_normal((n_words, 5))
    every = [c for c in itertools.product(range(5), repeat=n_words) if _is_iob2(c)]
    best = max(every, key=lambda c: sum(scores[word, code] for word, code in enumerate(c)))
    assert decode_tags(scores).tolist() == list(best)


def _is_iob2(codes: tuple[int, ...]) -> bool:
    return first_break([TAGS[code] for code in codes]) is None


def test_allowed_transitions_are_those_of_iob2() -> None:
    may = allowed_transitions(2)
    for before, after in itertools.product(range(5), repeat=2):
        tags = [TAGS[before].replace("I-", "B-"), TAGS[after]]
        assert may[before, after] == (first_break(tags) is None)
