"""A site's annotated sentences, those of every person on one side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sites.data.annotations import Annotated
from sites.data.holdout import given_hold_out, hold_out
from sites.evaluation.entities import SENTENCE_END
from sites.text.iob2_tags import Codes
from sites.text.word_alignment import Sentence

TRAIN, TEST = "train", "test"


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences with their tags, as a model reads them.

    Args:
        words: Of each.
        read: Each as windows of pieces.
        tags: Codes of the tags of its words.
        lengths: Characters of each, shape (n,).
        persons: Whose each is, shape (n,).
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
    def joined_tags(self) -> Codes:
        """Tag codes, sentence after sentence, as an evaluation takes them."""
        return joined(self.tags)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Pieces of the longest window of each, shape (n,)."""
        longest = [max(len(window.ids) for window in item.windows) for item in self.read]
        return np.array(longest, np.int64)

    def counts(self, n_types: int) -> NDArray[np.int64]:
        """Return how many entities of each type each sentence has, shape (n, n_types)."""
        begins = [codes[codes % 2 == 1] // 2 for codes in self.tags]
        rows = [np.bincount(kinds, minlength=n_types) for kinds in begins]
        return np.array(rows, np.int64).reshape(len(self), n_types)

    def at(self, rows: NDArray[np.bool_]) -> "Sentences":
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
class EntityData:
    """What a site trains on and is judged on.

    Args:
        training: What a model learns from.
        held_out: What it is judged on.
        n_types: Types of entities.
    """

    training: Sentences
    held_out: Sentences
    n_types: int

    @property
    def train_examples(self) -> int:
        """Sentences to train on."""
        return len(self.training)

    @property
    def train_persons(self) -> int:
        """Persons, or documents, behind them."""
        return len(np.unique(self.training.persons))

    @property
    def held_out_examples(self) -> int:
        """Sentences to evaluate on."""
        return len(self.held_out)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Entities of each type in the training sentences."""
        return tuple(self.training.counts(self.n_types).sum(axis=0).tolist())


def divided(sentences: Sentences, found: Annotated, *, n_types: int, seed: int) -> EntityData:
    """Hold out sentences: as their source says, or a share of the persons by a seeded draw.

    A side `dev` is on neither.

    Raises:
        PersonOnBothSides: The source parts a person's sentences.
    """
    if found.sides is None:
        held_out = hold_out(sentences.persons, np.zeros(len(sentences), np.int64), seed=seed)
        used = np.ones(len(sentences), np.bool_)
    else:
        used = np.isin(found.sides, (TRAIN, TEST))
        held_out = np.zeros(len(sentences), np.bool_)
        held_out[used] = given_hold_out(sentences.persons[used], found.sides[used] == TEST)
    return EntityData(
        training=sentences.at(used & ~held_out),
        held_out=sentences.at(used & held_out),
        n_types=n_types,
    )


def pooled(parts: Sequence[EntityData]) -> EntityData:
    """Return the sentences of several sites as those of one; their persons stay distinct."""
    return EntityData(
        training=_together([part.training for part in parts]),
        held_out=_together([part.held_out for part in parts]),
        n_types=parts[0].n_types,
    )


def _together(parts: Sequence[Sentences]) -> Sentences:
    return Sentences(
        words=tuple(words for part in parts for words in part.words),
        read=tuple(sentence for part in parts for sentence in part.read),
        tags=tuple(codes for part in parts for codes in part.tags),
        lengths=np.concatenate([part.lengths for part in parts]),
        persons=np.concatenate(
            [np.char.add(f"{site}/", part.persons) for site, part in enumerate(parts)]
        ),
    )


def joined(tags: Sequence[Codes]) -> Codes:
    """Return tag codes, sentence after sentence, each followed by `SENTENCE_END`."""
    end = np.array([SENTENCE_END], np.int64)
    return np.concatenate([part for codes in tags for part in (codes, end)] or [end[:0]])
