"""Texts as an encoder reads them: pieces of words, in windows that overlap."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sites.text.iob2_tags import windows

Ids: TypeAlias = NDArray[np.int32]

_AT_ONCE = 1_000


class Tokenizer(Protocol):
    """A tokenizer of `transformers`, as far as it is used here."""

    @property
    def cls_token_id(self) -> int | None:
        """Number of the piece that begins what is read."""

    @property
    def sep_token_id(self) -> int | None:
        """Number of the piece that ends it."""

    def __call__(self, text: list[str], **options: object) -> Any:  # noqa: ANN401 -- a mapping
        """Return the numbers of the pieces, by text, under `input_ids`."""


@dataclass(frozen=True)
class Pieces:
    """Texts in windows.

    Guarantee: the windows of a text hold each of its pieces, in order; two neighbours share the
    agreed number of pieces; a text has at least one window, if it has no piece an empty one.

    Args:
        windows: Of all texts, one after another, each with the two pieces that mark its ends.
        ends: Where in `windows` each text's windows end, shape (n_texts,).
    """

    windows: tuple[Ids, ...]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Windows of each text, shape (n_texts,)."""
        return np.diff(self.ends, prepend=0)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Pieces in each window, shape (n_windows,)."""
        return np.array([len(window) for window in self.windows], np.int64)

    @cached_property
    def longest(self) -> NDArray[np.int64]:
        """Pieces in the longest window of each text, which is its first, shape (n_texts,)."""
        longest: NDArray[np.int64] = self.sizes[self.ends - self.counts]
        return longest

    def of(self, rows: NDArray[np.int64], *, at_most: int) -> NDArray[np.int64]:
        """Return which windows some texts are read in, text after text.

        Guarantee: all of a text's windows, or `at_most` of them spread evenly from the first to
        the last; with one only, the first.
        """
        counts = self.counts[rows]
        taken = np.minimum(counts, at_most)
        first = np.repeat(self.ends[rows] - counts, taken)
        within = np.arange(len(first)) - np.repeat(np.cumsum(taken) - taken, taken)
        steps = np.repeat((counts - 1) / np.maximum(taken - 1, 1), taken)
        spread: NDArray[np.int64] = first + np.rint(within * steps).astype(np.int64)
        return spread


def cut(texts: Sequence[str], tokenizer: Tokenizer, *, size: int, overlap: int) -> Pieces:
    """Return texts in windows; nothing is cut off, however long a text is.

    Args:
        texts: Any, empty ones too.
        tokenizer: Knows the pieces.
        size: Most pieces in a window, the two that mark its ends included.
        overlap: Pieces that two neighbours share, below `size - 2`.
    """
    marks = np.array([tokenizer.cls_token_id, tokenizer.sep_token_id], np.int32)
    found: list[Ids] = []
    ends = []
    for pieces in _numbered(texts, tokenizer):
        inner = windows(len(pieces), size=size - 2, overlap=overlap)
        parts = [pieces[window.start : window.end] for window in inner] or [pieces]
        found += [np.concatenate([marks[:1], part, marks[1:]]) for part in parts]
        ends.append(len(found))
    return Pieces(tuple(found), np.array(ends, np.int64))


def _numbered(texts: Sequence[str], tokenizer: Tokenizer) -> Iterable[Ids]:
    for start in range(0, len(texts), _AT_ONCE):
        encoded = tokenizer(
            list(texts[start : start + _AT_ONCE]),
            add_special_tokens=False,
            truncation=False,
            verbose=False,
        )
        for ids in encoded["input_ids"]:
            yield np.array(ids, np.int32)
