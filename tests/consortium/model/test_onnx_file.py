"""The file is what ONNX says a file is, the same bytes each time, and needs one library."""

import subprocess
import sys

import numpy as np
import onnx
import pytest

from consortium.model.card import Subject
from consortium.model.onnx_file import model_facts, onnx_bytes
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import Graph, GraphOutput
from sites.graphs.kinds.registry import NoOnnx
from sites.schema.tables import Category, ClassLabel, Number, Schema
from tests.consortium.model.test_card import subject

SCHEMA = Schema(
    name="ward",
    person="person",
    features=(
        Number(name="age", low=0, high=120, unit="years"),
        Category(name="sex", values=("f", "m"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)


def graph() -> Graph:
    columns = GraphColumns.of(SCHEMA)
    tensors = [columns.values["age"], columns.add_looked_up(SCHEMA.features[1], [0, 1], missing=2)]  # type: ignore[arg-type]
    both = columns.draft.add("Concat", *map(columns.draft.add_column, tensors), axis=1)
    return columns.graph(
        [
            GraphOutput(name="age_again", tensor=tensors[0], says="in years"),
            GraphOutput(name="both", tensor=both, columns=("age", "sex"), says="side by side"),
        ]
    )


def test_inputs_are_the_columns_and_outputs_have_their_shapes() -> None:
    model = onnx.load_model_from_string(onnx_bytes(graph(), {"run": "runs/one"}))
    kinds = {one.name: one.type.tensor_type for one in [*model.graph.input, *model.graph.output]}
    assert kinds["age"].elem_type == onnx.TensorProto.DOUBLE
    assert kinds["sex"].elem_type == onnx.TensorProto.STRING
    shapes = {
        name: [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
        for name, kind in kinds.items()
    }
    assert shapes == {
        "age": ["records"],
        "sex": ["records"],
        "age_again": ["records"],
        "both": ["records", 2],
    }
    assert {one.domain: one.version for one in model.opset_import} == {"": 17, "ai.onnx.ml": 3}
    assert {one.key: one.value for one in model.metadata_props} == {"run": "runs/one"}
    assert model.graph.input[0].doc_string == "a number from 0 to 120 years, never missing (NaN)"


def test_the_same_model_gives_the_same_bytes() -> None:
    facts = {"b": "2", "a": "1"}
    assert onnx_bytes(graph(), facts) == onnx_bytes(graph(), facts)


def test_a_file_says_whose_model_it_is_and_what_it_is_not_for() -> None:
    model: Subject = subject()
    facts = model_facts(model, SCHEMA, None)
    assert facts["schema-digest"] == SCHEMA.fingerprint
    assert facts["model-digest"] == model.digest
    assert facts["charter"] == model.charter.fingerprint
    assert (facts["run"], facts["unit"]) == ("", "")
    assert "It must not decide by itself" in facts["limits"]


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NoOnnx, match=r"pip install 'consortium-fl\[onnx\]'"):
        onnx_bytes(graph(), {})


def test_nothing_loads_the_library_before_it_is_needed() -> None:
    """A site keeps its models without it."""
    loaded = (
        "import sys, consortium.model.files, consortium.model.onnx_file\n"
        "print('onnx' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", loaded], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "False"


def test_numbers_of_constants_keep_their_digits() -> None:
    made = graph()
    model = onnx.load_model_from_string(onnx_bytes(made, {}))
    held = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    assert held.keys() == made.constants.keys()
    for name, values in made.constants.items():
        np.testing.assert_array_equal(held[name], values)
        assert held[name].dtype == np.asarray(values).dtype
