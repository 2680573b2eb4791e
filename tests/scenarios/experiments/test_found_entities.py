"""Laws of the table of entities: their places and their words."""

import numpy as np
import pytest

from scenarios.experiments.prediction import COLUMNS, entity_table

TYPES = ("Disease", "Drug")


def test_each_entity_is_a_row_with_its_words() -> None:
    sentences = [("No", "sickle", "cell", "disease"), ("fine",), ("Aspirin", "for", "fever")]
    codes = np.array([0, 1, 2, 2, -1, 0, -1, 3, 0, 1, -1], np.float64)
    frame = entity_table(codes, sentences, TYPES)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        (1, "Disease", 2, 4, "sickle cell disease"),
        (3, "Drug", 1, 1, "Aspirin"),
        (3, "Disease", 3, 3, "fever"),
    ]


def test_sentences_without_entities_give_an_empty_table() -> None:
    frame = entity_table(np.array([0.0, -1.0]), [("fine",)], TYPES)
    assert tuple(frame.columns) == COLUMNS
    assert frame.empty


def test_predictions_of_other_sentences_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        entity_table(np.array([0.0, -1.0]), [("a",), ("b",)], TYPES)
