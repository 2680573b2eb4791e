"""The special pieces at the ends of a window, as a tokenizer sets them itself."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError

_PROBE = "a"


class UnclearMarks(ConsortiumError, ValueError, code="unclear-marks"):
    """A tokenizer does not keep a text's pieces together between its special ones."""


class Marking(Protocol):
    """The part of a tokenizer of `transformers` that is used here."""

    @property
    def cls_token_id(self) -> int | None:
        """Identifier of the special piece at the start of a window."""

    @property
    def sep_token_id(self) -> int | None:
        """Identifier of the special piece at the end of a window."""

    @property
    def eos_token_id(self) -> int | None:
        """Identifier of the piece that ends a text that a model writes."""

    def __call__(self, text: Any, **options: object) -> Any:  # noqa: ANN401 -- a mapping
        """Return the identifiers of the pieces of texts, under `input_ids`."""


@dataclass(frozen=True)
class Marks:
    """The special pieces at the ends of each window.

    Args:
        start: Identifiers of those before the text's own pieces, shape (n_start,).
        end: Identifiers of those after them, shape (n_end,).
        alone: What a window of a text without pieces holds, at least one identifier.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    alone: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.start) + len(self.end)

    def around(self, pieces: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a window: pieces with the special ones at its ends, or `alone` without any."""
        return np.concatenate([self.start, pieces, self.end]) if len(pieces) else self.alone


def marks_of(tokenizer: Marking) -> Marks:
    """Return the special pieces that a tokenizer sets around one text.

    Encoders have one at each end. Models that write have one at the start, or none.

    Raises:
        UnclearMarks: The tokenizer changes the pieces of a text when it sets special ones.
    """
    if tokenizer.cls_token_id is not None and tokenizer.sep_token_id is not None:
        return _marks([tokenizer.cls_token_id], [tokenizer.sep_token_id], tokenizer)
    bare = _ids(tokenizer, special=False)
    marked = _ids(tokenizer, special=True)
    for start in range(len(marked) - len(bare) + 1 if bare else 0):
        if marked[start : start + len(bare)] == bare:
            return _marks(marked[:start], marked[start + len(bare) :], tokenizer)
    raise UnclearMarks(
        "the encoder's tokenizer sets special pieces within a text's own: use another encoder"
    )


def _marks(start: list[int], end: list[int], tokenizer: Marking) -> Marks:
    around = [*start, *end] or [tokenizer.eos_token_id or 0]
    return Marks(*(np.array(ids, np.int64) for ids in (start, end, around)))


def _ids(tokenizer: Marking, *, special: bool) -> list[int]:
    return list(tokenizer([_PROBE], add_special_tokens=special, verbose=False)["input_ids"][0])
