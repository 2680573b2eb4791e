"""Laws of a site's split: no sentence is lost, and no person is on both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.annotations import AnnotatedSentences
from sites.data.holdout import PersonOnBothSides
from sites.evaluation.entities import SENTENCE_END
from sites.tasks.text.named_entities_data import (
    EntityData,
    Sentences,
    flatten_tags,
    pooled_data,
    split_sentences,
)
from sites.text.iob2_tags import codes_of
from sites.text.word_alignment import Sentence
from tests.sites.sides import keyed

TYPES = ("Disease", "Drug")


def found(persons: list[int], sides: list[str] | None = None) -> AnnotatedSentences:
    return AnnotatedSentences(
        tokens=tuple(("x",) for _ in persons),
        tags=tuple(codes_of(["B-Drug"], TYPES) for _ in persons),
        persons=np.array([str(person) for person in persons], np.str_),
        places=np.arange(len(persons)),
        sides=None if sides is None else np.array(sides, np.str_),
    )


def read(annotated: AnnotatedSentences) -> Sentences:
    """Return sentences that can be recognised by their length."""
    return Sentences(
        words=annotated.tokens,
        read=tuple(Sentence((), len(words)) for words in annotated.tokens),
        tags=annotated.tags,
        lengths=np.arange(len(annotated.tokens)),
        persons=annotated.persons,
    )


def split(annotated: AnnotatedSentences, seed: int = 7) -> EntityData:
    return split_sentences(read(annotated), annotated, n_types=2, sides=keyed(seed))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(0, 5))
def test_a_split_keeps_persons_whole(persons: list[int], seed: int) -> None:
    data = split(found(persons), seed)
    sides = (data.training, data.held_out)
    assert sorted(np.concatenate([side.lengths for side in sides])) == list(range(len(persons)))
    assert not {*data.training.persons} & {*data.held_out.persons}
    assert data.train_persons == len({*data.training.persons})
    assert data.train_examples + data.held_out_examples == len(persons)
    assert data.class_counts == (0, data.train_examples)


def test_a_given_split_is_kept_and_dev_is_on_neither_side() -> None:
    data = split(found([1, 2, 3, 1], ["train", "test", "dev", "train"]))
    assert data.training.lengths.tolist() == [0, 3]
    assert data.held_out.lengths.tolist() == [1]
    with pytest.raises(PersonOnBothSides):
        split(found([1, 1], ["train", "test"]))


def test_pooled_sentences_hold_those_of_all_sites() -> None:
    """The same identifier at two sites is two persons."""
    parts = [split(found([1, 2, 3, 4, 5])), split(found([1, 2, 3]))]
    together = pooled_data(parts)
    assert together.train_examples == sum(part.train_examples for part in parts)
    assert together.held_out_examples == sum(part.held_out_examples for part in parts)
    assert together.train_persons == sum(part.train_persons for part in parts)


def test_entities_are_counted_by_type_and_sentence() -> None:
    tags = (codes_of(["B-Drug", "I-Drug", "B-Disease"], TYPES), codes_of(["O"], TYPES))
    sentences = Sentences(
        words=(("a", "b", "c"), ("d",)),
        read=(Sentence((), 3), Sentence((), 1)),
        tags=tags,
        lengths=np.array([1, 1]),
        persons=np.array(["a", "b"]),
    )
    assert sentences.counts(2).tolist() == [[1, 1], [0, 0]]
    assert sentences.flat_tags.tolist() == [3, 4, 1, SENTENCE_END, 0, SENTENCE_END]
    assert flatten_tags([]).tolist() == []
    assert sentences.select(np.zeros(2, np.bool_)).counts(2).shape == (0, 2)
