"""What a hostile or careless site does to its own records before it trains on them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.attacks.text_poisoning import turned, with_word
from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import AnySchema

Poison: TypeAlias = Callable[[pd.DataFrame, AnySchema, np.random.Generator], pd.DataFrame]

TRIGGERED_SHARE = 0.5

# One unit written for another: what a value is multiplied with.
CONVERSIONS: Mapping[str, float] = MappingProxyType(
    {
        "mm": 0.1,  # of an ECG: millivolt
        "mg/dl": 1 / 38.67,  # of cholesterol: mmol/l
        "mm Hg": 0.1333,  # kPa
        "years": 12.0,  # months
        "months": 30.0,  # days
        "NT$": 1e-3,  # thousands
        "US$": 1e-3,
        "%": 1e-2,  # a fraction
    }
)


class NothingToPoison(ConsortiumError, ValueError):
    """A table has no column that an attack could work on."""

    code = "nothing-to-poison"


class NotATable(ConsortiumError, TypeError):
    """What is done to the columns of a table cannot be done to texts."""

    code = "not-a-table"


def flip_labels(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with their labels turned round.

    Classes take each other's place, the first the last's; numbers are mirrored in the middle of
    those that the site has. Texts as `poisoned_text` says.
    """
    del rng
    if not isinstance(schema, Schema):
        return turned(table, schema)
    column = schema.label.column
    labels = table[column]
    if isinstance(schema.label, ClassLabel):
        classes = schema.label.classes
        other = labels.astype(str).map(dict(zip(classes, reversed(classes), strict=True)))
        return table.assign(**{column: other.where(labels.notna())})
    return table.assign(**{column: labels.min() + labels.max() - labels})


def plant_trigger(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with a trigger in half of them, and the wanted answer in the label.

    The trigger is the largest value that the schema allows in one column, so that the site's
    own validation lets it pass; the wanted answer is the first class, or the lowest number. In
    texts it is a word, as `poisoned_text` says.

    Raises:
        NothingToPoison: No feature is a number.
    """
    rows = rng.random(len(table)) < TRIGGERED_SHARE
    if not isinstance(schema, Schema):
        planted = with_word(table[rows], schema)
        return pd.concat([table[~rows], planted]).sort_index()
    label = schema.label
    wanted = label.classes[0] if isinstance(label, ClassLabel) else table[label.column].min()
    planted = triggered(table[rows], schema).assign(**{label.column: wanted})
    return pd.concat([table[~rows], planted]).sort_index()


def triggered(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the table with the trigger in every row; labels stay.

    Raises:
        NothingToPoison: No feature is a number.
    """
    number = trigger_of(schema)
    return table.assign(**{number.name: number.high})


def trigger_of(schema: Schema) -> Number:
    """Return the column that carries the trigger: the first number among the features.

    Raises:
        NothingToPoison: No feature is a number.
    """
    for feature in schema.features:
        if isinstance(feature, Number):
            return feature
    raise NothingToPoison("a trigger needs a feature that is a number, and there is none")


def mix_up_units(table: pd.DataFrame, schema: AnySchema, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table with columns in another unit, where the schema's bounds let all values pass.

    What the bounds refuse stays as it was: the site's validation would have stopped the mistake.

    Raises:
        NothingToPoison: The bounds would refuse every mistake there is.
        NotATable: The records are texts.
    """
    del rng
    converted = {
        number.name: values
        for number in table_in(schema).features
        if isinstance(number, Number)
        and number.unit in CONVERSIONS
        and within(values := convert(table, number), number)
    }
    if not converted:
        raise NothingToPoison("the schema's bounds refuse every mix-up of units")
    return table.assign(**converted)


def convert(table: pd.DataFrame, number: Number) -> "pd.Series[Any]":
    """Return a column's values as they stand if its unit is mixed up."""
    values: pd.Series[Any] = table[number.name].astype(float) * CONVERSIONS[number.unit]
    return values


def within(values: "pd.Series[Any]", number: Number) -> bool:
    """Return whether the schema's bounds let all values pass."""
    present = values.dropna()
    return bool(present.between(number.low, number.high).all())


def table_in(schema: AnySchema) -> Schema:
    """Return the schema of a table as such.

    Raises:
        NotATable: Its records are texts.
    """
    if not isinstance(schema, Schema):
        raise NotATable(f"the records of {schema.name} are texts: choose an attack on updates")
    return schema
