"""One contract, checked against every task; then tables that lack something."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privacy.differential import noise
from privacy.layout import Tally, Vector
from sites.data.holdout import PersonOnBothSides
from sites.data.source import TableFile
from sites.data.validation import BadTable
from sites.plans import BadPlan, EmptySite, ModelName, ModelPlan, PrivacyPlan, TrainingPlan
from sites.schema.tables import Category, ClassLabel, Label, Number, NumberLabel, Schema
from sites.task import Task
from sites.tasks.tabular.data import TableData
from sites.tasks.tabular.task import TabularTask
from sites.training.loop import TrainingDiverged
from tests.sites.sides import keyed

N = 120
PLAN = TrainingPlan(local_epochs=5, batch_size=16, learning_rate=0.1, momentum=0.9)

PRIVATE = PrivacyPlan(noise_multiplier=0.2, clip_norm=1.0, sampling_rate=0.5, steps=60)

BINARY = ClassLabel(column="ill", classes=("no", "yes"))
GRADED = ClassLabel(column="grade", classes=("low", "middle", "high"))
PRICE = NumberLabel(column="price", low=0, high=200)

CASES: Mapping[str, tuple[Label, ModelName]] = {
    "logistic": (BINARY, "logistic"),
    "mlp": (BINARY, "mlp"),
    "graded-logistic": (GRADED, "logistic"),
    "graded-mlp": (GRADED, "mlp"),
    "linear": (PRICE, "linear"),
    "price-mlp": (PRICE, "mlp"),
}
BALANCES = ("none", "weights", "resample")


def task_of(label: Label, model: ModelName, *, seed: int = 7) -> TabularTask:
    features = (
        Number(name="dose", low=0, high=10),
        Number(name="delay", low=0, high=100, missing=True, scale="log"),
        Category(name="ward", values=("a", "b", "c"), missing=True),
    )
    schema = Schema(name="patients", person="patient", features=features, label=label)
    return TabularTask("example", schema, ModelPlan(name=model, hidden_units=6), seed)


def patients(seed: int) -> pd.DataFrame:
    """Return records whose labels follow from dose and ward, two records per person."""
    rng = np.random.default_rng(seed)
    dose, ward = rng.uniform(0, 10, N), rng.integers(0, 4, N)
    burden = dose + 2 * (ward == 1)
    return pd.DataFrame(
        {
            "patient": [f"p{i // 2}" for i in range(N)],
            "dose": dose,
            "delay": np.where(rng.random(N) < 0.3, np.nan, rng.uniform(0, 100, N)),
            "ward": np.array(["a", "b", "c", ""])[ward],
            "ill": np.where(burden > 5, "yes", "no"),
            "grade": np.array(["low", "middle", "high"])[np.digitize(burden, [4, 8])],
            "price": 10 * burden + 20,
        }
    )


Write = Callable[[pd.DataFrame], TableFile]


def learnt(task: TabularTask, data: TableData, pooled: Tally, plan: TrainingPlan = PLAN) -> Vector:
    rng = np.random.default_rng(1)
    return task.train(data, pooled, np.zeros(task.layout.dim), plan, rng=rng).update


def error(task: TabularTask, data: TableData, pooled: Tally, vector: Vector) -> float:
    """Return the Brier score of the true class, or the squared error, of the held-out records."""
    predictions, labels = task.score(data, pooled, vector)
    if predictions.ndim == 2:
        predictions, labels = predictions[np.arange(len(labels)), labels.astype(int)], np.ones(1)
    return float(np.square(predictions - labels).mean())


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, source: Write) -> tuple[TabularTask, TableData, Tally]:
    """Return each task and model, with a site's records and their statistics."""
    task = task_of(*CASES[request.param])
    data = task.load(source(patients(1)), sides=keyed(3))
    return task, data, task.statistics_of(data)


Case = tuple[TabularTask, TableData, Tally]


def test_a_tabular_task_implements_the_contract(case: Case) -> None:
    task: Task[TableData] = case[0]
    assert task.layout.dim == sum(field.size for field in task.layout.fields)


def test_all_records_of_a_person_are_on_one_side(case: Case) -> None:
    _, data, _ = case
    assert not set(data.training.persons) & set(data.held_out.persons)
    assert data.train_examples + data.held_out_examples == N
    assert data.train_persons == data.train_examples / 2
    assert 0.15 * N < data.held_out_examples < 0.25 * N
    assert sum(data.class_counts) in (0, data.train_examples)


def test_statistics_count_training_records_only(case: Case) -> None:
    task, data, pooled = case
    assert task.statistics.layout.count("records", pooled) == data.train_examples
    assert task.statistics.layout.count("persons", pooled) == data.train_persons


def test_training_improves_on_the_initial_model(case: Case) -> None:
    task, data, pooled = case
    before = error(task, data, pooled, np.zeros(task.layout.dim))
    assert error(task, data, pooled, learnt(task, data, pooled)) < 0.8 * before


def test_an_update_is_float32_and_counts_examples_and_steps(case: Case) -> None:
    task, data, pooled = case
    rng = np.random.default_rng(1)
    trained = task.train(data, pooled, np.zeros(task.layout.dim), PLAN, rng=rng)
    assert trained.update.shape == (task.layout.dim,)
    np.testing.assert_array_equal(trained.update, trained.update.astype(np.float32))
    assert trained.num_examples == data.train_examples
    assert trained.steps == 5 * -(-data.train_examples // 16)


def test_a_floor_adds_steps_and_the_site_counts_by_its_records_as_before(case: Case) -> None:
    task, data, pooled = case
    longer, zero = replace(PLAN, min_local_steps=100), np.zeros(task.layout.dim)
    trained = task.train(data, pooled, zero, longer, rng=np.random.default_rng(1))
    assert (trained.num_examples, trained.steps) == (data.train_examples, 100)
    assert trained.update.tobytes() != learnt(task, data, pooled).tobytes()


def test_the_same_arguments_give_the_same_bytes(case: Case, source: Write) -> None:
    task, data, pooled = case
    again = replace(task).load(source(patients(1)), sides=keyed(3))
    assert learnt(replace(task), again, pooled).tobytes() == learnt(task, data, pooled).tobytes()


def test_the_vector_is_the_difference_from_the_initial_values_of_the_seed(case: Case) -> None:
    task, _, _ = case
    other = replace(task, seed=8)
    assert replace(task).layout == task.layout
    assert other.layout.digest != task.layout.digest
    zero = np.zeros(task.layout.dim)
    for name, values in task.parameters(zero).items():
        assert values.dtype == np.float32
        is_weight = values.ndim == 2
        assert np.array_equal(other.parameters(zero)[name], values) != is_weight


def test_a_second_round_continues_from_the_received_state(case: Case) -> None:
    """The next round starts from the received state plus the update, rounded to float32."""
    task, data, pooled = case
    first = learnt(task, data, pooled)
    held = replace(PLAN, proximal_mu=1e12)
    rng = np.random.default_rng(2)
    still = task.train(data, pooled, first, held, rng=rng).update
    np.testing.assert_allclose(still, 0, atol=1e-5)


def test_one_person_moves_a_private_step_by_no_more_than_its_share(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without noise, whatever two persons' records are, also with exchanged labels."""
    monkeypatch.setattr(noise, "grid_gaussian", lambda n, *, deviation: np.zeros(n) * deviation)
    task, data, pooled = case
    private = replace(PRIVATE, sampling_rate=1.0, steps=1, clip_norm=0.3)
    plan = TrainingPlan(learning_rate=2.0, privacy=private)
    everyone = learnt(task, data, pooled, plan)
    labels = data.training.labels.copy()
    labels[data.training.persons == data.training.persons[0]] = labels.min()
    columns = {name: values.copy() for name, values in data.training.columns.items()}
    columns["dose"][data.training.persons == data.training.persons[0]] = 10.0
    other = replace(data, training=replace(data.training, columns=columns, labels=labels))
    moved = np.linalg.norm(learnt(task, other, pooled, plan) - everyone)
    assert 0 < moved <= 2 * 2.0 * 0.3 / data.train_persons  # one contribution for another
    assert np.linalg.norm(everyone) <= 2.0 * 0.3


def test_private_training_learns_and_gives_other_bytes_each_time(case: Case) -> None:
    task, data, pooled = case
    plan = TrainingPlan(learning_rate=0.3, momentum=0.5, privacy=PRIVATE)
    before = error(task, data, pooled, np.zeros(task.layout.dim))
    once, again = (learnt(task, data, pooled, plan) for _ in range(2))
    assert not np.array_equal(once, again)
    assert error(task, data, pooled, once) < 0.95 * before


def test_the_evaluation_is_the_tally_of_the_scores(case: Case) -> None:
    task, data, pooled = case
    vector = learnt(task, data, pooled)
    tally = task.evaluate(data, pooled, vector)
    task.evaluation.check(tally)
    assert task.evaluation.num_examples(tally) == data.held_out_examples
    np.testing.assert_array_equal(tally, task.evaluation.tally(*task.score(data, pooled, vector)))


def test_a_new_table_needs_neither_label_nor_person(case: Case, source: Write) -> None:
    """Predictions are in the order of its rows."""
    task, data, pooled = case
    vector = learnt(task, data, pooled)
    new = patients(2)[["dose", "delay", "ward"]]
    predictions = task.predict(source(new), pooled, vector)
    assert len(predictions) == N
    reversed_ = task.predict(source(new[::-1]), pooled, vector)
    np.testing.assert_allclose(reversed_[::-1], predictions, rtol=1e-5, atol=1e-6)


def test_pooled_sites_keep_sides_and_persons(case: Case, source: Write) -> None:
    task, data, pooled = case
    other = task.load(source(patients(2)), sides=keyed(3))
    pool = task.pool([data, other])
    assert pool.train_examples == data.train_examples + other.train_examples
    assert pool.train_persons == data.train_persons + other.train_persons
    assert not set(pool.training.persons) & set(pool.held_out.persons)
    np.testing.assert_array_equal(task.statistics_of(pool), pooled + task.statistics_of(other))


@pytest.mark.parametrize("label", [BINARY, GRADED])
@pytest.mark.parametrize("balance", BALANCES)
def test_a_site_with_one_class_can_take_part(
    label: ClassLabel, balance: Any, source: Write
) -> None:
    task = task_of(label, "logistic")
    everybody = task.load(source(patients(1)), sides=keyed(3))
    few = patients(2).assign(ill="no", grade="low")
    data = task.load(source(few), sides=keyed(3))
    assert data.class_counts[0] == data.train_examples
    pooled = task.statistics_of(everybody) + task.statistics_of(data)
    update = learnt(task, data, pooled, replace(PLAN, class_balance=balance))
    assert np.isfinite(update).all()
    task.evaluation.check(task.evaluate(data, pooled, update))


def test_a_site_with_a_column_all_missing_can_take_part(case: Case, source: Write) -> None:
    task, other, _ = case
    data = task.load(source(patients(2).assign(delay=np.nan, ward="")), sides=keyed(3))
    for pooled in (task.statistics_of(data), task.statistics_of(data) + task.statistics_of(other)):
        update = learnt(task, data, pooled)
        assert np.isfinite(update).all()
        task.evaluation.check(task.evaluate(data, pooled, update))


def test_a_site_with_one_person_trains_and_holds_nobody_out(case: Case, source: Write) -> None:
    task, _, pooled = case
    data = task.load(source(patients(2)[:2]), sides=keyed(3))
    assert (data.train_examples, data.held_out_examples) == (2, 0)
    assert np.isfinite(learnt(task, data, pooled)).all()
    assert not task.evaluate(data, pooled, np.zeros(task.layout.dim)).any()


def test_the_sites_own_split_is_kept(case: Case, source: Write) -> None:
    task, _, _ = case
    sides = np.where(np.arange(N) < 30, "test", "train")
    written = source(patients(2).assign(fold=sides)).model_copy(update={"split": "fold"})
    data = task.load(written, sides=keyed(3))
    assert set(data.held_out.persons) == {f"p{i}" for i in range(15)}


def test_a_person_in_train_and_test_is_refused(source: Write) -> None:
    task = task_of(BINARY, "logistic")
    sides = np.where(np.arange(N) % 2, "test", "train")
    written = source(patients(2).assign(fold=sides)).model_copy(update={"split": "fold"})
    with pytest.raises(PersonOnBothSides):
        task.load(written, sides=keyed(3))


def test_a_site_without_training_records_is_evaluated_but_not_trained(
    case: Case, source: Write
) -> None:
    task, _, pooled = case
    written = source(patients(2).assign(fold="test")).model_copy(update={"split": "fold"})
    data = task.load(written, sides=keyed(3))
    assert task.evaluation.num_examples(task.evaluate(data, pooled, np.zeros(task.layout.dim))) == N
    np.testing.assert_array_equal(task.statistics_of(data), 0)
    with pytest.raises(EmptySite):
        learnt(task, data, pooled)


def test_a_table_that_breaks_the_schema_is_refused(case: Case, source: Write) -> None:
    task, _, pooled = case
    broken = source(patients(2).assign(ward="d"))
    with pytest.raises(BadTable, match="ward"):
        task.load(broken, sides=keyed(3))
    with pytest.raises(BadTable, match="ward"):
        task.predict(broken, pooled, np.zeros(task.layout.dim))


def test_weights_and_resampling_raise_the_rare_class(source: Write) -> None:
    task = task_of(BINARY, "logistic")
    data = task.load(
        source(patients(1).assign(ill=lambda frame: np.where(frame.dose > 9, "yes", "no"))),
        sides=keyed(3),
    )
    pooled = task.statistics_of(data)

    def mean_prediction(balance: Any) -> float:
        vector = learnt(task, data, pooled, replace(PLAN, class_balance=balance))
        return float(task.score(data, pooled, vector)[0].mean())

    plain, weighted, resampled = (mean_prediction(balance) for balance in BALANCES)
    assert min(weighted, resampled) > plain + 0.1


def test_constants_come_from_the_pooled_statistics_alone(source: Write) -> None:
    """The encoding of a site's records does not depend on its other records."""
    task = task_of(BINARY, "logistic")
    data = task.load(source(patients(1)), sides=keyed(3))
    pooled = task.statistics_of(data)
    vector = learnt(task, data, pooled)
    frame = patients(2)
    whole = task.predict(source(frame), pooled, vector)
    part = task.predict(source(frame[:7]), pooled, vector)
    np.testing.assert_allclose(part, whole[:7], rtol=1e-5)


def test_an_exported_logistic_regression_predicts_by_its_formula(source: Write) -> None:
    task = task_of(BINARY, "logistic")
    data = task.load(source(patients(1)), sides=keyed(3))
    pooled = task.statistics_of(data)
    vector = learnt(task, data, pooled)
    arrays, constants = task.parameters(vector), task.statistics.constants(pooled)
    dose = constants.numbers["dose"]
    inputs = np.zeros(7)  # dose, delay, delay=missing, ward=a, b, c, missing
    inputs[[0, 2, 4]] = (3.0 / 10 - dose.mean) / dose.deviation, 1, 1
    score = float((arrays["output.weight"] @ inputs)[0] + arrays["output.bias"][0])
    new = pd.DataFrame({"dose": [3.0], "delay": [""], "ward": ["b"]})
    np.testing.assert_allclose(
        task.predict(source(new), pooled, vector), [1 / (1 + np.exp(-score))], rtol=1e-5
    )


def test_parameters_that_overflow_after_the_last_finite_loss_are_refused(source: Write) -> None:
    """Each of the four steps multiplies the weights by 1e12."""
    task = task_of(BINARY, "logistic")
    data = task.load(source(patients(1)), sides=keyed(3))
    plan = TrainingPlan(batch_size=24, learning_rate=1e6, weight_decay=1e6)
    with pytest.raises(TrainingDiverged, match="parameters are not finite"):
        learnt(task, data, task.statistics_of(data), plan)


@pytest.mark.parametrize(
    ("label", "model"), [(BINARY, "linear"), (GRADED, "linear"), (PRICE, "logistic")]
)
def test_a_model_that_does_not_predict_the_label_is_refused(label: Label, model: ModelName) -> None:
    with pytest.raises(BadPlan, match="use mlp or"):
        task_of(label, model)


def test_a_number_cannot_be_balanced(source: Write) -> None:
    task = task_of(PRICE, "linear")
    data = task.load(source(patients(1)), sides=keyed(3))
    with pytest.raises(BadPlan, match="set class_balance to none"):
        learnt(task, data, task.statistics_of(data), replace(PLAN, class_balance="weights"))
