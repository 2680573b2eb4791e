from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sites.data.holdout import NobodyHeldOut
from sites.data.source import TableFile
from sites.data.validation import BadTable
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.tasks.tabular.loading import columns_of, load_period, load_table, table_of
from tests.sites.tasks.tabular.test_data import SCHEMA

FRAME = pd.DataFrame(
    {
        "age": [10.0, 20.0, 30.0],
        "pain": pd.Categorical(["much", None, "none"], ["none", "some", "much"]),
        "income": [np.nan, 5.0, 6.0],
        "ill": pd.Categorical(["yes", "no", "yes"], ["no", "yes"]),
        "patient": ["b", "a", "b"],
    }
)


def test_a_validated_frame_becomes_numbers_and_codes() -> None:
    table = table_of(FRAME, SCHEMA)
    assert table.columns["pain"].tolist() == [2, -1, 0]
    assert table.labels.tolist() == [1, 0, 1]
    assert table.persons.tolist() == ["b", "a", "b"]
    assert list(columns_of(FRAME.drop(columns=["ill", "patient"]), SCHEMA)) == list(table.columns)


@pytest.mark.parametrize(
    "label",
    [ClassLabel(column="y", classes=("a", "b")), NumberLabel(column="y", low=0, high=9)],
)
def test_a_record_of_a_later_period_may_have_no_label_yet(
    label: ClassLabel | NumberLabel, tmp_path: Path
) -> None:
    schema = Schema(name="t", person="p", features=(Number(name="x", low=0, high=9),), label=label)
    values = ["a", "", "b"] if isinstance(label, ClassLabel) else ["1", "", "2.5"]
    path = tmp_path / "later.csv"
    pd.DataFrame({"p": ["u", "v", "w"], "x": [1, 2, 3], "y": values}).to_csv(path, index=False)
    found = load_period(TableFile(path=path), schema, n_classes=2)
    expected = [0, -1, 1] if isinstance(label, ClassLabel) else [1.0, np.nan, 2.5]
    assert np.array_equal(found.held_out.labels, np.array(expected), equal_nan=True)
    with pytest.raises(BadTable):
        load_table(TableFile(path=path), schema, n_classes=2, sides=NobodyHeldOut())
    pd.DataFrame({"p": ["u"], "x": [1], "y": ["wrong"]}).to_csv(path, index=False)
    with pytest.raises(BadTable, match="wrong"):
        load_period(TableFile(path=path), schema, n_classes=2)
