"""Tokenisation of whole texts: word pieces, in overlapping windows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sites.text.iob2_tags import overlapping_windows
from sites.text.marks import Marking, marks_of

Ids: TypeAlias = NDArray[np.int32]

_AT_ONCE = 1_000  # texts per call of the tokenizer


@dataclass(frozen=True)
class Pieces:
    """Texts as windows of pieces.

    Guarantee: the windows of a text hold all of its pieces, in order. Two neighbours share the
    agreed number of pieces. A text has at least one window; without pieces, an empty one.

    Args:
        windows: The windows of all texts, text after text, each with the special pieces at its
            ends.
        ends: Where in `windows` each text's windows end, shape (n_texts,).
    """

    windows: tuple[Ids, ...]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of windows of each text, shape (n_texts,)."""
        return np.diff(self.ends, prepend=0)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of pieces in each window, shape (n_windows,)."""
        return np.array([len(window) for window in self.windows], np.int64)

    @cached_property
    def longest(self) -> NDArray[np.int64]:
        """Number of pieces in the longest window of each text, its first, shape (n_texts,)."""
        longest: NDArray[np.int64] = self.sizes[self.ends - self.counts]
        return longest

    def window_indices(self, rows: NDArray[np.int64], *, at_most: int) -> NDArray[np.int64]:
        """Return the indices of the windows of some texts, text after text.

        Guarantee: all of a text's windows, or if there are more than `at_most`, that many of
        them, evenly spaced from the first to the last; with `at_most` 1, the first.

        Args:
            rows: Indices of the texts.
            at_most: Most windows of one text.
        """
        counts = self.counts[rows]
        taken = np.minimum(counts, at_most)
        # Window j of the `taken` ones of a text is window round(j * (count - 1) / (taken - 1)).
        first = np.repeat(self.ends[rows] - counts, taken)
        within = np.arange(len(first)) - np.repeat(np.cumsum(taken) - taken, taken)
        steps = np.repeat((counts - 1) / np.maximum(taken - 1, 1), taken)
        spread: NDArray[np.int64] = first + np.rint(within * steps).astype(np.int64)
        return spread


def cut_texts(texts: Sequence[str], tokenizer: Marking, *, size: int, overlap: int) -> Pieces:
    """Return texts as windows of pieces; nothing is cut off, however long a text is.

    Args:
        texts: Any texts, empty ones included.
        tokenizer: The encoder's tokenizer.
        size: Most pieces in a window, including the special ones at its ends.
        overlap: Pieces that two neighbouring windows share, below `size - 2`.

    Raises:
        UnclearMarks: The tokenizer changes a text's pieces when it sets special ones.
    """
    marks = marks_of(tokenizer)
    found: list[Ids] = []
    ends = []
    for pieces in _piece_ids(texts, tokenizer):
        inner = overlapping_windows(len(pieces), size=size - len(marks), overlap=overlap)
        parts = [pieces[window.start : window.end] for window in inner] or [pieces]
        found += [marks.around(part.astype(np.int64)).astype(np.int32) for part in parts]
        ends.append(len(found))
    return Pieces(tuple(found), np.array(ends, np.int64))


def _piece_ids(texts: Sequence[str], tokenizer: Marking) -> Iterable[Ids]:
    for start in range(0, len(texts), _AT_ONCE):
        # Without truncation and special pieces: `cut_texts` makes the windows itself.
        encoded = tokenizer(
            list(texts[start : start + _AT_ONCE]),
            add_special_tokens=False,
            truncation=False,
            verbose=False,
        )
        for ids in encoded["input_ids"]:
            yield np.array(ids, np.int32)
