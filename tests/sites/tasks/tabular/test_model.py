import numpy as np
import pytest

from privacy.layout import Vector
from sites.models.initialisation import layout_of, model_fields, n_outputs
from sites.plans import EmptySite, Labels, ModelName, ModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel, NumberLabel, Outcome
from sites.statistics.normalisation import Constants, Standard
from sites.task import Trained
from sites.tasks.tabular.data import Table, TableData
from sites.tasks.tabular.model import TableModel
from sites.training.loop import TrainingDiverged

ILL = ClassLabel(column="ill", classes=("no", "yes"))
PRICE = NumberLabel(column="price", low=0, high=100)
CONSTANTS = Constants(numbers={}, label=Standard(mean=0.5, deviation=0.1), class_counts=(1, 3))
INPUTS = np.array([[1.0, -2.0]], np.float32)
ONE_STEP = TrainingPlan(batch_size=1, learning_rate=0.5)


def model_of(label: Outcome, name: ModelName, numbers: Vector) -> TableModel:
    plan = ModelPlan(name=name)
    fields = model_fields(plan, n_inputs=2, n_outputs=n_outputs(label))
    layout = layout_of(fields, seed=7)
    return TableModel(plan=plan, label=label, layout=layout, numbers=numbers, constants=CONSTANTS)


def data_of(labels: list[float], *, n_classes: int) -> TableData:
    kept: Labels = np.array(labels)
    if n_classes:
        kept = kept.astype(np.int64)
    table = Table(columns={}, labels=kept, persons=np.arange(len(kept)).astype(str))
    return TableData(training=table, held_out=table, n_classes=n_classes)


def trained(model: TableModel, labels: list[float], plan: TrainingPlan = ONE_STEP) -> Trained:
    n_classes = 2 if model.label is ILL else 0
    data, inputs = data_of(labels, n_classes=n_classes), INPUTS[: len(labels)]
    return model.train(data, inputs, plan, rng=np.random.default_rng(0))


def test_one_step_of_logistic_regression_is_its_gradient_by_hand() -> None:
    """From zeros the probability is 0.5, so the gradient of an ill person is -0.5 * (x, 1)."""
    came = trained(model_of(ILL, "logistic", np.zeros(3)), [1])
    np.testing.assert_allclose(came.update, [0.25, -0.5, 0.25])
    assert (came.num_examples, came.steps) == (1, 1)


def test_one_step_of_linear_regression_is_its_gradient_by_hand() -> None:
    """A price of 70 is two standard deviations above the mean; from zeros it is off by -2."""
    came = trained(model_of(PRICE, "linear", np.zeros(3)), [70.0])
    np.testing.assert_allclose(came.update, [1.0, -2.0, 1.0], rtol=1e-6)


def test_class_weights_by_pooled_counts_favour_the_rarer_class() -> None:
    """One healthy person in four: 4 / (2 * 1) for them, 4 / (2 * 3) for the ill."""
    model = model_of(ILL, "logistic", np.zeros(3))
    weighed = TrainingPlan(batch_size=1, learning_rate=0.5, class_balance="weights")
    for label, weight in ((0, 2.0), (1, 2 / 3)):
        plain = trained(model, [label]).update
        np.testing.assert_allclose(trained(model, [label], weighed).update, plain * weight)


def test_training_does_not_change_the_model_itself() -> None:
    model = model_of(ILL, "mlp", np.random.default_rng(1).normal(size=32 * 2 + 32 + 32 + 1))
    before = model.predictions(INPUTS)
    first = trained(model, [1]).update
    assert np.abs(first).max() > 0
    np.testing.assert_array_equal(trained(model, [1]).update, first)
    np.testing.assert_array_equal(model.predictions(INPUTS), before)


def test_predictions_are_probabilities_or_values_in_the_labels_unit() -> None:
    numbers = np.array([3.0, 1.0, 0.5])  # 3 x1 + x2 + 0.5 = 1.5
    found = model_of(ILL, "logistic", numbers).predictions(INPUTS)
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-1.5))], rtol=1e-6)
    assert model_of(PRICE, "linear", numbers).predictions(INPUTS) == pytest.approx([65.0])


def test_a_site_without_records_does_not_train() -> None:
    with pytest.raises(EmptySite):
        trained(model_of(ILL, "logistic", np.zeros(3)), [])


def test_parameters_that_are_not_finite_never_become_an_update() -> None:
    too_fast = TrainingPlan(batch_size=1, learning_rate=1e6, local_epochs=40)
    with pytest.raises(TrainingDiverged):
        trained(model_of(PRICE, "linear", np.zeros(3)), [70.0], too_fast)
