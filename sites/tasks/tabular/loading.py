"""Load a site's table as records by column.

It is a module of its own so that pandas is imported only in processes that read a table.
"""

import logging
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sites.data.agreed_columns import agreed_columns
from sites.data.cells import cell_text, declared_value
from sites.data.guesses import notice_of_thousands
from sites.data.holdout import PersonRecords, Sides
from sites.data.mapped.places import places_named
from sites.data.reading import AS_DECLARED, UTF_8
from sites.data.source import DataSource, TableFile
from sites.data.tables import read_table
from sites.data.typed_tables import read_typed_table
from sites.data.validation import BadTable, fitting_table, validate_table
from sites.plans import Labels
from sites.schema.tables import EventTimeLabel, NumberLabel, Schema
from sites.tasks.tabular.data import Columns, Table, TableData
from sites.tasks.tabular.kept_tables import ReadTable, divided_table

_LOG = logging.getLogger(__name__)


def load_table(source: DataSource, schema: Schema, *, n_classes: int, sides: Sides) -> TableData:
    """Return a site's validated records, each person on the side that `sides` says.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTable, MissingColumns: The table breaks the schema.
        ConsortiumError: A person is on both sides, or on another one than before.
    """
    read = partial(_read_table, source, schema, n_classes=n_classes)
    found = divided_table(source, schema, read, sides.held_out)
    thousands = notice_of_thousands(source, schema)
    if thousands:
        _LOG.warning("%s", thousands)
    return found


def _read_table(source: DataSource, schema: Schema, *, n_classes: int) -> ReadTable:
    frame = read_valid_table(source, schema, split=source.split)
    table = table_of(frame, schema)
    records = PersonRecords(
        persons=table.persons,
        places=frame.index.to_numpy(),
        strata=table.classes(n_classes),
        given=None if source.split is None else (frame[source.split] == "test").to_numpy(),
    )
    return ReadTable(table=table, records=records, n_classes=n_classes)


def load_period(source: DataSource, schema: Schema, *, n_classes: int) -> TableData:
    """Return the records of a later period, each of them on both sides: nobody trains on them.

    A record whose label is still missing has the label -1, or NaN where it is a number.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTable, MissingColumns: The table breaks the schema but for missing labels.
    """
    try:
        table = table_of(read_valid_table(source, schema), schema)
    except BadTable:
        table = _table_with_gaps(source, schema)
    return TableData(training=table, held_out=table, n_classes=n_classes)


def _table_with_gaps(source: DataSource, schema: Schema) -> Table:
    """Return records of which some have no label: a declared one stands for it while they are read.

    Raises:
        BadTable, MissingColumns: As `load_period` says.
    """
    label = schema.label
    with places_named(source):
        frame = read_agreed_table(source, schema)
        if isinstance(label, EventTimeLabel) or label.column not in frame:
            return table_of(validate_table(frame, schema), schema)
        classes = () if isinstance(label, NumberLabel) else label.classes
        texts = frame[label.column].map(cell_text)
        gaps = texts.map(lambda text: declared_value(text, classes) is None).to_numpy(dtype=bool)
        stand_in = label.low if isinstance(label, NumberLabel) else label.classes[0]
        filled = frame[label.column].astype(object).mask(gaps, stand_in)
        found = validate_table(frame.assign(**{label.column: filled}), schema)
    table = table_of(found, schema)
    labels = table.labels.copy()
    labels[gaps] = np.nan if isinstance(label, NumberLabel) else -1
    return replace(table, labels=labels)


def load_columns(source: DataSource, schema: Schema) -> Columns:
    """Return the validated features of a table without labels.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTable, MissingColumns: The table breaks the schema.
    """
    return columns_of(read_valid_table(source, schema, labelled=False), schema)


def read_valid_table(
    source: DataSource, schema: Schema, *, labelled: bool = True, split: str | None = None
) -> pd.DataFrame:
    """Return the valid table of a source (`sites.data.validation.validate_table`).

    A clean file is read in one typed pass. Only if something does not fit, the exact pass reads
    each cell as it is written, and says which break the schema.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTexts: JSON lines hold half a character.
        BadResources: FHIR resources cannot be made into cells.
        BadTable, MissingColumns: The table breaks the schema.
    """
    if isinstance(source, TableFile) and source.reading == AS_DECLARED and source.encoding == UTF_8:
        typed = read_typed_table(source, schema, labelled=labelled, split=split)
        if typed is not None:
            fitting = fitting_table(typed, schema, labelled=labelled, split=split)
            if fitting is not None:
                return fitting
    with places_named(source):
        frame = read_agreed_table(source, schema, labelled=labelled)
        return validate_table(frame, schema, labelled=labelled, split=split)


def read_agreed_table(source: DataSource, schema: Schema, *, labelled: bool = True) -> pd.DataFrame:
    """Return a source's table with the schema's columns, read as its words say.

    Raises:
        UnreadableSource, BadReading, BadTable, MissingColumns: It cannot be read so.
    """
    beside = [source.split] if source.split else []
    frame = read_table(source)
    return agreed_columns(frame, source.reading, schema, labelled=labelled, beside=beside)


def columns_of(frame: pd.DataFrame, schema: Schema) -> Columns:
    """Return the features of a table as `sites.data.validation.validate_table` returns it."""
    return {item.name: _values(frame[item.name]) for item in schema.features}


def table_of(frame: pd.DataFrame, schema: Schema) -> Table:
    """Return the records of a table as `sites.data.validation.validate_table` returns it."""
    return Table(
        columns=columns_of(frame, schema),
        labels=_labels(frame, schema),
        persons=frame[schema.person].to_numpy(dtype=str),
    )


def _labels(frame: pd.DataFrame, schema: Schema) -> Labels:
    """Return the label, shape (n,), or what its columns hold side by side, shape (n, 2)."""
    columns = [_values(frame[item.column]) for item in schema.label_columns]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1).astype(np.float64)


def _values(column: "pd.Series[Any]") -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64)
