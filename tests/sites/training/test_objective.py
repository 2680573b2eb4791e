import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sites.plans import BadPlan, TrainingPlan
from sites.schema.tables import ClassLabel, NumberLabel
from sites.statistics.normalisation import Constants, Standard
from sites.training.objective import class_weights, losses, predictions, targets

BINARY = ClassLabel(column="ill", classes=("no", "yes"))
GRADED = ClassLabel(column="grade", classes=("0", "1", "2"))
PRICE = NumberLabel(column="price", low=0, high=100)
CONSTANTS = Constants(numbers={}, label=Standard(mean=0.5, deviation=0.1))

SCORES = torch.tensor([[0.0], [2.0], [-50.0]])


def test_two_classes_are_predicted_by_a_sigmoid_with_its_cross_entropy() -> None:
    probabilities = predictions(BINARY, SCORES, CONSTANTS)
    np.testing.assert_allclose(probabilities, [0.5, 1 / (1 + np.exp(-2)), np.exp(-50)], rtol=1e-6)
    wanted = targets(BINARY, np.array([1, 1, 0]), CONSTANTS)
    expected = -np.log([probabilities[0], probabilities[1], 1 - probabilities[2]])
    np.testing.assert_allclose(losses(BINARY, SCORES, wanted), expected, atol=1e-6)


def test_more_classes_are_predicted_by_a_softmax_with_its_cross_entropy() -> None:
    scores = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    found = predictions(GRADED, scores, CONSTANTS)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [1 / 3] * 3)
    wanted = targets(GRADED, np.array([2, 0]), CONSTANTS)
    np.testing.assert_allclose(
        losses(GRADED, scores, wanted), -np.log([found[0, 2], found[1, 0]]), rtol=1e-6
    )


def test_a_number_is_standardised_and_predicted_in_its_unit() -> None:
    """The pooled mean is 50 and the deviation 10; 2 standard deviations are off by 20."""
    wanted = targets(PRICE, np.array([50.0, 70.0]), CONSTANTS)
    np.testing.assert_allclose(wanted, [0, 2], atol=1e-6)
    np.testing.assert_allclose(losses(PRICE, torch.zeros(2, 1), wanted), [0, 2], atol=1e-5)
    np.testing.assert_allclose(predictions(PRICE, wanted[:, None], CONSTANTS), [50, 70], rtol=1e-6)


def test_a_predicted_number_stays_within_its_declared_bounds() -> None:
    found = predictions(PRICE, torch.tensor([[-1e9], [1e9]]), CONSTANTS)
    assert found.tolist() == [0, 100]


@given(counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=2).filter(any))
def test_class_weights_average_to_one_over_the_records(counts: list[int]) -> None:
    constants = Constants(numbers={}, class_counts=tuple(counts))
    weights = class_weights(BINARY, constants, TrainingPlan(class_balance="weights"))
    assert weights is not None
    np.testing.assert_allclose(np.average(weights, weights=counts), 1)


def test_rare_classes_get_larger_weights_and_absent_ones_get_one() -> None:
    constants = Constants(numbers={}, class_counts=(90, 10, 0))
    plan = TrainingPlan(class_balance="weights")
    weights = class_weights(GRADED, constants, plan)
    assert weights is not None
    np.testing.assert_allclose(weights, [100 / 180, 5, 1])


@pytest.mark.parametrize("balance", ["none", "resample"])
def test_only_class_balance_weights_gives_weights(balance: str) -> None:
    plan = TrainingPlan(class_balance=balance)  # type: ignore[arg-type]
    assert class_weights(BINARY, Constants(numbers={}, class_counts=(1, 9)), plan) is None


@pytest.mark.parametrize("balance", ["weights", "resample"])
def test_a_number_has_no_classes_to_balance(balance: str) -> None:
    with pytest.raises(BadPlan, match="set class_balance to none"):
        class_weights(PRICE, CONSTANTS, TrainingPlan(class_balance=balance))  # type: ignore[arg-type]
