import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from sites.schema.tables import ClassLabel
from sites.schema.texts import LONGEST_TEXT, EntitySchema, MultiLabel, NotesSchema, TextSchema
from sites.statistics.tables import ColumnsDiffer
from sites.statistics.tally import ImpossibleTally
from sites.statistics.texts import TextStatistics

SIDES = NotesSchema(name="notes", label=ClassLabel(column="side", classes=("l", "m", "r")))
FINDINGS = NotesSchema(name="notes", label=MultiLabel(column="found", labels=("a", "b", "c")))
ENTITIES = EntitySchema(name="sentences", types=("x", "y", "z"))
SCHEMAS = st.sampled_from([SIDES, FINDINGS, ENTITIES])


def records(schema: TextSchema, n: int, seed: int) -> tuple[Tally, Tally]:
    """Lengths and labels of n texts."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 100_000, n)
    if schema is SIDES:
        return lengths, rng.integers(0, 3, n)
    return lengths, rng.integers(0, 2 if schema is FINDINGS else 9, (n, 3))


@given(SCHEMAS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 99))
def test_tallies_of_sites_add_up_to_that_of_their_texts(
    schema: TextSchema, one: int, other: int, seed: int
) -> None:
    statistics = TextStatistics(schema)
    lengths, labels = records(schema, one + other, seed)
    parts = [
        statistics.tally(lengths[:one], labels[:one], persons=one),
        statistics.tally(lengths[one:], labels[one:], persons=other),
    ]
    whole = statistics.tally(lengths, labels, persons=one + other)
    assert (parts[0] + parts[1] == whole).all()
    statistics.check(whole)
    assert statistics.layout.count("records", whole) == one + other


@given(SCHEMAS, st.integers(1, 30), st.integers(0, 99))
def test_label_counts_are_exact(schema: TextSchema, n: int, seed: int) -> None:
    statistics = TextStatistics(schema)
    lengths, labels = records(schema, n, seed)
    tally = statistics.tally(lengths, labels, persons=1)
    counts = np.bincount(labels, minlength=3) if schema is SIDES else labels.sum(axis=0)
    assert statistics.constants(tally).class_counts == tuple(counts.tolist())
    described = statistics.describe(tally)
    assert described["columns"][schema.label.column]["counts"] == counts.tolist()
    assert (described["records"], described["persons"]) == (n, 1)
    assert sum(described["columns"]["characters"]["counts"]) == n
    assert statistics.distances(tally, tally)["characters"].total_variation == 0


def test_a_text_too_long_to_be_counted_counts_as_the_longest() -> None:
    statistics = TextStatistics(SIDES)
    lengths = np.array([LONGEST_TEXT + 5, LONGEST_TEXT])
    tally = statistics.tally(lengths, np.zeros(2, np.int64), persons=2)
    assert statistics.describe(tally)["columns"]["characters"]["counts"][-1] == 2


@pytest.mark.parametrize("schema", [SIDES, FINDINGS])
def test_labels_of_another_shape_are_refused(schema: TextSchema) -> None:
    with pytest.raises(ColumnsDiffer, match="labels of shape"):
        TextStatistics(schema).tally(np.ones(4, np.int64), np.zeros((4, 2), np.int64), persons=1)


def test_more_labels_than_the_texts_can_have_are_refused() -> None:
    statistics = TextStatistics(FINDINGS)
    tally = statistics.tally(*records(FINDINGS, 5, 1), persons=5)
    tally[-1] = 16
    with pytest.raises(ImpossibleTally, match="more often"):
        statistics.check(tally)
    with pytest.raises(ImpossibleTally):
        statistics.check(tally[:-1])
