"""Entities in sentences: IOB2 tags, exact spans, and words against the pieces a model reads.

Torch-free and free of any tokenizer: pieces are told by the word each belongs to.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Matrix

OUTSIDE = "O"
NO_PIECE = -1
FORBIDDEN = -1e30

Codes = NDArray[np.int64]


class UnknownTag(ConsortiumError, ValueError):
    """A tag is of no declared type."""

    code = "unknown-tag"


class Span(NamedTuple):
    """An entity: its type, its first word, and the word after its last."""

    kind: str
    start: int
    end: int


class Window(NamedTuple):
    """A stretch of pieces that is read at once, and the part of it that is kept.

    Args:
        start: First piece read.
        end: The piece after the last one read.
        keep_from: First piece whose output is kept.
        keep_to: The piece after the last one kept.
    """

    start: int
    end: int
    keep_from: int
    keep_to: int


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """Return the tags of these types by code: O, then B and I of each type."""
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in "BI"))


def codes_of(tags: Iterable[str], types: Sequence[str]) -> Codes:
    """Return the codes of tags, shape (n,).

    Raises:
        UnknownTag: One is of no declared type.
    """
    code = {tag: number for number, tag in enumerate(tag_names(types))}
    unknown = sorted({tag for tag in tags if tag not in code})
    if unknown:
        raise UnknownTag(f"tags of undeclared types: {unknown[:5]}; declared: {list(types)}")
    return np.array([code[tag] for tag in tags], np.int64)


def first_break(tags: Sequence[str]) -> tuple[int, str] | None:
    """Return where tags first stop being IOB2, and why; None if they are IOB2 throughout."""
    before = OUTSIDE
    for position, tag in enumerate(tags):
        mark, dash, kind = tag.partition("-")
        if tag != OUTSIDE and not (mark in ("B", "I") and dash and kind):
            return position, "no tag: O, B-TYPE or I-TYPE"
        if mark == "I" and before == OUTSIDE:
            return position, "I after O"
        if mark == "I" and before.partition("-")[2] != kind:
            return position, "I after another type"
        before = tag
    return None


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the entities of a sentence, strictly by IOB2, in their order.

    A B begins an entity and I of the same type goes on with it; an I that follows anything else
    is part of none, as in seqeval's strict mode.
    """
    spans: list[Span] = []
    kind, start = "", 0
    for position, tag in enumerate([*tags, OUTSIDE]):
        if kind and tag == f"I-{kind}":
            continue
        if kind:
            spans.append(Span(kind, start, position))
        kind, start = (tag[2:], position) if tag.startswith("B-") else ("", 0)
    return spans


def tags_of(spans: Iterable[Span], n_words: int) -> tuple[str, ...]:
    """Return the IOB2 tags of a sentence with these entities, the inverse of `spans_of`."""
    tags = [OUTSIDE] * n_words
    for kind, start, end in spans:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tuple(tags)


def first_pieces(word_of_piece: Sequence[int | None], n_words: int) -> Codes:
    """Return the position of each word's first piece, shape (n_words,); -1 where it has none.

    A word has no piece where the tokenizer drops all of its characters, as it does with control
    characters and empty words.

    Args:
        word_of_piece: The word that each piece belongs to; None for special pieces.
        n_words: Words of the sentence.
    """
    first = np.full(n_words, NO_PIECE, np.int64)
    for position, word in enumerate(word_of_piece):
        if word is not None and first[word] == NO_PIECE:
            first[word] = position
    return first


def windows(n_pieces: int, *, size: int, overlap: int) -> list[Window]:
    """Return windows over a sentence's pieces; each piece is kept in exactly one of them.

    Guarantee: a window reads at most `size` pieces; where two windows meet, half of the overlap
    is kept from each, so that every kept piece but those at the sentence's own ends was read
    with at least `overlap // 2` pieces on either side.

    Args:
        n_pieces: Without special pieces; none gives no window.
        size: Most pieces read at once, above `overlap`.
        overlap: Pieces that two neighbours share, at least 0.
    """
    found: list[Window] = []
    start, kept = 0, 0
    while kept < n_pieces:
        end = min(start + size, n_pieces)
        keep_to = n_pieces if end == n_pieces else end - overlap // 2
        found.append(Window(start, end, kept, keep_to))
        start, kept = end - overlap, keep_to
    return found


def allowed(n_types: int) -> NDArray[np.bool_]:
    """Return which tag code may follow which in IOB2, shape (n_tags, n_tags): [before, after]."""
    n_tags = 1 + 2 * n_types
    may = np.ones((n_tags, n_tags), np.bool_)
    for inside in range(2, n_tags, 2):
        may[:, inside] = False
        may[[inside - 1, inside], inside] = True
    return may


def decode(scores: Matrix) -> Codes:
    """Return the best tags of a sentence that are IOB2 throughout, shape (n_words,).

    Best is the largest sum of scores over all sequences IOB2 allows (Viterbi 1967).

    Args:
        scores: Log-probabilities or logits, shape (n_words, n_tags); n_tags is odd.
    """
    n_words, n_tags = scores.shape
    if not n_words:
        return np.zeros(0, np.int64)
    penalty = np.where(allowed(n_tags // 2), 0.0, FORBIDDEN)
    best = scores[0] + penalty[0]  # a sentence begins as if after O
    came_from = np.zeros((n_words, n_tags), np.int64)
    for word in range(1, n_words):
        reached = best[:, None] + penalty  # [before, after]
        came_from[word] = reached.argmax(axis=0)
        best = reached.max(axis=0) + scores[word]
    codes = np.zeros(n_words, np.int64)
    codes[-1] = best.argmax()
    for word in range(n_words - 1, 0, -1):
        codes[word - 1] = came_from[word, codes[word]]
    return codes
