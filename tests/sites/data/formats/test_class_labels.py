"""Names of classes are found however `datasets` declares them, and each number is its name."""

import pandas as pd
import pyarrow
import pytest
from datasets import ClassLabel, Features, LargeList, List, Value

from sites.data.formats.class_labels import (
    NotAClass,
    class_names,
    class_names_in,
    with_class_names,
)

NAMES = ["well", "ill"]
LABEL = ClassLabel(names=NAMES)
OLD = {"names": NAMES, "id": None, "_type": "ClassLabel", "num_classes": 2}


def test_names_are_found_in_the_notes_of_a_file() -> None:
    features = Features(one=LABEL, many=List(LABEL), large=LargeList(LABEL), text=Value("string"))
    expected = {"one": NAMES, "many": NAMES, "large": NAMES}
    assert class_names_in(features.arrow_schema) == expected
    assert class_names(features.to_dict()) == expected


@pytest.mark.parametrize(
    "declared", [[OLD], {"feature": OLD, "length": -1, "_type": "Sequence"}, OLD]
)
def test_names_are_found_as_older_versions_declared_them(declared: object) -> None:
    assert class_names({"kind": declared, "other": {"_type": "Value"}, "odd": 3}) == {"kind": NAMES}


@pytest.mark.parametrize("notes", [b"", b"{", b"[]", b'{"info": 3}', b'{"info": {"features": []}}'])
def test_notes_that_say_nothing_name_nothing(notes: bytes) -> None:
    assert class_names_in(pyarrow.schema([], metadata={b"huggingface": notes})) == {}
    assert class_names_in(pyarrow.schema([])) == {}


def test_each_number_is_its_name_and_none_is_missing() -> None:
    cells = {"kind": [1, 0, None, -1], "tags": [[0, 1], [], None, [-1]]}
    table = pyarrow.table(cells)
    found = with_class_names(table.to_pandas(), table, dict.fromkeys(cells, NAMES), kept=["other"])
    assert [*found["kind"]] == ["ill", "well", None, None]
    assert [*found["tags"]] == [["well", "ill"], [], None, [None]]
    kept = with_class_names(table.to_pandas(), table, {"kind": NAMES}, kept=["kind"])
    pd.testing.assert_frame_equal(kept, table.to_pandas())


@pytest.mark.parametrize("cell", [2, -2, 0.5, "well", [0, 2]])
def test_a_number_without_a_name_is_refused_with_its_rows(cell: object) -> None:
    rows = [cell] * 7
    table = pyarrow.table({"kind": rows})
    with pytest.raises(NotAClass, match=r"kind holds .* in 7 rows: 1, 2, 3, 4, 5, \.\.\."):
        with_class_names(table.to_pandas(), table, {"kind": NAMES}, kept=())
