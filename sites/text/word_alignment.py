"""Tokenisation of sentences that are split into words, aligned with those words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.text.iob2_tags import Codes, first_pieces, overlapping_windows


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
    cls_token_id: int
    sep_token_id: int

    def __call__(self, text: list[list[str]], **options: object) -> TokenizerOutput:
        """Cut sentences, given as lists of words, into pieces."""


@dataclass(frozen=True)
class PieceWindow:
    """A part of a sentence that the model reads in one pass.

    Args:
        ids: Identifiers of the pieces, including [CLS] and [SEP], shape (n_pieces,).
        positions: Positions in `ids` of the first pieces of the words whose output is kept,
            shape (n_kept,).
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
    sentences: Sequence[Sequence[str]], tokenizer: Tokenizer, *, size: int, overlap: int
) -> list[Sentence]:
    """Return sentences as windows of pieces.

    Guarantee: nothing is cut off, however long a sentence or a word is. Each word is classified
    by its first piece. A word without a piece, such as an empty one, is in no window, and counts
    as outside of any entity.

    Args:
        sentences: The words of each sentence.
        tokenizer: The encoder's tokenizer, a fast one.
        size: Most pieces in a window, including [CLS] and [SEP].
        overlap: Pieces that two neighbouring windows share.

    Raises:
        SlowTokenizer: The tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise SlowTokenizer(
            "entities need a fast tokenizer, which says to which word a piece belongs: use an "
            "encoder that has one"
        )
    if not sentences:
        return []
    encoded = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        truncation=False,
        verbose=False,
    )
    return [
        _windows_of_sentence(
            np.array(encoded["input_ids"][number], np.int64),
            first_pieces(encoded.word_ids(number), len(words)),
            (tokenizer.cls_token_id, tokenizer.sep_token_id),
            size=size - 2,
            overlap=overlap,
        )
        for number, words in enumerate(sentences)
    ]


def _windows_of_sentence(
    ids: NDArray[np.int64], first: Codes, ends: tuple[int, int], *, size: int, overlap: int
) -> Sentence:
    found = []
    for window in overlapping_windows(len(ids), size=size, overlap=overlap):
        kept = np.flatnonzero((first >= window.keep_from) & (first < window.keep_to))
        if len(kept):
            read = np.concatenate([ends[:1], ids[window.start : window.end], ends[1:]])
            found.append(PieceWindow(read, first[kept] - window.start + 1, kept))  # 1 for [CLS]
    # Windows without a kept word are left out; a sentence of none gets an empty window, as the
    # model must see a row for each record.
    nothing = PieceWindow(np.array(ends, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Sentence(tuple(found) or (nothing,), len(first))
