"""From a site's source to records by column; pandas is loaded where a table is read, not before."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sites.data.holdout import given_hold_out, hold_out
from sites.data.source import DataSource
from sites.data.tables import read
from sites.data.validation import validate
from sites.schema.tables import Schema
from sites.tasks.tabular.data import Columns, Table, TableData


def load_table(source: DataSource, schema: Schema, *, n_classes: int, seed: int) -> TableData:
    """Read and validate a site's records, and hold out a share of its persons.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTable, MissingColumns: The table breaks the schema.
    """
    frame = validate(read(source), schema, split=source.split)
    table = table_of(frame, schema)
    if source.split is None:
        held_out = hold_out(table.persons, table.classes(n_classes), seed=seed)
    else:
        held_out = given_hold_out(table.persons, (frame[source.split] == "test").to_numpy())
    return TableData(training=table.at(~held_out), held_out=table.at(held_out), n_classes=n_classes)


def load_columns(source: DataSource, schema: Schema) -> Columns:
    """Read and validate the features of a table without labels.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTable, MissingColumns: The table breaks the schema.
    """
    return columns_of(validate(read(source), schema, labelled=False), schema)


def columns_of(frame: pd.DataFrame, schema: Schema) -> Columns:
    """Return the features of a table that `sites.data.validation.validate` passed."""
    return {item.name: _values(frame[item.name]) for item in schema.features}


def table_of(frame: pd.DataFrame, schema: Schema) -> Table:
    """Return a table that `sites.data.validation.validate` passed as records by column."""
    return Table(
        columns=columns_of(frame, schema),
        labels=_values(frame[schema.label.column]),
        persons=frame[schema.person].to_numpy(dtype=str),
    )


def _values(column: "pd.Series[Any]") -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64)
