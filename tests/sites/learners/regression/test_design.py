import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.regression.design import Design, MissingValues
from sites.statistics.tables import TableStatistics, compress_values
from tests.sites.learners.regression.generated import CLASSES, FEATURES, schema_of, table_with

SCHEMA = schema_of(CLASSES)
STATISTICS = TableStatistics(SCHEMA)


def test_the_first_declared_value_is_the_reference() -> None:
    complete = Design(schema=SCHEMA, missing="complete", intercept=True)
    assert [one.name for one in complete.inputs] == [
        "intercept",
        "age",
        "income",
        "ward=b",
        "ward=c",
        "smoker=yes",
    ]
    assert [one.reference for one in complete.inputs if one.value] == ["a", "a", "no"]
    without = Design(schema=SCHEMA, missing="indicator", intercept=False)
    assert [one.name for one in without.inputs] == [
        "age",
        "income",
        "income=missing",
        "ward=b",
        "ward=c",
        "smoker=yes",
        "smoker=missing",
    ]


@given(st.integers(0, 100), st.integers(0, 60), st.sampled_from(["complete", "indicator"]))
def test_an_input_is_within_its_bounds_and_of_its_record_alone(
    seed: int, n: int, missing: MissingValues
) -> None:
    table = table_with(CLASSES, n, seed=seed, missing=0.3)
    design = Design(schema=SCHEMA, missing=missing, intercept=True)
    constants = STATISTICS.constants(STATISTICS.tally(table.columns, table.labels, persons=n))
    rows = design.rows(table.columns, constants)
    assert rows.shape == (design.size, n)
    assert (np.abs(rows) <= 1).all()
    half = np.arange(n) % 2 == 0
    part = table.select(half)
    assert design.rows(part.columns, constants).tobytes() == rows[:, half].tobytes()


def test_scales_turn_a_number_into_its_input() -> None:
    table = table_with(CLASSES, 200)
    design = Design(schema=SCHEMA, missing="complete", intercept=True)
    constants = STATISTICS.constants(STATISTICS.tally(table.columns, table.labels, persons=200))
    rows, scales = design.rows(table.columns, constants), design.scales(constants)
    for place, item in ((1, FEATURES[0]), (2, FEATURES[1])):
        own = compress_values(item, table.columns[item.name])
        assert rows[place] == pytest.approx((own - scales.center[place]) * scales.per_unit[place])
        assert rows[place].std() == pytest.approx(scales.per_deviation[place], rel=1e-6)
    assert scales.per_unit[[0, 3, 4, 5]].tolist() == [1, 1, 1, 1]


def test_complete_cases_have_every_value() -> None:
    table = table_with(CLASSES, 300, missing=0.2)
    complete = Design(schema=SCHEMA, missing="complete", intercept=True).complete(table.columns)
    absent = np.isnan(table.columns["income"]) | (table.columns["smoker"] < 0)
    assert complete.tolist() == (~absent).tolist()
    everybody = Design(schema=SCHEMA, missing="indicator", intercept=True)
    assert everybody.complete(table.columns).all()
