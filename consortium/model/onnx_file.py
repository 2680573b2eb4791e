"""Write a model of a table as an ONNX file: the one module that loads the library `onnx`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from consortium.model.card import RunOutcome, Subject, limit_lines
from sites.graphs.graph import (
    LEARNING,
    LEARNING_OPERATORS,
    OPERATORS,
    Graph,
    GraphInput,
    GraphOutput,
    Node,
)
from sites.graphs.kinds.registry import NoOnnx
from sites.schema.tables import Schema

if TYPE_CHECKING:
    from onnx import NodeProto, ValueInfoProto

# Of the file's form: the last one that goes with the operators, so that older programs read it.
_FORM = 8
_RECORDS = "records"


def model_facts(model: Subject, schema: Schema, run: RunOutcome | None) -> dict[str, str]:
    """Return what the file says of itself: whose model it is, of which columns, and its limits.

    Args:
        model: The model.
        schema: Of its table.
        run: What its run came to, if that is known.
    """
    label = schema.label
    return {
        "consortium": model.charter.name,
        "charter": model.charter.fingerprint,
        "task": model.charter.task,
        "schema": schema.name,
        "schema-digest": schema.fingerprint,
        "columns": json.dumps([item.model_dump(mode="json") for item in schema.features]),
        "label": label.model_dump_json(),
        "classes": json.dumps(list(getattr(label, "classes", ()))),
        "unit": getattr(label, "unit", ""),
        "model-digest": model.digest,
        "learner": str(model.results.get("kind", model.config.table_model.name)),
        "run": run.name if run else "",
        "limits": " ".join(limit_lines(model, run.judged if run else None)),
    }


def onnx_bytes(graph: Graph, facts: Mapping[str, str]) -> bytes:
    """Return the file.

    Guarantee: it passes the library's own check, and the same graph and facts give the same bytes.

    Args:
        graph: The model.
        facts: What the file says of itself, by name (`metadata_props`).

    Raises:
        NoOnnx: The library is not installed.
    """
    try:
        from onnx import checker, helper, numpy_helper
    except ImportError as error:
        raise NoOnnx(
            "to write ONNX, the library onnx is needed: pip install 'consortium-fl[onnx]'"
        ) from error
    nodes = [_node(one) for one in graph.nodes]
    # An output is another name of the tensor that holds it.
    nodes += [helper.make_node("Identity", [one.tensor], [one.name]) for one in graph.outputs]
    drawn = helper.make_graph(
        nodes,
        "model",
        [_input(one) for one in graph.inputs],
        [_output(one) for one in graph.outputs],
        [
            numpy_helper.from_array(np.asarray(values), name)
            for name, values in graph.constants.items()
        ],
    )
    model = helper.make_model(
        drawn,
        ir_version=_FORM,
        producer_name="consortium",
        opset_imports=[
            helper.make_opsetid("", OPERATORS),
            helper.make_opsetid(LEARNING, LEARNING_OPERATORS),
        ],
    )
    helper.set_model_props(model, dict(facts))
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _node(one: Node) -> "NodeProto":
    from onnx import helper

    made = helper.make_node(one.operator, list(one.inputs), [one.output], domain=one.domain)
    made.attribute.extend(
        helper.make_attribute(name, value) for name, value in one.attributes.items()
    )
    return made


def _input(one: GraphInput) -> "ValueInfoProto":
    from onnx import TensorProto, helper

    held = TensorProto.DOUBLE if one.holds == "numbers" else TensorProto.STRING
    return helper.make_tensor_value_info(one.name, held, [_RECORDS], doc_string=one.says)


def _output(one: GraphOutput) -> "ValueInfoProto":
    from onnx import TensorProto, helper

    shape: list[str | int | None] = [_RECORDS]
    shape += [len(one.columns)] if one.columns else []
    return helper.make_tensor_value_info(one.name, TensorProto.DOUBLE, shape, doc_string=one.says)
