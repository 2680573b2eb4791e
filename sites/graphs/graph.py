"""A model as a graph of operators from the columns of a table to what it predicts.

Operators are those of ONNX, and mean what they mean there (operator set 17, and set 3 of its
machine learning domain). Nothing here needs the library: a learner describes its graph, and
`consortium.model.onnx_file` writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

OPERATORS = 17
LEARNING_OPERATORS = 3
LEARNING = "ai.onnx.ml"

Holds: TypeAlias = Literal["numbers", "texts"]
Attribute: TypeAlias = str | int | list[str] | list[int] | list[float]
Constant: TypeAlias = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator.

    Args:
        operator: Its name.
        inputs: Names of tensors.
        output: The name of its tensor.
        domain: Of the operator; empty for that of ONNX itself.
        attributes: By name.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    domain: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """A column as it is in the table, shape (n,).

    Args:
        name: Of the column.
        holds: Numbers are float64, NaN where missing; texts are strings, empty where missing.
        says: What it may hold, for people.
    """

    name: str
    holds: Holds
    says: str


@dataclass(frozen=True, kw_only=True)
class GraphOutput:
    """What the graph says of each record, float64.

    Args:
        name: For callers.
        tensor: The tensor that it is.
        columns: What each of its columns is, shape (n, len(columns)); none for shape (n,).
        says: What it is, for people.
    """

    name: str
    tensor: str
    columns: tuple[str, ...] = ()
    says: str


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A model from the columns of a table to its outputs, record by record.

    Guarantee: what it says of a record depends on that record alone. It is NaN where the schema
    allows the record's values not: a number beyond its bounds, a value that is not declared, a
    missing one where none may be missing.

    Args:
        inputs: The columns, in the order of the schema.
        nodes: Each after those whose tensors it reads.
        constants: Tensors that do not depend on records, by name.
        outputs: No two of the same name, and none with the name of an input.
    """

    inputs: tuple[GraphInput, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    outputs: tuple[GraphOutput, ...]


@dataclass(frozen=True)
class Draft:
    """A graph while operators are added to it; names of tensors begin with a capital letter.

    Names of columns do not, so that no tensor is taken for a column.
    """

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)

    def add_constant(self, values: object) -> str:
        """Add a constant; return its tensor."""
        name = f"Constant_{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add an operator; return its tensor."""
        name = f"{operator}_{len(self.nodes)}"
        made = Node(
            operator=operator, inputs=inputs, output=name, domain=domain, attributes=attributes
        )
        self.nodes.append(made)
        return name

    def add_product(self, left: str, factor: float) -> str:
        """Multiply by a number; return the tensor."""
        return self.add("Mul", left, self.add_constant(factor))

    def add_sum(self, left: str, summand: float) -> str:
        """Add a number; return the tensor."""
        return self.add("Add", left, self.add_constant(summand))

    def add_column(self, tensor: str) -> str:
        """Make a column, shape (n, 1), of a row, shape (n,); return the tensor."""
        return self.add("Unsqueeze", tensor, self.add_constant(np.array([1])))

    def add_row(self, tensor: str) -> str:
        """Make a row, shape (n,), of a column, shape (n, 1); return the tensor."""
        return self.add("Squeeze", tensor, self.add_constant(np.array([1])))

    def add_float64(self, tensor: str) -> str:
        """Convert to float64; return the tensor."""
        return self.add("Cast", tensor, to=FLOAT64)

    def add_float32(self, tensor: str) -> str:
        """Round to float32; return the tensor."""
        return self.add("Cast", tensor, to=FLOAT32)

    def add_clipped(self, tensor: str, low: float, high: float) -> str:
        """Limit float64 numbers to a range; return the tensor."""
        return self.add("Clip", tensor, self.add_constant(low), self.add_constant(high))

    def add_gathered(self, table: object, places: str) -> str:
        """Look places up in a table of float64 numbers; return the tensor."""
        return self.add("Gather", self.add_constant(np.asarray(table, np.float64)), places)


# As ONNX numbers the types of tensors.
FLOAT32, INT64, FLOAT64 = 1, 7, 11
