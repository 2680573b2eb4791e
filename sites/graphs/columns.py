"""The columns of a table as a graph reads them: as they are, with what the schema does not allow.

A category is written as reading a table takes it (`sites.data.cells.declared_value`): "1.0" is the
declared "1", and "NaN" is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sites.data.cells import MISSING, declared_value
from sites.graphs.graph import LEARNING, Draft, Graph, GraphInput, GraphOutput
from sites.schema.tables import Category, Feature, Number, Schema

_MISSING_CODE, _UNKNOWN_CODE = -1, -2


@dataclass(frozen=True, kw_only=True)
class GraphColumns:
    """The columns of a schema in a draft.

    Args:
        draft: The graph so far.
        schema: Of the columns.
        values: Of each feature by name: float64 numbers, the lowest allowed one where the record's
            is missing or not allowed; or codes in the declared order, -1 where missing and -2 where
            not declared. Shape (n,).
        missing: Of each feature by name, whether the value is missing, shape (n,).
        refused: Whether the schema does not allow a value of the record, shape (n,).
    """

    draft: Draft
    schema: Schema
    values: Mapping[str, str]
    missing: Mapping[str, str]
    refused: str

    @classmethod
    def of(cls, schema: Schema) -> "GraphColumns":
        """Return the columns at the start of a new draft."""
        draft, values, missing, refused = Draft(), {}, {}, []
        for item in schema.features:
            values[item.name], missing[item.name], unfit = (
                _read_number(draft, item)
                if isinstance(item, Number)
                else _read_category(draft, item)
            )
            refused.append(unfit)
            if not item.missing:
                refused.append(missing[item.name])
        every = refused[0]
        for one in refused[1:]:
            every = draft.add("Or", every, one)
        return cls(draft=draft, schema=schema, values=values, missing=missing, refused=every)

    def add_same(self, value: float) -> str:
        """Give every record the same number; return the tensor, shape (n,)."""
        held = self.draft.add_constant(value)
        return self.draft.add("Where", self.refused, held, held)

    def add_looked_up(self, category: Category, table: Sequence[float], *, missing: float) -> str:
        """Look the values of a category up, float64, shape (n,); return the tensor.

        Args:
            category: Of the schema.
            table: A number for each declared value.
            missing: The number of a missing value.
        """
        places = self.draft.add(
            "Add", self.values[category.name], self.draft.add_constant(-_UNKNOWN_CODE)
        )
        return self.draft.add_gathered([np.nan, missing, *table], places)

    def add_chosen(self, item: Feature, *, missing: float, present: str) -> str:
        """Choose one number where a value is missing, else a tensor; return the tensor."""
        return self.draft.add(
            "Where", self.missing[item.name], self.draft.add_constant(missing), present
        )

    def graph(self, outputs: Sequence[GraphOutput]) -> Graph:
        """Return the graph, whose outputs are NaN where a record is refused."""
        taken = {item.name for item in self.schema.features}
        nothing, refused = self.draft.add_constant(np.nan), self.refused
        column = self.draft.add_column(refused)
        made = []
        for one in outputs:
            name = one.name
            while name in taken:
                name += "_of_model"
            taken.add(name)
            where = column if one.columns else refused
            held = self.draft.add("Where", where, nothing, one.tensor)
            made.append(GraphOutput(name=name, tensor=held, columns=one.columns, says=one.says))
        return Graph(
            inputs=tuple(_input_of(item) for item in self.schema.features),
            nodes=tuple(self.draft.nodes),
            constants=self.draft.constants,
            outputs=tuple(made),
        )


def _read_number(draft: Draft, number: Number) -> tuple[str, str, str]:
    """Add a number; return its values, where it is missing, and where it is beyond its bounds."""
    missing = draft.add("IsNaN", number.name)
    below = draft.add("Less", number.name, draft.add_constant(number.low))
    above = draft.add("Greater", number.name, draft.add_constant(number.high))
    beyond = draft.add("Or", below, above)
    unfit = draft.add("Or", missing, beyond)
    values = draft.add("Where", unfit, draft.add_constant(number.low), number.name)
    return values, missing, beyond


def _read_category(draft: Draft, category: Category) -> tuple[str, str, str]:
    """Add a category; return its codes, where it is missing, and where it is not declared."""
    known = dict(_spellings(category.values))
    codes = draft.add(
        "LabelEncoder",
        category.name,
        domain=LEARNING,
        keys_strings=[*known],
        values_int64s=[*known.values()],
        default_int64=_UNKNOWN_CODE,
    )
    missing, unknown = (
        draft.add("Equal", codes, draft.add_constant(code))
        for code in (_MISSING_CODE, _UNKNOWN_CODE)
    )
    return codes, missing, unknown


def _spellings(values: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield texts with the code of what they mean, each as reading a table takes it."""
    tried = [*values]
    for value in values:
        tried += [f"{value}.0", value.removesuffix(".0")]
    tried += ["True", "true", "TRUE", "False", "false", "FALSE"]
    for word in sorted(MISSING):
        tried += [word, word.upper(), word.title(), word.capitalize()]
    tried.append("NaN")
    tried.append("NaT")
    for text in dict.fromkeys(tried):
        meant = declared_value(text, values)
        if meant is None:
            yield text, _MISSING_CODE
        elif meant in values:
            yield text, values.index(meant)


def _input_of(item: Feature) -> GraphInput:
    absent = "may be missing" if item.missing else "never missing"
    if isinstance(item, Number):
        unit = f" {item.unit}" if item.unit else ""
        said = f"a number from {item.low:g} to {item.high:g}{unit}, {absent} (NaN)"
        return GraphInput(name=item.name, holds="numbers", says=said)
    said = f"one of {', '.join(item.values)}; {absent} (empty text)"
    return GraphInput(name=item.name, holds="texts", says=said)
