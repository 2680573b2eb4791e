"""Columns are read as reading a table takes them, and what the schema does not allow gets NaN."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sites.data.validation import BadTable, validate_table
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import Graph, GraphOutput
from sites.schema.tables import Category, ClassLabel, Number, Schema
from tests.graph_runs import run_raw

SCHEMA = Schema(
    name="ward",
    person="person",
    features=(
        Number(name="age", low=0.5, high=100),
        Number(name="bill", low=-1e300, high=1e300, missing=True),
        Category(name="ward", values=("day", "night", "nul")),
        Category(name="smokes", values=("0", "1"), missing=True),
        Category(name="grade", values=("1", "1.0", "None"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
GOOD = {"age": 50.0, "bill": 1.0, "ward": "day", "smokes": "0", "grade": "1"}


def graph_of_places(schema: Schema = SCHEMA) -> Graph:
    """Return a graph that says where in a row of numbers each value is; -7 where missing."""
    columns = GraphColumns.of(schema)
    found = []
    for item in schema.features:
        if isinstance(item, Category):
            places = [float(at) for at in range(len(item.values))]
            tensor = columns.add_looked_up(item, places, missing=-7.0)
        else:
            tensor = columns.add_chosen(item, missing=-7.0, present=columns.values[item.name])
        found.append(GraphOutput(name=item.name, tensor=tensor, says=""))
    return columns.graph([*found, GraphOutput(name="same", tensor=columns.add_same(3.0), says="")])


GRAPH = graph_of_places()


def told(**changed: Any) -> dict[str, float]:
    """Return what the graph says of one record, by column; columns of the outputs are renamed."""
    record = {**GOOD, **changed}
    raw = {
        item.name: np.array([record[item.name]], object if isinstance(item, Category) else float)
        for item in SCHEMA.features
    }
    found = run_raw(GRAPH, raw)
    return {name.removesuffix("_of_model"): float(held[0]) for name, held in found.items()}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *[("age", cell) for cell in (0.5, 100.0, 0.49999999999999994, 100.00000000000001, np.nan)],
        *[("age", cell) for cell in (np.inf, -np.inf, -0.0)],
        *[("bill", cell) for cell in (np.nan, 1e300, -1e300, np.inf, 1e-320)],
        *[("ward", cell) for cell in ("day", "night", "nul", "Day", "", "nan", "evening", "null")],
        *[("smokes", cell) for cell in ("0", "1", "1.0", "0.0", "True", "false", "2", "", "NaN")],
        *[("smokes", cell) for cell in ("NA", "n/a", "?", "<NA>", "yes", "None", "-1")],
        *[("grade", cell) for cell in ("1", "1.0", "1.00", "None", "none", "nan", "")],
    ],
)
def test_a_cell_is_read_or_refused_as_in_a_table(column: str, cell: Any) -> None:
    frame = pd.DataFrame([{**GOOD, column: cell, "person": "p"}])
    found = told(**{column: cell})
    try:
        read = validate_table(frame, SCHEMA, labelled=False)[column]
    except BadTable:
        assert all(np.isnan(one) for one in found.values())
        return
    code = read.cat.codes[0] if isinstance(read.dtype, pd.CategoricalDtype) else read[0]
    missing = code == -1 if isinstance(read.dtype, pd.CategoricalDtype) else np.isnan(code)
    assert found[column] == (-7.0 if missing else code)
    assert found["same"] == 3.0


def test_a_record_that_is_refused_spoils_no_other() -> None:
    raw = {
        name: np.array([value] * 3, object if isinstance(value, str) else float)
        for name, value in GOOD.items()
    }
    raw["ward"][1] = "evening"
    found = run_raw(GRAPH, raw)
    assert all(np.isnan(held).tolist() == [False, True, False] for held in found.values())


def test_the_missing_of_python_is_no_declared_text() -> None:
    """From Python, None arrives as "None", which a schema may declare, and NaN as "nan"."""
    assert told(smokes=float("nan"))["smokes"] == -7.0
    assert np.isnan(told(smokes=None)["smokes"])
    assert told(grade=None)["grade"] == 2.0


def test_a_coded_column_takes_the_groups_and_refuses_codes() -> None:
    """A graph has no classification in it: who asks it groups the codes first."""
    coded = Category(name="dx", codes="icd-9-cm", group="category", values=("001", "250"))
    schema = SCHEMA.model_copy(update={"features": (coded,)})
    found = run_raw(graph_of_places(schema), {"dx": np.array(["250", "250.1", "001"], object)})
    assert found["dx_of_model"][[0, 2]].tolist() == [1.0, 0.0]
    assert np.isnan(found["dx_of_model"][1])


def test_inputs_say_what_they_may_hold() -> None:
    said = {one.name: one.says for one in GRAPH.inputs}
    assert said["age"] == "a number from 0.5 to 100, never missing (NaN)"
    assert said["smokes"] == "one of 0, 1; may be missing (empty text)"


def test_an_output_that_is_called_like_a_column_gets_another_name() -> None:
    assert [one.name for one in GRAPH.outputs][:2] == ["age_of_model", "bill_of_model"]
    assert [one.name for one in GRAPH.outputs][-1] == "same"
