"""Check a table against the agreed schema, and say which cells break it."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy.errors import ConsortiumError, number_of
from sites.codes.systems import NotACode, group_of
from sites.data.cells import (
    MIXED_DECIMALS,
    PRESENT,
    SHOWN,
    Cells,
    Violation,
    cell_text,
    code_text,
    declared_value,
    mixes_decimals,
    text_if_present,
)
from sites.data.record_columns import (
    are_clear_persons,
    person_violations,
    persons_of,
    side_violations,
)
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema

Item: TypeAlias = Number | Category | ClassLabel | NumberLabel

_A_NUMBER = "a number"
_FINITE = "a finite number"
_WRITTEN_OTHERWISE = re.compile(r"(?=.*\d)[-+\d.,:/'\u2019 \u00a0T]+")
_ADVICE_ON_CODES = "correct it (as text: a number loses zeros), leave it empty where it is missing"
_WHOLE = re.compile(r"-?\d+(\.0)?")


class BadTable(ConsortiumError, ValueError, code="bad-table"):
    """Cells of a table break the schema.

    Args:
        violations: What is wrong, column by column.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        columns = len({item.column for item in violations})
        lines = "".join(f"\n- {item}" for item in violations)
        super().__init__(
            f"the table breaks the schema in {number_of(columns, 'column')}:{lines}",
            columns=columns,
            values=sum(item.count for item in violations),
        )
        self.violations = tuple(violations)


class MissingColumns(ConsortiumError, ValueError, code="missing-columns"):
    """Columns of the schema are not in the table."""


def validate_table(
    frame: pd.DataFrame, schema: Schema, *, labelled: bool = True, split: str | None = None
) -> pd.DataFrame:
    """Return the parsed columns of the schema; everything that is wrong is reported at once.

    Guarantee: numbers are finite, within their bounds and float64. Categories and classes are
    pandas categories in the declared order. A value is missing (NaN) only where the schema allows
    it. Persons are text, told apart as by `sites.data.record_columns.persons_of`. Rows, their
    order and index are those of `frame`; other columns are left out.

    A cell is missing if it is empty or one of `sites.data.cells.MISSING`, unless the schema
    declares that text as a value. "1", 1, 1.0 and True are the same category where one of them is
    declared.

    Args:
        frame: What `sites.data.tables.read_table` returned.
        schema: The agreed schema.
        labelled: Whether label and person are needed.
        split: The column that says `train` or `test`, if there is one.

    Raises:
        MissingColumns: A column is absent; the message suggests the nearest name.
        BadTable: Cells break the schema; the message says which, and what to do.
    """
    parsed = fitting_table(frame, schema, labelled=labelled, split=split)
    if parsed is not None:
        return parsed
    items = _schema_items(schema, labelled=labelled)
    needed = [*items, *_other_columns(schema, labelled, split)]
    _refuse_missing_columns(needed, frame, person=schema.person)
    cells = {name: _comparable_cells(frame[name], item) for name, item in items.items()}
    found = _broken_items(pd.DataFrame(cells), items)
    found += person_violations(frame[schema.person]) if labelled else []
    found += side_violations(frame[split]) if split else []
    raise BadTable([_with_advice_on_signs(one, frame) for one in found])


def _with_advice_on_signs(one: Violation, frame: pd.DataFrame) -> Violation:
    mixed = one.expected == _A_NUMBER and mixes_decimals(frame[one.column])
    return replace(one, advice=MIXED_DECIMALS) if mixed else one


def fitting_table(
    frame: pd.DataFrame, schema: Schema, *, labelled: bool = True, split: str | None = None
) -> pd.DataFrame | None:
    """Return what `validate_table` returns, or None where it refuses the table.

    That is quick: nothing is worked out about what is wrong.
    """
    items = _schema_items(schema, labelled=labelled)
    others = _other_columns(schema, labelled, split)
    if not {*items, *others} <= {*frame.columns}:
        return None
    parsed: dict[str, Cells] = {}
    for name, item in items.items():
        column = _parse_cells(frame[name], item)
        if column is None:
            return None
        parsed[name] = column
    if labelled:
        if not are_clear_persons(frame[schema.person]):
            return None
        parsed[schema.person] = persons_of(frame[schema.person])
    if split:
        if side_violations(frame[split]):
            return None
        parsed[split] = frame[split]
    return pd.DataFrame(parsed, copy=False)


def _other_columns(schema: Schema, labelled: bool, split: str | None) -> list[str]:
    return ([schema.person] if labelled else []) + ([split] if split else [])


def _broken_items(cells: pd.DataFrame, items: Mapping[str, Item]) -> list[Violation]:
    # Imported here: a table that fits the schema does not need it, and it takes a while.
    import pandera.pandas as pandera

    columns = {}
    for name, item in items.items():
        check, expected = _requirement(item)
        nullable = isinstance(item, Number | Category) and item.missing
        columns[name] = pandera.Column(
            checks=pandera.Check(check, error=expected), nullable=nullable
        )
    expectation = pandera.DataFrameSchema(columns)
    # Lazy, so that pandera collects the failures of all columns.
    try:
        expectation.validate(cells, lazy=True)
    except pandera.errors.SchemaErrors as error:
        return _violations(error.failure_cases, items)
    return []


def _schema_items(schema: Schema, *, labelled: bool) -> dict[str, Item]:
    items: dict[str, Item] = {item.name: item for item in schema.features}
    return items | {item.column: item for item in schema.label_columns} if labelled else items


def _refuse_missing_columns(needed: Sequence[str], frame: pd.DataFrame, *, person: str) -> None:
    columns = [str(name) for name in frame.columns]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise MissingColumns(
            f"the table lacks {number_of(len(missing), 'column')} of the schema: "
            + ", ".join(f"'{name}'{_hint(name, columns)}" for name in missing[:SHOWN])
            + "; add them, or say column:OURS=THEIRS for each that is called otherwise"
            + ("; persons:rows if each row is a person of its own" if person in missing else ""),
            columns=len(missing),
        )


def _hint(name: str, known: Sequence[str]) -> str:
    lowered = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f" (nearest is '{lowered[close[0]]}')" if close else ""


def _comparable_cells(column: Cells, item: Item) -> Cells:
    """Return the cells in the form that is checked: floats, or texts with None if missing."""
    match item:
        case Number() | NumberLabel():
            return _numbers_or_texts(column)
        case Category(codes=str()):
            return _grouped(column, item)
        case Category(values=values) | ClassLabel(classes=values):
            # Objects are mapped by their texts: 1, 1.0 and True are equal as keys of a dictionary,
            # but may be different categories. Distinct values are looked up once each.
            texts = column.map(cell_text) if column.dtype == object else column
            meanings = {cell: declared_value(cell_text(cell), values) for cell in texts.unique()}
            return texts.map(meanings).astype(object)


def _numbers_or_texts(column: Cells) -> Cells:
    """Return the cells as floats, and those that are neither numbers nor missing as texts."""
    if column.dtype == np.float64:
        return column
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.astype(np.float64)
    if column.dtype.kind in "mM":  # times and durations: pandas would turn them into nanoseconds
        return column.map(cell_text)
    column = _truths_as_texts(column)
    found = _as_numbers(column)
    texts = column[found.isna()].map(cell_text).map(text_if_present).dropna()
    numbers = _as_numbers(texts)  # without the blanks around them, of whatever kind
    found[numbers.index] = numbers
    wrong = texts[numbers.isna()]
    if wrong.empty:
        return found
    mixed = found.astype(object)
    mixed[wrong.index] = wrong
    return mixed


def _truths_as_texts(column: Cells) -> Cells:
    """Return the cells with truth values as texts: pandas would make numbers of them."""
    if column.dtype.kind == "b":
        return column.map(cell_text).astype(object)
    if column.dtype != object:
        return column
    truths = column.map(lambda cell: isinstance(cell, bool | np.bool_)).to_numpy(dtype=bool)
    return column.mask(truths, column.map(cell_text)) if truths.any() else column


def _requirement(item: Item) -> tuple[Callable[[Cells], "pd.Series[bool]"], str]:
    """Return a check of what the cells must be, missing ones aside, and the same in words."""
    match item:
        case Category(values=values, codes=str(codes), group=group):
            shown = ", ".join(values[:20]) + (", ..." if len(values) > 20 else "")
            return lambda cells: cells.isin(
                values
            ), f"a code of {codes} whose {group} is one of {shown}"
        case Category(values=values) | ClassLabel(classes=values):
            shown = ", ".join(values[:20]) + (", ..." if len(values) > 20 else "")
            return lambda cells: cells.isin(values), f"one of {shown}"
        case Number(low=low, high=high) | NumberLabel(low=low, high=high):
            # Type and range in one check, as each costs a millisecond. `_expectation` says
            # afterwards which of the two a cell fails.
            between = f"a number from {low:g} to {high:g}"
            return lambda cells: _as_numbers(cells).between(low, high), between


def _as_numbers(cells: Cells) -> Cells:
    return pd.to_numeric(cells, errors="coerce").astype("float64")


def _parse_cells(column: Cells, item: Item) -> "Cells | None":
    """Return the cells as numbers or declared categories; None if one of them is refused."""
    match item:
        case Number(low=low, high=high) | NumberLabel(low=low, high=high):
            numbers = _numbers_or_texts(column)
            if numbers.dtype != np.float64:
                return None
            values = numbers.to_numpy()
            fit = (values >= low) & (values <= high)
            if isinstance(item, Number) and item.missing:
                fit |= np.isnan(values)
            return numbers if fit.all() else None
        case Category(values=names) | ClassLabel(classes=names):
            coded = isinstance(item, Category) and item.codes is not None
            codes = _declared_codes(_grouped(column, item), names, exact=coded)
            lowest = -1 if isinstance(item, Category) and item.missing else 0
            if codes.min(initial=lowest) < lowest:
                return None
            parsed = pd.Categorical.from_codes(codes, dtype=_declared_type(tuple(names)))
            return pd.Series(parsed, index=column.index, name=column.name)


def _grouped(column: Cells, item: Category | ClassLabel) -> Cells:
    """Return the groups of codes where a category declares them; else the cells."""
    if not isinstance(item, Category) or item.codes is None:
        return column
    texts = column.astype(object).map(code_text)
    return texts.map({text: _meant_group(text, item) for text in texts.unique()}).astype(object)


def _meant_group(text: str, item: Category) -> str | None:
    """Return the declared group of a code; else the text, or None if it is missing."""
    if text in item.values or item.codes is None or item.group is None:
        return text
    try:
        group = group_of(item.codes, item.group, text)
    except NotACode:
        return text_if_present(text)
    return group if group in item.values else text


@lru_cache(maxsize=1_024)
def _declared_type(names: tuple[str, ...]) -> pd.CategoricalDtype:
    """Return the type of cells with these values; pandas takes a while to make one."""
    return pd.CategoricalDtype(list(names))


def _declared_codes(
    column: Cells, names: Sequence[str], *, exact: bool = False
) -> NDArray[np.int64]:
    """Return the code of each cell, shape (n,): -1 where it is missing, -2 where undeclared."""
    # Objects are told apart by their texts: 1, 1.0 and True are equal as they are.
    texts = column.map(cell_text) if column.dtype == object else column
    codes, distinct = pd.factorize(texts)
    known = {None: -1} | {name: code for code, name in enumerate(names)}
    # Exact, as the code 1 is not 001.
    meant = [
        known.get(text_if_present(cell) if exact else declared_value(cell_text(cell), names), -2)
        for cell in distinct
    ]
    return np.array([*meant, -1], np.int64)[codes]  # a code of -1 is that of no value


def _violations(failures: pd.DataFrame, items: Mapping[str, Item]) -> list[Violation]:
    found = []
    wanted = [
        _expectation(str(check), items.get(str(column)), cell)
        for column, check, cell in zip(
            failures["column"], failures["check"], failures["failure_case"], strict=True
        )
    ]
    by_kind = failures.assign(wanted=wanted).groupby(["column", "wanted"], sort=False)
    for (column, expected), cases in by_kind:
        first = cases.head(SHOWN)
        found.append(
            Violation(
                column=str(column),
                expected=str(expected),
                count=len(cases),
                rows=tuple(int(row) for row in first["index"]),
                values=tuple(
                    "" if expected == PRESENT else f" ({value!r})"
                    for value in first["failure_case"]
                ),
                advice=_advice(
                    str(expected), items.get(str(column)), str(first["failure_case"].iloc[0])
                ),
            )
        )
    return found


def _expectation(check: str, item: Item | None, cell: str | float) -> str:
    """Return what a cell that fails a check should have been."""
    if check == "not_nullable":
        return PRESENT
    if not isinstance(item, Number | NumberLabel):
        return check
    number = pd.to_numeric(cell, errors="coerce")
    return _A_NUMBER if np.isnan(number) else _FINITE if np.isinf(number) else check


def _advice(expected: str, item: Item | None, value: str) -> str:
    match item:
        case _ if expected == PRESENT:
            return "fill it in, leave the row out, or agree on a schema that lets it be missing"
        case Category(values=values) | ClassLabel(classes=values):
            name = item.name if isinstance(item, Category) else item.column
            coded = isinstance(item, Category) and item.codes
            advice = _ADVICE_ON_CODES if coded else f"use a declared value{_hint(value, values)}"
            return f"{advice}, or say values:{name}:THEIRS=OURS for each that means one"
        case _ if expected == _A_NUMBER:
            written = "; if numbers or dates are written so, check-data says what to type"
            return "correct it, or leave it empty where it is missing" + (
                written if _WRITTEN_OTHERWISE.fullmatch(value) else ""
            )
        case Number(name=name, missing=True) if expected != _FINITE and _WHOLE.fullmatch(value):
            whole = value.removesuffix(".0")
            return f"correct it, or say missing:{name}={whole} if that stands for a missing value"
        case Number(unit=unit) | NumberLabel(unit=unit) if expected != _FINITE:
            return "correct it" + (f"; the unit is {unit}" if unit else "")
        case _:
            return "correct it"
