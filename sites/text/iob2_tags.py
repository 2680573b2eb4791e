"""IOB2 tags, exact spans, the alignment of words and pieces, and overlapping windows.

Needs neither torch nor a tokenizer: the callers say to which word each piece belongs.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Matrix

OUTSIDE = "O"
NO_PIECE = -1
FORBIDDEN = -1e30  # score of a transition that IOB2 forbids; finite, so that sums are never NaN

Codes = NDArray[np.int64]


class UnknownTag(ConsortiumError, ValueError, code="unknown-tag"):
    """A tag is of no declared type."""


class Span(NamedTuple):
    """An entity: its type, its first word, and the position after its last word."""

    kind: str
    start: int
    end: int


class Window(NamedTuple):
    """A range of pieces that is read in one pass, and the part of it whose output is kept.

    Args:
        start: First piece that is read.
        end: Position after the last piece that is read.
        keep_from: First piece whose output is kept.
        keep_to: Position after the last piece whose output is kept.
    """

    start: int
    end: int
    keep_from: int
    keep_to: int


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """Return the tags in the order of their codes: O, then B and I of each type."""
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in "BI"))


def codes_of(tags: Iterable[str], types: Sequence[str]) -> Codes:
    """Return the codes of tags, shape (n,).

    Raises:
        UnknownTag: A tag is not of a declared type.
    """
    code = {tag: number for number, tag in enumerate(tag_names(types))}
    unknown = sorted({tag for tag in tags if tag not in code})
    if unknown:
        raise UnknownTag(f"tags of undeclared types: {unknown[:5]}; declared: {list(types)}")
    return np.array([code[tag] for tag in tags], np.int64)


def first_break(tags: Sequence[str]) -> tuple[int, str] | None:
    """Return the first position at which tags break IOB2, and why; None if there is none."""
    before = OUTSIDE
    for position, tag in enumerate(tags):
        mark, dash, kind = tag.partition("-")
        if tag != OUTSIDE and not (mark in ("B", "I") and dash and kind):
            return position, "not a tag: O, B-TYPE or I-TYPE"
        if mark == "I" and before == OUTSIDE:
            return position, "I after O"
        if mark == "I" and before.partition("-")[2] != kind:
            return position, "I after another type"
        before = tag
    return None


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the entities of a sentence in order, by strict IOB2.

    A B begins an entity, and an I of the same type continues it. An I that follows anything else
    belongs to no entity, as in seqeval's strict mode.
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
    """Return the IOB2 tags of a sentence with these entities; the inverse of `spans_of`."""
    tags = [OUTSIDE] * n_words
    for kind, start, end in spans:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tuple(tags)


def first_pieces(word_of_piece: Sequence[int | None], n_words: int) -> Codes:
    """Return the position of each word's first piece, shape (n_words,); -1 for a word without.

    A word has no piece if the tokenizer drops all of its characters. That happens with control
    characters and empty words.

    Args:
        word_of_piece: The word to which each piece belongs; None for special pieces.
        n_words: Number of words in the sentence.
    """
    first = np.full(n_words, NO_PIECE, np.int64)
    for position, word in enumerate(word_of_piece):
        if word is not None and first[word] == NO_PIECE:
            first[word] = position
    return first


def overlapping_windows(n_pieces: int, *, size: int, overlap: int) -> list[Window]:
    """Return windows over a sentence's pieces; each piece is kept in exactly one of them.

    Guarantee: a window reads at most `size` pieces. Of the overlap of two windows, each keeps
    half. So every kept piece was read with at least `overlap // 2` pieces of context on either
    side, except near the ends of the sentence.

    Args:
        n_pieces: Number of pieces without the special ones; 0 gives no window.
        size: Most pieces in a window, above `overlap`.
        overlap: Pieces that two neighbouring windows share, at least 0.
    """
    found: list[Window] = []
    start, kept = 0, 0
    while kept < n_pieces:
        end = min(start + size, n_pieces)
        keep_to = n_pieces if end == n_pieces else end - overlap // 2
        found.append(Window(start, end, kept, keep_to))
        start, kept = end - overlap, keep_to
    return found


def allowed_transitions(n_types: int) -> NDArray[np.bool_]:
    """Return whether IOB2 allows a tag after another, shape (n_tags, n_tags): [before, after]."""
    # Only I is restricted: it must follow B or I of its own type. Its code is even (`tag_names`).
    n_tags = 1 + 2 * n_types
    may = np.ones((n_tags, n_tags), np.bool_)
    for inside in range(2, n_tags, 2):
        may[:, inside] = False
        may[[inside - 1, inside], inside] = True
    return may


def decode_tags(scores: Matrix) -> Codes:
    """Return the codes of the best tag sequence that IOB2 allows, shape (n_words,).

    The best sequence has the largest sum of scores (Viterbi 1967).

    Args:
        scores: Log-probabilities or logits, shape (n_words, n_tags); n_tags is odd.
    """
    n_words, n_tags = scores.shape
    if not n_words:
        return np.zeros(0, np.int64)
    penalty = np.where(allowed_transitions(n_tags // 2), 0.0, FORBIDDEN)
    # `best` holds, for each tag, the score of the best sequence so far that ends with it;
    # `came_from` holds the tag before it in that sequence.
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
