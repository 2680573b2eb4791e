import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sites.learners.survival.design import Design
from sites.statistics.tables import TableStatistics
from tests.sites.learners.survival.ended_records import SCHEMA, made_up

DATA = made_up(1, 60)
CONSTANTS = TableStatistics(SCHEMA).constants(
    TableStatistics(SCHEMA).tally(DATA.training.columns, DATA.training.labels, persons=60)
)


def test_the_first_value_of_a_category_is_the_reference() -> None:
    names = [one.name for one in Design(SCHEMA).covariates]
    assert names == ["age", "arm=b", "arm=c", "marker"]
    with_indicators = [one.name for one in Design(SCHEMA, indicators=True).covariates]
    assert with_indicators == ["age", "arm=b", "arm=c", "arm=missing", "marker", "marker=missing"]


def test_records_with_a_missing_value_are_left_out_unless_there_are_indicators() -> None:
    columns = DATA.training.columns
    missing = (columns["arm"] < 0) | np.isnan(columns["marker"])
    assert missing.any()
    np.testing.assert_array_equal(Design(SCHEMA).complete(columns), ~missing)
    assert Design(SCHEMA, indicators=True).complete(columns).all()
    x = Design(SCHEMA, indicators=True).matrix(columns, CONSTANTS)
    np.testing.assert_array_equal(x[:, 3], columns["arm"] < 0)
    np.testing.assert_array_equal(x[:, 5], np.isnan(columns["marker"]))
    assert (x[np.isnan(columns["marker"]), 4] == 0).all()


def test_numbers_are_centred_by_the_pooled_mean_and_within_one() -> None:
    x = Design(SCHEMA).matrix(DATA.training.columns, CONSTANTS)
    assert_allclose(
        x[:, 0], (DATA.training.columns["age"] - DATA.training.columns["age"].mean()) / 100
    )
    assert np.abs(x).max() <= 1
    deviations = Design(SCHEMA).deviations(CONSTANTS)
    assert_allclose(deviations[0], DATA.training.columns["age"].std() / 100, rtol=1e-6)
    assert deviations[1:3].tolist() == [1.0, 1.0]


@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_no_record_has_a_larger_predictor_than_the_bound(weights: list[float]) -> None:
    at = np.array(weights)
    x = Design(SCHEMA).matrix(DATA.training.columns, CONSTANTS)
    assert (x @ at).max() <= Design(SCHEMA).largest_predictor(at, CONSTANTS) + 1e-9
