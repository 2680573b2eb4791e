"""Read files of SAS, SPSS and Stata, through `pyreadstat`.

It is used because pandas is wrong in places: it reads the 0 of a SAS transport file as 5.4e-79, and
merges two codes of SPSS that have the same label.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from privacy.errors import require_library
from sites.data.reading import UTF_8
from sites.data.source import TableFile
from sites.data.tables import BrokenFile, repeated_columns_error

Labels: TypeAlias = Mapping[Any, str]
Read: TypeAlias = Callable[..., tuple[pd.DataFrame, Any]]


def read_statistical_file(source: TableFile) -> pd.DataFrame:
    """Return the table of a file of SAS, SPSS or Stata.

    Guarantee: a value that the file itself calls missing (`.`, `.a` to `.z`, a value that SPSS
    declares as missing) is missing, and a date is a date. Where the file gives a label to every
    value that occurs in a column, the cells are the labels, and two values with the same label stay
    apart: `yes (1)` and `yes (2)`. Where it gives labels to some of the values only, or where
    `codes:COLUMN` was said, the cells are the values. SAS keeps labels in another file, which is
    not read. Rows count from 1.

    Raises:
        MissingLibrary: `pyreadstat` is not installed.
        BrokenFile: The file is not one of its ending, is cut off, or is in another encoding.
    """
    path = source.path
    read = _reader_for(path)
    encoding = None if source.encoding == UTF_8 else source.encoding
    frame, facts = read(str(path), encoding=encoding)
    names = [str(name) for name in frame.columns]
    if len({*names}) < len(names):
        raise repeated_columns_error(names, path)
    values = {source.reading.columns.get(name, name) for name in source.reading.codes}
    return _with_labels(frame, facts.variable_value_labels, values=values)


def _reader_for(path: Path) -> Read:
    require_library(f"to read {path}", "pyreadstat", extra="data")
    import pyreadstat  # imported here, as few sites have such files

    readers: Mapping[str, Read] = {
        ".sav": pyreadstat.read_sav,
        ".zsav": pyreadstat.read_sav,
        ".dta": pyreadstat.read_dta,
        ".xpt": pyreadstat.read_xport,
        ".sas7bdat": pyreadstat.read_sas7bdat,
    }
    read = readers[path.suffix.lower()]

    def checked(*said: str, **named: str | None) -> tuple[pd.DataFrame, Any]:
        try:
            return read(*said, **named)
        except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, UnicodeError) as error:
            raise BrokenFile(
                f"{path} cannot be read as {path.suffix}: {error}; export or copy the file again, "
                "or say its encoding, such as encoding:cp1252"
            ) from error

    return checked


def _with_labels(
    frame: pd.DataFrame, labels: Mapping[str, Labels], *, values: Collection[str]
) -> pd.DataFrame:
    """Return the table with labels in the place of values.

    Args:
        frame: The table, with values as its cells.
        labels: The label of a value, by column.
        values: The columns whose cells are to stay values.
    """
    changed = {}
    for name, of_column in labels.items():
        present = {*frame[name].dropna().unique()} if name in frame else set()
        if present and name not in values and present <= {*of_column}:
            meanings = _distinct_labels(of_column)
            changed[name] = frame[name].map(meanings).astype(object)
    return frame.assign(**changed).set_axis(pd.RangeIndex(1, len(frame) + 1))


def _distinct_labels(labels: Labels) -> dict[Any, str]:
    """Return the label of each value, with the value behind it where two have the same one."""
    written = {value: label.strip() for value, label in labels.items()}
    times = Counter(written.values())
    return {
        value: label if times[label] == 1 else f"{label} ({_plain(value)})"
        for value, label in written.items()
    }


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
