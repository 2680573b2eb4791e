import numpy as np
import pandas as pd

from sites.tasks.tabular.loading import columns_of, table_of
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
