"""The names that Hugging Face `datasets` gives to the numbers in a column (`ClassLabel`).

They stand beside the columns, in the notes of the file (`huggingface`) or in `dataset_info.json`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd
import pyarrow

NOTES = b"huggingface"
_SHOWN = 5
_NONE = -1  # the class of a record of which it is not known
Names: TypeAlias = Sequence[str]


class NotAClass(ValueError):
    """A number is none of its column's classes; the message says where it stands."""


def class_names(features: object) -> dict[str, Names]:
    """Return the names of the classes, by column, as a data set's `features` declare them.

    A column may hold one class a record, or a list of them.
    """
    found = features if isinstance(features, dict) else {}
    return {str(name): names for name, one in found.items() if (names := _names_of(one))}


def class_names_in(schema: pyarrow.Schema) -> dict[str, Names]:
    """Return the names of the classes, by column, as the notes of a file declare them."""
    notes = (schema.metadata or {}).get(NOTES)
    try:
        found = json.loads(notes) if notes else {}
    except (ValueError, RecursionError):
        return {}
    info = found.get("info") if isinstance(found, dict) else None
    return class_names(info.get("features") if isinstance(info, dict) else None)


def with_class_names(
    frame: pd.DataFrame, table: pyarrow.Table, names: Mapping[str, Names], *, kept: Collection[str]
) -> pd.DataFrame:
    """Return the table of a file with the names of classes in the place of their numbers.

    Guarantee: each number is the name that the file gives it; -1, which says that the class is not
    known, is missing.

    Args:
        frame: The table.
        table: The same, as it is in the file.
        names: The names of the classes, by column.
        kept: Columns whose cells are to stay numbers.

    Raises:
        NotAClass: A number has no name.
    """
    changed = {}
    for name, of_column in names.items():
        if name in kept or name not in table.column_names:
            continue
        cells = table.column(name).to_pylist()
        wrong = [row for row, cell in enumerate(cells, start=1) if not _is_named(cell, of_column)]
        if wrong:
            more = ", ..." if len(wrong) > _SHOWN else ""
            rows = "row" if len(wrong) == 1 else f"{len(wrong)} rows:"
            raise NotAClass(
                f"{name} holds a number that is none of its {len(of_column)} classes in {rows} "
                f"{', '.join(map(str, wrong[:_SHOWN]))}{more}"
            )
        changed[name] = pd.Series([_named(cell, of_column) for cell in cells], frame.index, object)
    return frame.assign(**changed)


def _names_of(feature: object) -> Names:
    if isinstance(feature, list):  # how a list was declared before version 2
        return _names_of(feature[0]) if len(feature) == 1 else ()
    if not isinstance(feature, dict):
        return ()
    if "feature" in feature:
        return _names_of(feature["feature"])
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else ()


def _is_named(cell: Any, names: Names) -> bool:  # noqa: ANN401 -- whatever a file holds
    if isinstance(cell, list):
        return all(_is_named(one, names) for one in cell)
    return cell is None or (isinstance(cell, int) and _NONE <= cell < len(names))


def _named(cell: Any, names: Names) -> Any:  # noqa: ANN401 -- as above
    if isinstance(cell, list):
        return [_named(one, names) for one in cell]
    return None if cell is None or cell == _NONE else names[cell]
