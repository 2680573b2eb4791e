"""A site's annotated sentences, all those of a person on one side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sites.data.annotations import AnnotatedSentences
from sites.data.holdout import PersonRecords, Sides
from sites.evaluation.entities import SENTENCE_END
from sites.tasks.divided_records import DividedRecords
from sites.text.iob2_tags import Codes
from sites.text.word_alignment import Sentence

TRAIN, TEST = "train", "test"


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences with their tags, in the form that a model reads.

    Args:
        words: The words of each sentence.
        read: Each sentence as windows of pieces.
        tags: The tag codes of each sentence, one per word.
        lengths: Number of characters of each sentence, shape (n,).
        persons: Whose each sentence is, shape (n,).
    """

    words: tuple[tuple[str, ...], ...]
    read: tuple[Sentence, ...]
    tags: tuple[Codes, ...]
    lengths: NDArray[np.int64]
    persons: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.read)

    @cached_property
    def flat_tags(self) -> Codes:
        """Tag codes, sentence after sentence, in the form that the evaluation takes."""
        return flatten_tags(self.tags)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of pieces in the longest window of each sentence, shape (n,)."""
        longest = [max(len(window.ids) for window in item.windows) for item in self.read]
        return np.array(longest, np.int64)

    def content_of(self, row: int) -> bytes:
        """Return what tells a sentence from the others of its person: its words."""
        return "\n".join(self.words[row]).encode("utf-8", "surrogatepass")

    def counts(self, n_types: int) -> NDArray[np.int64]:
        """Return how many entities of each type each sentence has, shape (n, n_types)."""
        # Odd codes are B tags, one per entity: 1 is B of type 0, 3 of type 1, and so on.
        begins = [codes[codes % 2 == 1] // 2 for codes in self.tags]
        rows = [np.bincount(kinds, minlength=n_types) for kinds in begins]
        return np.array(rows, np.int64).reshape(len(self), n_types)

    def select(self, rows: NDArray[np.bool_]) -> "Sentences":
        """Return the sentences where the mask is true."""
        chosen = np.flatnonzero(rows)
        return Sentences(
            words=tuple(self.words[row] for row in chosen),
            read=tuple(self.read[row] for row in chosen),
            tags=tuple(self.tags[row] for row in chosen),
            lengths=self.lengths[rows],
            persons=self.persons[rows],
        )


@dataclass(frozen=True, kw_only=True)
class EntityData(DividedRecords[Sentences]):
    """What a site trains on and is judged on.

    Args:
        n_types: Types of entities.
    """

    n_types: int

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Number of entities of each type in the training sentences."""
        return tuple(self.training.counts(self.n_types).sum(axis=0).tolist())

    @property
    def training_classes(self) -> NDArray[np.bool_]:
        """Which types of entities each training sentence has, shape (n, n_types)."""
        return self.training.counts(self.n_types) > 0


def split_sentences(
    sentences: Sentences, found: AnnotatedSentences, *, n_types: int, sides: Sides
) -> EntityData:
    """Return the sentences divided by the source's split, or else as `sides` says.

    Sentences with the side `dev` are left out.

    Raises:
        PersonOnBothSides: The source's split has a person on both sides.
        ConsortiumError: A person stood on another side before.
    """
    given = found.sides
    used = np.ones(len(sentences), np.bool_) if given is None else np.isin(given, (TRAIN, TEST))
    held_out = np.zeros(len(sentences), np.bool_)
    held_out[used] = sides.held_out(
        PersonRecords(
            persons=sentences.persons[used],
            places=found.places[used],
            strata=np.zeros(used.sum(), np.int64),
            given=None if given is None else given[used] == TEST,
        )
    )
    return EntityData(
        training=sentences.select(used & ~held_out),
        held_out=sentences.select(used & held_out),
        n_types=n_types,
    )


def pooled_data(parts: Sequence[EntityData]) -> EntityData:
    """Return the sentences of several sites as those of one; their persons stay distinct."""
    return EntityData(
        training=_pooled_sentences([part.training for part in parts]),
        held_out=_pooled_sentences([part.held_out for part in parts]),
        n_types=parts[0].n_types,
    )


def _pooled_sentences(parts: Sequence[Sentences]) -> Sentences:
    return Sentences(
        words=tuple(words for part in parts for words in part.words),
        read=tuple(sentence for part in parts for sentence in part.read),
        tags=tuple(codes for part in parts for codes in part.tags),
        lengths=np.concatenate([part.lengths for part in parts]),
        persons=np.concatenate(
            [np.char.add(f"{site}/", part.persons) for site, part in enumerate(parts)]
        ),
    )


def flatten_tags(tags: Sequence[Codes]) -> Codes:
    """Return the tag codes as one vector, each sentence followed by `SENTENCE_END`."""
    end = np.array([SENTENCE_END], np.int64)
    return np.concatenate([part for codes in tags for part in (codes, end)] or [end[:0]])
