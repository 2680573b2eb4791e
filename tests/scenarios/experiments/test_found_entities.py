"""Laws of what is told of entities: where they stand, and the words themselves."""

import numpy as np
import pytest

from scenarios.experiments.prediction import COLUMNS, found_entities

TYPES = ("Disease", "Drug")


def test_each_entity_is_a_row_with_its_words() -> None:
    sentences = [("No", "sickle", "cell", "disease"), ("fine",), ("Aspirin", "for", "fever")]
    codes = np.array([0, 1, 2, 2, -1, 0, -1, 3, 0, 1, -1], np.float64)
    frame = found_entities(codes, sentences, TYPES)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        (1, "Disease", 2, 4, "sickle cell disease"),
        (3, "Drug", 1, 1, "Aspirin"),
        (3, "Disease", 3, 3, "fever"),
    ]


def test_nothing_found_is_a_table_without_rows() -> None:
    frame = found_entities(np.array([0.0, -1.0]), [("fine",)], TYPES)
    assert tuple(frame.columns) == COLUMNS
    assert frame.empty


def test_predictions_of_other_sentences_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        found_entities(np.array([0.0, -1.0]), [("a",), ("b",)], TYPES)
