import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.protocol.grouping import WEIGHT_CLASSES, NoExamples, weight_class

EXAMPLES = st.integers(1, 10**9)
FULL = st.integers(1, 10**7)


@pytest.mark.parametrize(
    ("num_examples", "share"),
    [(1, 1), (249, 1), (250, 2), (499, 2), (500, 4), (999, 4), (1_000, 8), (10**12, 8)],
)
def test_the_bands_are_halves_of_the_full_class(num_examples: int, share: int) -> None:
    assert weight_class(num_examples, full_class_examples=1_000) == share


@given(examples=EXAMPLES, full=FULL)
def test_a_weight_is_one_of_four_and_within_a_factor_of_two(examples: int, full: int) -> None:
    """Between the smallest and the full class the share is true to the count up to its band."""
    share = weight_class(examples, full_class_examples=full)
    assert share in WEIGHT_CLASSES
    if full / 8 <= examples < full:
        assert share * full <= 8 * examples < 2 * share * full


@given(examples=EXAMPLES, more=st.integers(0, 10**9), full=FULL)
def test_more_examples_never_weigh_less(examples: int, more: int, full: int) -> None:
    few = weight_class(examples, full_class_examples=full)
    assert few <= weight_class(examples + more, full_class_examples=full)


@given(examples=EXAMPLES, full=FULL, factor=st.integers(1, 1_000))
def test_only_the_ratio_to_the_full_class_matters(examples: int, full: int, factor: int) -> None:
    assert weight_class(examples, full_class_examples=full) == weight_class(
        factor * examples, full_class_examples=factor * full
    )


@pytest.mark.parametrize("num_examples", [0, -1])
def test_a_site_without_examples_has_no_share(num_examples: int) -> None:
    with pytest.raises(NoExamples, match=f"at least 1 training example, got {num_examples}"):
        weight_class(num_examples, full_class_examples=1_000)
