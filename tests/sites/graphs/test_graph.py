"""A draft becomes a graph whose tensors are told from columns."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.graphs.graph import Draft, Graph, GraphInput, GraphOutput
from sites.schema.tables import NAME
from tests.graph_runs import run_raw


@given(st.lists(st.sampled_from(["Neg", "Abs", "Exp"]), max_size=6))
def test_no_tensor_has_the_name_of_another_or_of_a_column(operators: list[str]) -> None:
    draft, tensor = Draft(), "x"
    for one in operators:
        tensor = draft.add_sum(draft.add(one, tensor), 1.0)
    names = [*(node.output for node in draft.nodes), *draft.constants]
    assert len(set(names)) == len(names)
    assert not any(re.match(NAME, name) for name in names)


@given(st.lists(st.floats(-1e6, 1e6), max_size=5), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_each_step_is_the_arithmetic_that_it_says(values: list[float], a: float, b: float) -> None:
    draft = Draft()
    steps = {
        "sum": draft.add_sum("x", a),
        "product": draft.add_product("x", a),
        "clipped": draft.add_clipped("x", min(a, b), max(a, b)),
        "rounded": draft.add_float64(draft.add_float32("x")),
        "there_and_back": draft.add_row(draft.add_column("x")),
        "looked_up": draft.add_gathered(
            [a, b], draft.add("Cast", draft.add("Less", "x", draft.add_constant(0.0)), to=7)
        ),
    }
    graph = Graph(
        inputs=(GraphInput(name="x", holds="numbers", says=""),),
        nodes=tuple(draft.nodes),
        constants=draft.constants,
        outputs=tuple(GraphOutput(name=name, tensor=held, says="") for name, held in steps.items()),
    )
    x = np.array(values)
    expected = {
        "sum": x + a,
        "product": x * a,
        "clipped": np.clip(x, min(a, b), max(a, b)),
        "rounded": x.astype(np.float32).astype(np.float64),
        "there_and_back": x,
        "looked_up": np.where(x < 0, b, a),
    }
    found = run_raw(graph, {"x": x})
    for name, held in expected.items():
        np.testing.assert_array_equal(found[name], held, err_msg=name)
