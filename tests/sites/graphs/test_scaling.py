"""Scaling in a graph is the scaling by which models were trained."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.graphs.columns import GraphColumns
from sites.graphs.graph import Graph, GraphOutput
from sites.graphs.scaling import add_one_hot, add_scaled, add_standardised, add_unscaled
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.tables import scale_values, unscale_values
from tests.graph_runs import run

NUMBERS = (
    Number(name="age", low=-3, high=100, missing=True),
    Number(name="bill", low=-1e4, high=1e6, scale="log", missing=True),
)
WARD = Category(name="ward", values=("a", "b", "c"), missing=True)
SCHEMA = Schema(
    name="scaled",
    person="person",
    features=(*NUMBERS, WARD),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)


def graph_of_scales() -> Graph:
    columns = GraphColumns.of(SCHEMA)
    found = []
    for item in NUMBERS:
        scaled = add_scaled(columns, item)
        tensors = {
            "scaled": scaled,
            "back": add_unscaled(columns.draft, item, scaled),
            "beyond": add_unscaled(columns.draft, item, columns.draft.add_product(scaled, 3.0)),
            "standard": add_standardised(columns, item, mean=0.25, deviation=0.125),
        }
        found += [
            GraphOutput(name=f"{item.name}-{what}", tensor=one, says="")
            for what, one in tensors.items()
        ]
    hot = {first: add_one_hot(columns, WARD, first=first) for first in (0, 1)}
    found += [
        GraphOutput(name=f"hot-{first}", tensor=one, columns=WARD.values[first:], says="")
        for first, one in hot.items()
    ]
    return columns.graph(found)


GRAPH = graph_of_scales()
SHARES = st.one_of(st.just(np.nan), st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@given(st.lists(st.tuples(SHARES, SHARES, st.integers(-1, 2)), min_size=1, max_size=20))
def test_numbers_and_categories_are_encoded_as_for_training(
    rows: list[tuple[float, float, int]],
) -> None:
    shares, codes = np.array([row[:2] for row in rows]).T, np.array([row[2] for row in rows])
    columns = {
        item.name: np.where(np.isnan(one), np.nan, unscale_values(item, one))
        for item, one in zip(NUMBERS, shares, strict=True)
    }
    found = run(GRAPH, SCHEMA, {**columns, "ward": codes})
    for item in NUMBERS:
        values = columns[item.name]
        there, scaled = ~np.isnan(values), scale_values(item, values)
        np.testing.assert_allclose(
            found[f"{item.name}-scaled"][there], scaled[there], rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(
            found[f"{item.name}-back"][there], values[there], rtol=1e-9, atol=1e-9
        )
        beyond = unscale_values(item, 3 * scaled[there])
        np.testing.assert_allclose(
            found[f"{item.name}-beyond"][there], beyond, rtol=1e-9, atol=1e-9
        )
        standard = np.where(there, (scaled - 0.25) / 0.125, 0.0)
        np.testing.assert_allclose(found[f"{item.name}-standard"], standard, rtol=1e-12, atol=1e-12)
    for first in (0, 1):
        expected = codes[:, None] == np.arange(first, 3)
        np.testing.assert_array_equal(found[f"hot-{first}"], expected)


@pytest.mark.parametrize("item", NUMBERS)
def test_bounds_come_back_as_they_are(item: Number) -> None:
    columns = {one.name: np.array([one.low, one.high]) for one in NUMBERS}
    found = run(GRAPH, SCHEMA, {**columns, "ward": np.array([0, 0])})
    assert found[f"{item.name}-back"].tolist() == pytest.approx([item.low, item.high], rel=1e-12)
