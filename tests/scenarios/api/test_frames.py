"""A DataFrame is read like the CSV file that holds the same cells."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.api.frames import BadFrame, frame_source, write_frame
from sites.data.cells import cell_text
from sites.data.source import DataSource, TableFile
from sites.data.tables import read_table
from sites.data.validation import BadTable, validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema

SCHEMA = Schema(
    name="any",
    person="who",
    features=(
        Number(name="size", low=-10, high=1000, missing=True),
        Category(name="kind", values=("1", "two", "True"), missing=True),
    ),
    label=ClassLabel(column="end", classes=("0", "1")),
)
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 2000),
    st.sampled_from([0.5, 63.0, float("nan")]),
    st.sampled_from(["63", " 1 ", "63 years", "two", "?", "True"]),
)
ROWS = st.lists(st.tuples(CELLS, CELLS, st.integers(0, 1)), min_size=1, max_size=5)


def judged(source: DataSource) -> object:
    """Return the cells as they are understood, or what is wrong, but not how a cell is quoted."""
    try:
        table = validate_table(read_table(source), SCHEMA)
    except BadTable as error:
        return [(one.column, one.expected, one.count, one.advice) for one in error.violations]
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


@settings(max_examples=30)
@given(rows=ROWS)
def test_a_frame_and_the_csv_file_of_its_cells_are_judged_alike(
    rows: list[tuple[object, object, int]],
) -> None:
    frame = pd.DataFrame(rows, columns=["size", "kind", "end"], dtype=object)
    frame.insert(0, "who", [f"person {place}" for place in range(len(frame))])
    with TemporaryDirectory() as folder, frame_source(frame) as held:
        path = Path(folder) / "cells.csv"
        frame.to_csv(path, index=False)
        assert judged(held) == judged(TableFile(path=path))


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([10**30, 1], dtype=object),
        pd.Series([1j, 2j]),
        pd.Series(pd.arrays.SparseArray([1.0, 0.0])),
    ],
    ids=["large", "complex", "sparse"],
)
def test_a_column_that_parquet_cannot_hold_is_read_as_its_texts(cells: "pd.Series[Any]") -> None:
    with frame_source(pd.DataFrame({"size": cells, "other": [1, 2]})) as source:
        found = read_table(source)
    assert found["size"].map(cell_text).tolist() == [cell_text(one) for one in cells]


def test_an_index_with_a_name_is_a_column_and_another_one_is_dropped() -> None:
    frame = pd.DataFrame({"size": [1, 2]}, index=pd.Index(["b", "a"], name="who"))
    with frame_source(frame) as source:
        assert read_table(source).to_dict("list") == {"who": ["b", "a"], "size": [1, 2]}
    with frame_source(frame.rename_axis(None)) as source:
        assert list(read_table(source).columns) == ["size"]


def test_what_is_held_for_a_while_is_private_and_then_gone() -> None:
    with frame_source(pd.DataFrame({"size": [1]})) as source:
        folder = source.path.parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({0: [1]}), "column named 0, which is no text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"\['a'\] more than once"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")), r"\['a'\] more than once"),
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame({"a": pd.Series(["\ud83d"], dtype=object)}), "half a character"),
    ],
)
def test_a_frame_that_can_be_no_table_is_refused(
    frame: pd.DataFrame, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadFrame, match=said):
        write_frame(frame, tmp_path / "frame.parquet")
