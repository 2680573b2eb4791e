"""Pooled evaluation of named entities: exact spans, counted by type, in strict IOB2, and words.

Most words are in no entity, so a model that finds nothing has most words right. Token accuracy is
to be read beside the share of such words.

Sentences stand one after another in one vector of tag codes, each followed by `SENTENCE_END`. So
the vectors of several sites can be concatenated into the vector of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation.input_checks import ShapesDiffer, UndeclaredLabel
from sites.evaluation.metric_values import (
    Figures,
    Undefined,
    defined_metrics,
    ratio,
    undefined_reasons,
)
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout
from sites.text.iob2_tags import Codes

SENTENCE_END = -1
_OUTSIDE = 0  # the code of a word that is in no entity (`sites.text.iob2_tags.tag_names`)
_NONE = "there are no held-out sentences"
_NO_TRUE = "no held-out sentence has an entity"
_NO_PREDICTED = "no entity was predicted"
_FIGURES = (
    "entity_precision",
    "entity_recall",
    "entity_f1",
    "macro_entity_f1",
    "token_accuracy",
    "outside_share",
)
_NO_WORDS = "the words of held-out sentences were not counted"


@dataclass(frozen=True)
class EntityEvaluation:
    """Turns tags into counts of entities, and pooled counts into metrics.

    Guarantee: the tallies of sites add up to the tally of all their sentences, exactly, and every
    metric is exact. An entity is right if its type, first word and last word are right.

    Args:
        types: Types of entity, in the order of their tag codes
            (`sites.text.iob2_tags.tag_names`).
    """

    types: Sequence[str]

    pair_parts: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        n_types = len(self.types)
        # Words come last: tallies of version 0.1.0 end before them.
        words = {"words": 1, "right_words": 1, "words_outside": 1}
        return TallyLayout(
            {"sentences": 1, "right": n_types, "spurious": n_types, "missed": n_types, **words}
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these sentences.

        Args:
            predictions: Tag codes, sentence after sentence, each followed by `SENTENCE_END`.
            labels: The true tag codes of the same sentences, likewise.

        Raises:
            ShapesDiffer: Predictions and labels are not of the same sentences.
            UndeclaredLabel: A code stands for no tag.
        """
        right, spurious, missed = counts_by_sentence(predictions, labels, len(self.types))
        true = labels[labels != SENTENCE_END]
        same = predictions[labels != SENTENCE_END] == true
        return self.layout.join(
            {
                "words": np.array([len(true)]),
                "right_words": np.array([same.sum()]),
                "words_outside": np.array([(true == _OUTSIDE).sum()]),
                "sentences": np.array([len(right)]),
                "right": right.sum(axis=0),
                "spurious": spurious.sum(axis=0),
                "missed": missed.sum(axis=0),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that sentences can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: The shape or a sign is impossible, there are entities without a
                sentence, or some words are more than all.
        """
        self.layout.check(tally)
        if not self.num_examples(tally) and tally.any():
            raise ImpossibleTally("the tally counts entities, but no sentences")
        words, right, outside = self._words(tally)
        if max(right, outside) > words:
            raise ImpossibleTally(
                f"the tally counts {right} right words and {outside} outside of entities among "
                f"{words}"
            )

    def num_examples(self, tally: Tally) -> int:
        """Return the number of sentences counted."""
        return self.layout.count("sentences", tally)

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of true entities of each type."""
        right, _, missed = self._counts(tally)
        return tuple(int(count) for count in right + missed)

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the sentences define, by name.

        `entity_precision`, `entity_recall`, `entity_f1` over all entities; `macro_entity_f1`, the
        mean over the types that held-out sentences have; `token_accuracy`, the share of words with
        the right tag; and `outside_share`, the token accuracy of who finds nothing.

        Raises:
            ImpossibleTally: No sentences have this tally.
        """
        return defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the sentences do not define the other metrics.

        A type without a held-out entity is named too, as `class TYPE`.
        """
        absent = {
            f"class {kind}": "has no held-out entity: it is in no mean over types"
            for kind, count in zip(self.types, self.class_counts(tally), strict=True)
            if count == 0
        }
        return {**undefined_reasons(self._figures(tally)), **absent}

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return `entities`: the counts and metrics of each type, as plain JSON values.

        Raises:
            ImpossibleTally: No sentences have this tally.
        """
        self.check(tally)
        counts = zip(self.types, *self._counts(tally), strict=True)
        return {
            "entities": {
                kind: {
                    "support": int(right + missed),
                    "right": int(right),
                    "spurious": int(spurious),
                    "missed": int(missed),
                    **{
                        name: metric.value
                        for name, metric in defined_metrics(
                            _entity_figures(right, spurious, missed)
                        ).items()
                    },
                }
                for kind, right, spurious, missed in counts
            }
        }

    def _counts(self, tally: Tally) -> tuple[Tally, Tally, Tally]:
        right, spurious, missed = (
            self.layout.part(name, tally) for name in ("right", "spurious", "missed")
        )
        return right, spurious, missed

    def _words(self, tally: Tally) -> tuple[int, int, int]:
        """Return how many words there are, have the right tag, and are in no entity."""
        words, right, outside = (
            self.layout.count(name, tally) for name in ("words", "right_words", "words_outside")
        )
        return words, right, outside

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        if not self.num_examples(tally):
            return dict.fromkeys(_FIGURES, Undefined(_NONE))
        words, right_words, outside = self._words(tally)
        right, spurious, missed = self._counts(tally)
        micro = _entity_figures(right.sum(), spurious.sum(), missed.sum())
        held = right + missed > 0
        # F1 = 2 right / (predicted + true), where predicted + true = 2 right + spurious + missed.
        both = (2 * right + spurious + missed)[held]
        macro = (2 * right[held] / both).mean() if held.any() else None
        return {
            **{f"entity_{name}": figure for name, figure in micro.items()},
            "macro_entity_f1": Undefined(_NO_TRUE) if macro is None else Metric(float(macro)),
            "token_accuracy": ratio(right_words, words, _NO_WORDS),
            "outside_share": ratio(outside, words, _NO_WORDS),
        }


def counts_by_sentence(
    predictions: NDArray[Any], labels: NDArray[Any], n_types: int
) -> tuple[Tally, Tally, Tally]:
    """Return the counts of right, spurious and missed entities, each (n_sentences, n_types).

    Args:
        predictions: Tag codes, sentence after sentence, each followed by `SENTENCE_END`.
        labels: The true tag codes of the same sentences, likewise.
        n_types: Number of types of entity.

    Raises:
        ShapesDiffer: Predictions and labels are not of the same sentences.
        UndeclaredLabel: A code stands for no tag.
    """
    predicted, true = _checked_codes(predictions, n_types), _checked_codes(labels, n_types)
    ends = true == SENTENCE_END
    if predicted.shape != true.shape or ((predicted == SENTENCE_END) != ends).any():
        raise ShapesDiffer("predicted and true tags are of different sentences")
    if len(true) and not ends[-1]:
        raise ShapesDiffer(f"the last sentence needs {SENTENCE_END} after its last tag")
    # Each word's sentence is the number of ends before it.
    sentence = np.concatenate([[0], np.cumsum(ends)])[: len(true)]
    shape = (int(ends.sum()), n_types)
    of_predicted, of_true = _entity_ends(predicted), _entity_ends(true)
    # The same entity begins at the same word with the same code, hence type, and ends alike.
    same = (of_predicted == of_true) & (of_true > 0) & (predicted == true)
    return (
        _count_by_sentence(same, true, sentence, shape),
        _count_by_sentence((of_predicted > 0) & ~same, predicted, sentence, shape),
        _count_by_sentence((of_true > 0) & ~same, true, sentence, shape),
    )


def _checked_codes(codes: NDArray[Any], n_types: int) -> Codes:
    if codes.ndim != 1:
        raise ShapesDiffer(f"tags need one code per word, shape (n,), got {codes.shape}")
    whole = np.asarray(codes, np.float64)
    if not ((whole == np.floor(whole)) & (whole >= SENTENCE_END) & (whole <= 2 * n_types)).all():
        raise UndeclaredLabel(f"tags must be whole numbers from 0 to {2 * n_types}, -1 at the end")
    return whole.astype(np.int64)


def _entity_ends(codes: Codes) -> Codes:
    """Return for each word that begins an entity the position after its end, else 0: (n,)."""
    # Codes (`tag_names`): 0 is O, odd codes begin a type (B), even ones continue it (I).
    begins = (codes > 0) & (codes % 2 == 1)  # B of a type
    goes_on = np.zeros(len(codes), np.bool_)
    goes_on[1:] = (codes[1:] > 0) & (codes[1:] % 2 == 0) & _same_type(codes)
    after = np.zeros(len(codes), np.int64)
    stops = np.flatnonzero(~goes_on)  # the next of these after a beginning ends its entity
    place = np.searchsorted(stops, np.flatnonzero(begins), side="right")
    after[begins] = np.append(stops, len(codes))[place]
    return after


def _same_type(codes: Codes) -> NDArray[np.bool_]:
    """Return for each word but the first whether the word before has a tag of the same type."""
    kind = (codes + 1) // 2
    return np.asarray((kind[1:] == kind[:-1]) & (codes[:-1] > 0))


def _count_by_sentence(
    chosen: NDArray[np.bool_], codes: Codes, sentence: Codes, shape: tuple[int, int]
) -> Tally:
    cells = sentence[chosen] * shape[1] + (codes[chosen] - 1) // 2
    counted: Tally = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    return counted.astype(np.int64)


def _entity_figures(right: int, spurious: int, missed: int) -> Figures:
    return {
        "precision": ratio(right, right + spurious, _NO_PREDICTED),
        "recall": ratio(right, right + missed, _NO_TRUE),
        "f1": ratio(2 * right, 2 * right + spurious + missed, _NO_TRUE),
    }
