"""Laws of the pooled counts of entities."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score

from sites.evaluation.entities import SENTENCE_END, EntityEvaluation
from sites.evaluation.input_checks import ShapesDiffer, UndeclaredLabel
from sites.statistics.tally import ImpossibleTally
from sites.text.iob2_tags import tag_names

TYPES = ("Disease", "Drug")
EVALUATION = EntityEvaluation(TYPES)
TAGS = tag_names(TYPES)

Corpus = list[list[tuple[int, int]]]

corpora = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8),
    min_size=1,
    max_size=6,
)


def joined(corpus: Corpus, side: int) -> NDArray[np.int64]:
    return np.array(
        [code for s in corpus for code in (*(pair[side] for pair in s), SENTENCE_END)], np.int64
    )


def tagged(corpus: Corpus, side: int) -> list[list[str]]:
    return [[TAGS[pair[side]] for pair in sentence] for sentence in corpus]


@given(corpora)
def test_metrics_equal_those_of_seqeval(corpus: Corpus) -> None:
    """Also for tags that are not IOB2: in strict mode, a stray I is not an entity."""
    tally = EVALUATION.tally(joined(corpus, 0), joined(corpus, 1))
    EVALUATION.check(tally)
    metrics = EVALUATION.metrics(tally)
    true, predicted = tagged(corpus, 1), tagged(corpus, 0)
    for name, theirs in (
        ("entity_precision", precision_score),
        ("entity_recall", recall_score),
        ("entity_f1", f1_score),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns and returns 0 where there is no figure
            value = theirs(true, predicted, mode="strict", scheme=IOB2)
        assert (metrics[name].value if name in metrics else 0.0) == pytest.approx(float(value))
        assert (name in metrics) != (name in EVALUATION.undefined_reasons(tally))


@given(corpora, corpora)
def test_tallies_of_sites_add_up_to_the_tally_of_all_sentences(one: Corpus, other: Corpus) -> None:
    parts = [EVALUATION.tally(joined(c, 0), joined(c, 1)) for c in (one, other)]
    both = [*one, *other]
    assert np.array_equal(parts[0] + parts[1], EVALUATION.tally(joined(both, 0), joined(both, 1)))


@given(corpora)
def test_metrics_of_a_type_equal_seqeval_on_that_type_alone(corpus: Corpus) -> None:
    tally = EVALUATION.tally(joined(corpus, 0), joined(corpus, 1))
    rows = EVALUATION.curves(tally)["entities"]
    for number, kind in enumerate(TYPES):
        alone = EntityEvaluation((kind,))
        codes = [np.array(_only(corpus, side, number), np.int64) for side in (0, 1)]
        expected = alone.curves(alone.tally(*codes))["entities"][kind]
        assert rows[kind] == expected


def _only(corpus: Corpus, side: int, number: int) -> list[int]:
    mine = {2 * number + 1: 1, 2 * number + 2: 2, SENTENCE_END: SENTENCE_END}
    return [mine.get(int(code), 0) for code in joined(corpus, side)]


@given(corpora)
def test_token_accuracy_is_that_of_all_words_in_one_place(corpus: Corpus) -> None:
    """Beside it stands what it is for a model that finds nothing."""
    predicted, true = ([pair[side] for s in corpus for pair in s] for side in (0, 1))
    metrics = EVALUATION.metrics(EVALUATION.tally(joined(corpus, 0), joined(corpus, 1)))
    assert metrics["token_accuracy"].value == accuracy_score(true, predicted)
    assert metrics["outside_share"].value == accuracy_score(true, [0] * len(true))
    assert metrics["token_accuracy"].error_bound == metrics["outside_share"].error_bound == 0


def test_a_tally_that_counted_no_words_keeps_its_other_figures() -> None:
    """As version 0.1.0 wrote them."""
    earlier = EVALUATION.layout.fitted(np.array([2, 1, 0, 1, 0, 1, 1]))
    EVALUATION.check(earlier)
    assert EVALUATION.metrics(earlier)["macro_entity_f1"].value == pytest.approx(0.25)
    assert "token_accuracy" not in EVALUATION.metrics(earlier)
    assert "not counted" in EVALUATION.undefined_reasons(earlier)["token_accuracy"]


@pytest.mark.parametrize("counted", [[3, 4, 0], [3, 0, 4]])
def test_more_right_words_than_words_are_refused(counted: list[int]) -> None:
    with pytest.raises(ImpossibleTally, match="among 3"):
        EVALUATION.check(np.array([2, 1, 0, 1, 0, 1, 1, *counted]))


def test_a_worked_example() -> None:
    """One right, one with a wrong end (spurious and missed), one missed, by hand."""
    true = np.array([1, 2, 0, 1, 2, -1, 3, 0, -1])
    predicted = np.array([1, 2, 0, 1, 0, -1, 0, 0, -1])
    tally = EVALUATION.tally(predicted, true)
    assert EVALUATION.layout.part("right", tally).tolist() == [1, 0]
    assert EVALUATION.layout.part("spurious", tally).tolist() == [1, 0]
    assert EVALUATION.layout.part("missed", tally).tolist() == [1, 1]
    assert EVALUATION.num_examples(tally) == 2
    assert EVALUATION.class_counts(tally) == (2, 1)
    assert EVALUATION.metrics(tally)["macro_entity_f1"].value == pytest.approx(0.25)
    words = [EVALUATION.layout.count(n, tally) for n in ("words", "right_words", "words_outside")]
    assert words == [7, 5, 2]


def test_without_sentences_every_metric_is_undefined() -> None:
    tally = EVALUATION.tally(np.zeros(0), np.zeros(0))
    assert EVALUATION.metrics(tally) == {}
    assert {"entity_f1", "class Drug"} <= EVALUATION.undefined_reasons(tally).keys()
    assert EVALUATION.curves(tally)["entities"]["Drug"]["support"] == 0


def test_entities_without_sentences_are_refused() -> None:
    with pytest.raises(ImpossibleTally):
        EVALUATION.metrics(np.array([0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize(
    ("predicted", "true", "error"),
    [
        ([0, -1], [0, 0, -1], ShapesDiffer),
        ([0, -1, 0, -1], [0, 0, -1, -1], ShapesDiffer),
        ([0, 0], [0, 0], ShapesDiffer),
        ([[0, -1]], [[0, -1]], ShapesDiffer),
        ([5, -1], [0, -1], UndeclaredLabel),
        ([0.5, -1], [0, -1], UndeclaredLabel),
    ],
)
def test_predictions_and_labels_of_different_sentences_are_refused(
    predicted: list[float], true: list[float], error: type[Exception]
) -> None:
    with pytest.raises(error):
        EVALUATION.tally(np.array(predicted), np.array(true))
