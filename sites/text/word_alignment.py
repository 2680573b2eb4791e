"""Tokenisation of sentences that are split into words, aligned with those words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.text.iob2_tags import Codes, first_pieces, overlapping_windows
from sites.text.marks import Marks, marks_of

Piece: TypeAlias = Literal["first", "last"]
"""The piece by which a word is classified."""

_PROBE = ("a", "b", "a")
_WORDS_IN_A_ROW = {
    "is_split_into_words": True,
    "add_special_tokens": False,
    "truncation": False,
    "verbose": False,
}


class SlowTokenizer(ConsortiumError, ValueError, code="slow-tokenizer"):
    """A tokenizer does not say to which word a piece belongs; only fast ones do."""


class TokenizerOutput(Protocol):
    """The output of a fast tokenizer for a batch of sentences."""

    def word_ids(self, batch_index: int) -> Sequence[int | None]:
        """Return the index of each piece's word in one sentence of the batch."""

    def __getitem__(self, name: str) -> Sequence[Sequence[int]]:
        """Return the identifiers of the pieces of each sentence, for `input_ids`."""


@runtime_checkable
class Tokenizer(Protocol):
    """The part of a fast tokenizer of `transformers` that is used here."""

    is_fast: bool
    cls_token_id: int | None
    sep_token_id: int | None
    eos_token_id: int | None

    def __call__(self, text: Any, **options: object) -> Any:  # noqa: ANN401 -- a `TokenizerOutput`
        """Cut texts, or sentences given as lists of words, into pieces."""


@dataclass(frozen=True)
class PieceWindow:
    """A part of a sentence that the model reads in one pass.

    Args:
        ids: Identifiers of the pieces, including the special ones at the ends, shape (n_pieces,).
        positions: Positions in `ids` of the pieces by which the words are classified whose output
            is kept, shape (n_kept,).
        words: Indices of these words in the sentence, shape (n_kept,).
    """

    ids: NDArray[np.int64]
    positions: Codes
    words: Codes


@dataclass(frozen=True)
class Sentence:
    """A sentence as windows of pieces.

    Guarantee: each word that has a piece is kept in exactly one window.

    Args:
        windows: At least one.
        n_words: Number of words in the sentence.
    """

    windows: tuple[PieceWindow, ...]
    n_words: int


def cut_sentences(
    sentences: Sequence[Sequence[str]],
    tokenizer: Tokenizer,
    *,
    size: int,
    overlap: int,
    by: Piece = "first",
) -> list[Sentence]:
    """Return sentences as windows of pieces.

    Guarantee: nothing is cut off, however long a sentence or a word is. Each word is classified
    by its first piece, or by its last that the window holds. A word without a piece, such as an
    empty one, is in no window, and counts as outside of any entity. Words are cut as in running
    text.

    Args:
        sentences: The words of each sentence.
        tokenizer: The encoder's tokenizer, a fast one.
        size: Most pieces in a window, including the special ones at its ends.
        overlap: Pieces that two neighbouring windows share.
        by: The piece by which a word is classified. A model that reads from left to right has
            read all of a word at its last piece only.

    Raises:
        SlowTokenizer: The tokenizer is not a fast one, or does not tell words in a row apart.
        UnclearMarks: The tokenizer changes a text's pieces when it sets special ones.
    """
    if not tokenizer.is_fast:
        raise SlowTokenizer(
            "entities need a fast tokenizer, which says to which word a piece belongs: use an "
            "encoder that has one"
        )
    if not sentences:
        return []
    encoded: TokenizerOutput = tokenizer(
        _words_with_spaces(sentences, tokenizer), **_WORDS_IN_A_ROW
    )
    marks, found = marks_of(tokenizer), []
    for number, words in enumerate(sentences):
        ids = np.array(encoded["input_ids"][number], np.int64)
        places = WordPlaces.of(encoded.word_ids(number), len(words), by=by)
        found.append(_windows_of_sentence(ids, places, marks, size=size, overlap=overlap))
    return found


@dataclass(frozen=True)
class WordPlaces:
    """Where words stand in the pieces of a sentence, shape (n_words,) each; -1 without a piece.

    Args:
        first: Of each word, its first piece.
        read: Of each word, the piece by which it is classified.
    """

    first: Codes
    read: Codes

    @classmethod
    def of(cls, word_of_piece: Sequence[int | None], n_words: int, *, by: Piece) -> "WordPlaces":
        """Return the places, from the word to which each piece belongs."""
        first = first_pieces(word_of_piece, n_words)
        if by == "first":
            return cls(first, first)
        # The last piece is the first one from behind.
        behind = first_pieces(list(reversed(word_of_piece)), n_words)
        return cls(first, np.where(behind < 0, behind, len(word_of_piece) - 1 - behind))


def _words_with_spaces(sentences: Sequence[Sequence[str]], tokenizer: Tokenizer) -> list[list[str]]:
    """Return the words in the form that the tokenizer cuts as in running text.

    Tokenizers of bytes, such as those of RoBERTa and GPT-2, hold the space before a word for a
    part of it, and run words that are given in a row together: there `knee` after `left` would be
    read as the end of a word. They get the space.

    Raises:
        SlowTokenizer: Words are cut otherwise than in running text, with the space and without.
    """
    running = list(tokenizer([" ".join(_PROBE)], add_special_tokens=False)["input_ids"][0])
    for space in ("", " "):
        probe = [_PROBE[0], *(space + word for word in _PROBE[1:])]
        if list(tokenizer([probe], **_WORDS_IN_A_ROW)["input_ids"][0]) == running:
            return [
                [space + word if number and word else word for number, word in enumerate(words)]
                for words in sentences
            ]
    raise SlowTokenizer(
        "the encoder's tokenizer cuts words in a row otherwise than in running text, so entities "
        "would be learnt from words that do not occur: use another encoder"
    )


def _windows_of_sentence(
    ids: NDArray[np.int64], places: WordPlaces, marks: Marks, *, size: int, overlap: int
) -> Sentence:
    found = []
    for window in overlapping_windows(len(ids), size=size - len(marks), overlap=overlap):
        first = places.first
        kept = np.flatnonzero((first >= window.keep_from) & (first < window.keep_to))
        if len(kept):
            # Of a word that goes on after the window, the last piece within it.
            read = np.minimum(places.read[kept], window.end - 1)
            found.append(
                PieceWindow(
                    marks.around(ids[window.start : window.end]),
                    read - window.start + len(marks.start),
                    kept,
                )
            )
    # Windows without a kept word are left out; a sentence of none gets an empty window, as the
    # model must see a row for each record.
    nothing = PieceWindow(marks.alone, np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Sentence(tuple(found) or (nothing,), len(places.first))
