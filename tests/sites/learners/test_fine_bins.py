"""Fine bins follow the pooled statistics, and every record has one bin of each feature."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.fine_bins import PIECES, TableBins, bin_sizes, fine_bins
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.tables import BINS, TableStatistics

SCHEMA = Schema(
    name="bins",
    person="person",
    features=(
        Number(name="age", low=18, high=110, missing=True),
        Number(name="bill", low=-1e6, high=1e7, scale="log", missing=True),
        Category(name="sex", values=("female", "male"), missing=True),
    ),
    label=ClassLabel(column="default", classes=("no", "yes")),
)
AGES = st.one_of(st.just(float("nan")), st.floats(18, 110))
BILLS = st.one_of(st.just(float("nan")), st.floats(-1e6, 1e7))


@st.composite
def columns(draw: st.DrawFn, fewest: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Draw records; also without any, of one value, and with nothing but missing values."""
    n = draw(st.integers(fewest, 30))
    drawn = {
        "age": draw(st.lists(AGES, min_size=n, max_size=n)),
        "bill": draw(st.lists(BILLS, min_size=n, max_size=n)),
    }
    codes = draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    return {
        **{name: np.array(values, np.float64) for name, values in drawn.items()},
        "sex": np.array(codes, np.int64),
    }


def tally_of(given_columns: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    labels = np.zeros(len(given_columns["sex"]), np.int64)
    return TableStatistics(SCHEMA).tally(given_columns, labels, persons=len(labels))


def bins_of(given_columns: dict[str, np.ndarray[Any, Any]]) -> TableBins:
    return fine_bins(SCHEMA, tally_of(given_columns))


@given(columns(), columns())
def test_every_record_has_one_bin_of_each_feature_whatever_was_counted(
    counted: dict[str, np.ndarray[Any, Any]], seen: dict[str, np.ndarray[Any, Any]]
) -> None:
    bins = bins_of(counted)
    assert tuple(one.size for one in bins.features) == bin_sizes(SCHEMA) == (97, 97, 3)
    assert bins.starts.tolist() == [0, 97, 194, 197]
    codes = bins.codes(seen)
    assert codes.shape == (3, len(seen["sex"]))
    for one, row in zip(bins.features, codes, strict=True):
        values = seen[one.feature.name]
        missing = values < 0 if one.feature.kind == "category" else np.isnan(values)
        assert ((row == one.missing) == missing).all()
        assert (row[~missing] < one.used).all()
        assert one.used <= one.missing


@given(columns(), columns())
def test_a_bin_holds_its_lower_edge_and_not_its_upper(
    counted: dict[str, np.ndarray[Any, Any]], seen: dict[str, np.ndarray[Any, Any]]
) -> None:
    for one in bins_of(counted).features[:2]:
        values = seen[one.feature.name]
        held = values[~np.isnan(values)].astype(np.float32)
        around = np.concatenate([[-np.inf], one.edges, [np.inf]])
        codes = one.codes(values)[~np.isnan(values)]
        assert (around[codes] <= held).all()
        assert (held < around[codes + 1]).all()


@given(columns())
def test_edges_ascend_within_the_declared_bounds(
    counted: dict[str, np.ndarray[Any, Any]],
) -> None:
    for one in bins_of(counted).features[:2]:
        assert one.edges.dtype == np.float32
        assert (np.diff(one.edges) > 0).all()
        assert len(one.edges) < PIECES
        feature = one.feature
        assert isinstance(feature, Number)
        assert ((one.edges > feature.low) & (one.edges <= feature.high)).all()


def test_without_statistics_the_pieces_of_a_number_are_of_equal_width() -> None:
    nothing = np.zeros(TableStatistics(SCHEMA).layout.size, np.int64)
    age = fine_bins(SCHEMA, nothing).features[0]
    assert age.used == PIECES
    wide = np.diff(np.concatenate([[18], age.edges, [110]]))
    assert wide.tolist() == pytest.approx([(110 - 18) / PIECES] * PIECES, rel=0.05)
    assert [str(edge) for edge in age.edges[:3]] == ["18.96", "19.92", "20.88"]


def test_a_skewed_number_has_fine_bins_where_its_records_are() -> None:
    """All but one in a hundred lie in a 32nd of the range, which is cut into most of the pieces."""
    rng = np.random.default_rng(7)
    ages = np.concatenate([rng.uniform(18, 20.8, 9_900), rng.uniform(20.9, 110, 100)])
    counted = {"age": ages, "bill": ages, "sex": np.zeros(len(ages), np.int64)}
    age = bins_of(counted).features[0]
    shares = np.bincount(age.codes(ages), minlength=age.size) / len(ages)
    assert shares.max() < 2.5 / (PIECES - BINS)
    assert (age.edges < 20.9).sum() > 60


def test_a_gap_in_the_records_has_one_edge_in_its_middle() -> None:
    ages = np.array([19.0] * 50 + [100.0] * 50)
    counted = {"age": ages, "bill": ages, "sex": np.zeros(100, np.int64)}
    age = bins_of(counted).features[0]
    within = age.edges[(age.edges > 21) & (age.edges < 97)]
    assert within.tolist() == [pytest.approx(60, abs=2)]
