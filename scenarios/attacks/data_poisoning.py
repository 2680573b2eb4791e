"""Data poisoning of tables: what a hostile or careless site does to its records before training."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.attacks.text_poisoning import flip_text_labels, plant_trigger_word
from sites.schema.tables import Number, NumberLabel, Schema
from sites.schema.texts import AnySchema

Poison: TypeAlias = Callable[[pd.DataFrame, AnySchema, np.random.Generator], pd.DataFrame]

TRIGGERED_SHARE = 0.5

# Factor by which a value changes when it is written in another unit.
CONVERSIONS: Mapping[str, float] = MappingProxyType(
    {
        "mm": 0.1,  # ECG, to millivolt
        "mg/dl": 1 / 38.67,  # cholesterol, to mmol/l
        "mm Hg": 0.1333,  # to kPa
        "years": 12.0,  # to months
        "months": 30.0,  # to days
        "NT$": 1e-3,  # to thousands
        "US$": 1e-3,
        "%": 1e-2,  # to a fraction
    }
)


class NothingToPoison(ConsortiumError, ValueError, code="nothing-to-poison"):
    """A table has no column that the attack can change."""


class NotATable(ConsortiumError, TypeError, code="not-a-table"):
    """An attack on the columns of a table was asked for, and the records are texts."""


def flip_labels(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with their labels reversed.

    The order of classes is reversed, so that the first becomes the last. Numbers are mirrored at
    the middle of the site's own range. Texts: see `flip_text_labels`.
    """
    del rng
    if not isinstance(schema, Schema):
        return flip_text_labels(table, schema)
    column = schema.label.column
    labels = table[column]
    if not isinstance(schema.label, NumberLabel):
        classes = schema.label.classes
        other = labels.astype(str).map(dict(zip(classes, reversed(classes), strict=True)))
        # A missing label stays missing.
        return table.assign(**{column: other.where(labels.notna())})
    return table.assign(**{column: labels.min() + labels.max() - labels})


def plant_trigger(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with a trigger in half of them, labelled as the attacker wants.

    The trigger is the largest value that the schema allows in one column, so that it passes the
    site's own validation. The wanted label is the first class, or the lowest number. In texts the
    trigger is a word: see `plant_trigger_word`.

    Raises:
        NothingToPoison: No feature is a number.
    """
    rows = rng.random(len(table)) < TRIGGERED_SHARE
    if not isinstance(schema, Schema):
        planted = plant_trigger_word(table[rows], schema)
        return pd.concat([table[~rows], planted]).sort_index()
    # The attacker wants its own class for every record that carries the trigger.
    label = schema.label
    wanted = table[label.column].min() if isinstance(label, NumberLabel) else label.classes[0]
    planted = add_trigger(table[rows], schema).assign(**{label.column: wanted})
    return pd.concat([table[~rows], planted]).sort_index()


def add_trigger(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the table with the trigger in every row and its labels unchanged.

    Raises:
        NothingToPoison: No feature is a number.
    """
    number = trigger_column(schema)
    return table.assign(**{number.name: number.high})


def trigger_column(schema: Schema) -> Number:
    """Return the column that carries the trigger: the first number among the features.

    Raises:
        NothingToPoison: No feature is a number.
    """
    for feature in schema.features:
        if isinstance(feature, Number):
            return feature
    raise NothingToPoison("a trigger needs a feature that is a number, and the schema has none")


def mix_up_units(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table with columns in another unit, where all values still fit the schema.

    Other columns stay as they were: the site's validation would have caught the mistake.

    Raises:
        NothingToPoison: No column would still fit the schema.
        NotATable: The records are texts.
    """
    del rng
    converted = {
        number.name: values
        for number in require_table_schema(schema).features
        if isinstance(number, Number)
        and number.unit in CONVERSIONS
        and fits_bounds(values := convert_unit(table, number), number)
    }
    if not converted:
        raise NothingToPoison(
            "the schema's bounds refuse every mix-up of units: choose another attack"
        )
    return table.assign(**converted)


def convert_unit(table: pd.DataFrame, number: Number) -> "pd.Series[Any]":
    """Return a column's values in the unit that is mistaken for its own."""
    values: pd.Series[Any] = table[number.name].astype(float) * CONVERSIONS[number.unit]
    return values


def fits_bounds(values: "pd.Series[Any]", number: Number) -> bool:
    """Return whether all values are within the schema's bounds."""
    present = values.dropna()
    return bool(present.between(number.low, number.high).all())


def require_table_schema(schema: AnySchema) -> Schema:
    """Return the schema if it describes a table.

    Raises:
        NotATable: It describes texts.
    """
    if not isinstance(schema, Schema):
        raise NotATable(f"the records of {schema.name} are texts: choose an attack on updates")
    return schema
