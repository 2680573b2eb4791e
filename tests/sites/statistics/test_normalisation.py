import numpy as np
import pytest

from sites.schema.tables import Category, ClassLabel, Label, Number, NumberLabel, Schema
from sites.statistics.normalisation import constants_by_bounds
from sites.statistics.tables import Statistics, transform
from sites.tasks.tabular.data import encode

AGE = Number(name="age", low=20, high=80)
DEBT = Number(name="debt", low=0, high=1e6, scale="log", missing=True)
COST = NumberLabel(column="cost", low=0, high=9)
LABELS = [ClassLabel(column="ill", classes=("no", "yes")), COST]


def schema(label: Label) -> Schema:
    features = (AGE, DEBT, Category(name="ward", values=("a", "b")))
    return Schema(name="patients", person="patient", features=features, label=label)


@pytest.mark.parametrize("label", LABELS, ids=["classes", "number"])
def test_where_nothing_was_released_numbers_are_scaled_by_their_bounds(label: Label) -> None:
    statistics = Statistics(schema(label))
    nothing = np.zeros(statistics.layout.size, np.int64)
    constants = statistics.constants(nothing)
    assert constants == constants_by_bounds(schema(label))
    assert constants.guarded.keys() == {"age", "debt"}
    assert sum(constants.class_counts) == 0


def test_values_spread_evenly_between_the_bounds_have_mean_0_and_deviation_1() -> None:
    constants = constants_by_bounds(schema(COST))
    even = {
        "age": np.linspace(20, 80, 10_001),
        "debt": np.expm1(np.linspace(0, np.log1p(1e6), 10_001)),
        "ward": np.zeros(10_001, np.int64),
    }
    encoded = encode(even, schema(COST), constants)[:, :2]
    np.testing.assert_allclose(encoded.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded.std(0), 1, atol=1e-3)
    label = transform(COST, np.linspace(0, 9, 1001))
    assert (label - constants.label.mean).std() / constants.label.deviation == pytest.approx(
        1, abs=1e-3
    )
