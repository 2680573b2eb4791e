import subprocess
import sys
from typing import Any

import pytest

from sites.plans import BadPlan, ModelPlan, TrainingPlan


@pytest.mark.parametrize(
    "value",
    [
        {"local_epochs": 0},
        {"batch_size": 0},
        {"min_local_steps": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1e-9},
        {"weight_decay": float("nan")},
        {"proximal_mu": -1.0},
        {"proximal_mu": float("inf")},
    ],
)
def test_a_plan_out_of_range_cannot_be_built(value: dict[str, Any]) -> None:
    (name,) = value
    with pytest.raises(BadPlan, match=f"{name} must be"):
        TrainingPlan(**value)


def test_a_hidden_layer_needs_units() -> None:
    with pytest.raises(BadPlan, match=r"hidden_units must be a whole number, at least 1, .*got 0"):
        ModelPlan(hidden_units=0)


def test_the_contract_loads_without_torch_and_pandas() -> None:
    """The coordinator imports it, but neither trains nor reads tables."""
    modules = "sites.task, sites.data.source, sites.schema.tables, sites.statistics.tables"
    modules += ", sites.evaluation.contract"
    heavy = "{'torch', 'pandas', 'pandera', 'sklearn', 'flwr'}"
    program = f"import sys, {modules}; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == []
