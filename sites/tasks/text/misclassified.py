"""Misclassified held-out texts, for the people of the site that owns them.

They are never part of an answer to the coordinator; `consortium.model.files` writes them beside
the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.task import SiteData
from sites.text.iob2_tags import Codes, Span, spans_of, tag_names

HALF = 0.5

Data = TypeVar("Data", bound=SiteData, contravariant=True)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A misclassified text.

    Args:
        person: Whose it is.
        text: The whole text.
        true: Its class, its labels, or its entities with their types, in order.
        predicted: What the model predicts instead, likewise.
    """

    person: str
    text: str
    true: tuple[str, ...]
    predicted: tuple[str, ...]


@runtime_checkable
class ShowsMistakes(Protocol[Data]):
    """A task that can return the held-out texts that its model misclassifies."""

    def mistakes(
        self, data: Data, pooled: Tally, vector: Vector, *, at_most: int
    ) -> tuple[Mistake, ...]:
        """Return misclassified held-out texts, the worst first.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The state, shape (layout.dim,).
            at_most: Most texts to return.
        """


def worst_rows(
    predictions: NDArray[np.float64], labels: Tally, *, at_most: int
) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Return misclassified rows, the worst first, each with its true and its predicted codes.

    The worst row has the largest distance from the truth, summed over all probabilities. A label,
    and the second of two classes, is predicted at a probability of 0.5 or more, as in the
    evaluation.

    Args:
        predictions: Probabilities, shape (n, n_labels), or (n,) of the second of two classes.
        labels: Codes, shape (n,), or 0 and 1 for each label, shape (n, n_labels).
        at_most: Most rows to return.
    """
    if predictions.ndim == 1:
        predictions = np.stack([1 - predictions, predictions], axis=1)
    truth, said = labels.astype(np.bool_), predictions >= HALF
    # One form for all: codes become rows of 0 and 1, like the labels of multi-label texts.
    if labels.ndim == 1:
        two = predictions.shape[1] == 2
        best = said[:, 1].astype(np.int64) if two else predictions.argmax(axis=1)
        truth, said = (_one_hot(codes, predictions.shape[1]) for codes in (labels, best))
    wrong = np.flatnonzero((said != truth).any(axis=1))
    far = np.abs(predictions - truth).sum(axis=1)[wrong]
    rows = wrong[np.argsort(-far, kind="stable")][:at_most]
    return [(int(row), _codes(truth[row]), _codes(said[row])) for row in rows]


def worst_sentences(
    predicted: Sequence[Codes], true: Sequence[Codes], types: Sequence[str], *, at_most: int
) -> list[int]:
    """Return the indices of sentences with wrong entities, those with the most of them first.

    Args:
        predicted: Predicted tag codes of each sentence.
        true: True tag codes of each sentence.
        types: The types of entity.
        at_most: Most sentences to return.
    """
    names = tag_names(types)
    # An entity is wrong if it is only among the predicted ones or only among the true ones.
    wrong = [
        len({*_spans(said, names)} ^ {*_spans(is_so, names)})
        for said, is_so in zip(predicted, true, strict=True)
    ]
    order = np.argsort(-np.array(wrong, np.int64), kind="stable")
    return [int(row) for row in order[:at_most] if wrong[row]]


def entities_in_words(codes: Codes, words: Sequence[str], types: Sequence[str]) -> tuple[str, ...]:
    """Return the entities of a sentence in order, each as "TYPE: WORDS"."""
    return tuple(
        f"{span.kind}: {' '.join(words[span.start : span.end])}"
        for span in _spans(codes, tag_names(types))
    )


def _spans(codes: Codes, names: Sequence[str]) -> list[Span]:
    return spans_of([names[code] for code in codes])


def _one_hot(codes: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    return np.asarray(codes[:, None] == np.arange(size), np.bool_)


def _codes(marks: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(code) for code in np.flatnonzero(marks))
