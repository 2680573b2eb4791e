"""Sentences as a model reads them: pieces in windows, and the word each kept output stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.text.iob2_tags import Codes, first_pieces, windows


class SlowTokenizer(ConsortiumError, ValueError):
    """A tokenizer does not tell which word a piece belongs to: only fast ones do."""

    code = "slow-tokenizer"


class Encoded(Protocol):
    """What a fast tokenizer returns for a batch of sentences."""

    def word_ids(self, batch_index: int) -> Sequence[int | None]:
        """Return the word of each piece of a sentence."""

    def __getitem__(self, name: str) -> Sequence[Sequence[int]]:
        """Return the numbers of the pieces, by sentence, for `input_ids`."""


@runtime_checkable
class Tokenizer(Protocol):
    """A fast tokenizer of `transformers`, as far as it is used here."""

    is_fast: bool
    cls_token_id: int
    sep_token_id: int

    def __call__(self, text: list[list[str]], **options: object) -> Encoded:
        """Cut sentences that are split into words into pieces."""


@dataclass(frozen=True)
class PieceWindow:
    """A stretch of a sentence that the model reads at once.

    Args:
        ids: Numbers of the pieces, [CLS] and [SEP] included, shape (n_pieces,).
        positions: Where in `ids` the first pieces of words stand whose output is kept.
        words: Which words those are, as many.
    """

    ids: NDArray[np.int64]
    positions: Codes
    words: Codes


@dataclass(frozen=True)
class Sentence:
    """A record: its windows, at least one, and how many words it has.

    Guarantee: each word that has a piece is kept in exactly one window.
    """

    windows: tuple[PieceWindow, ...]
    n_words: int

    @property
    def n_read(self) -> int:
        """Words that have a piece, which alone are read."""
        return sum(len(window.words) for window in self.windows)


def read_as_pieces(
    sentences: Sequence[Sequence[str]], tokenizer: Tokenizer, *, size: int, overlap: int
) -> list[Sentence]:
    """Return sentences as windows of pieces.

    Guarantee: nothing is cut off, however long a sentence or a word is; each word is judged by
    its first piece. A word without a piece, as an empty one, is in no window, and counts as
    outside of any entity.

    Args:
        sentences: Words of each sentence.
        tokenizer: A fast one.
        size: Most pieces read at once, [CLS] and [SEP] included.
        overlap: Pieces that two neighbouring windows share.

    Raises:
        SlowTokenizer: The tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise SlowTokenizer("entities need a fast tokenizer: it says which word a piece is of")
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
        _sentence(
            np.array(encoded["input_ids"][number], np.int64),
            first_pieces(encoded.word_ids(number), len(words)),
            (tokenizer.cls_token_id, tokenizer.sep_token_id),
            size=size - 2,
            overlap=overlap,
        )
        for number, words in enumerate(sentences)
    ]


def _sentence(
    ids: NDArray[np.int64], first: Codes, ends: tuple[int, int], *, size: int, overlap: int
) -> Sentence:
    found = []
    for window in windows(len(ids), size=size, overlap=overlap):
        kept = np.flatnonzero((first >= window.keep_from) & (first < window.keep_to))
        if len(kept):
            read = np.concatenate([ends[:1], ids[window.start : window.end], ends[1:]])
            found.append(PieceWindow(read, first[kept] - window.start + 1, kept))
    nothing = PieceWindow(np.array(ends, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Sentence(tuple(found) or (nothing,), len(first))
