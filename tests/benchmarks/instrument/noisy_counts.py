"""What noise costs: trees and cards of `bank-credit`, on the same held-out records.

Every figure with noise is the mean of some runs, in process and in the clear: encrypted they are
the same. Epsilon is that of a borrower over all exchanges of a run.
"""

import tempfile
from pathlib import Path
from typing import Any

from consortium.config import Scalar
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named

EPSILONS = (8.0, 3.0, 1.0)
RUNS = 3
DELTA = 1e-5  # below one tenth of one over the 4,800 borrowers of a bank
_LEARNERS: dict[str, tuple[dict[str, Scalar], dict[str, Scalar]]] = {
    # What is asked without noise, and with it.
    "trees": (
        {"learner": "trees"},
        {
            "learner": "trees",
            "trees.count": 14,
            "trees.depth": 2,
            "trees.features": 2,
            "trees.learning-rate": 0.3,
        },
    ),
    "card": (
        {"learner": "scorecard"},
        {"learner": "scorecard", "num-server-rounds": 4},
    ),
}


def auc_of(chosen: dict[str, Scalar]) -> float:
    """Return the AUC of a run on the held-out borrowers of all banks."""
    scenario = scenario_named("bank-credit")
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        order = ScenarioRun(scenario=scenario, config=scenario.config_with(chosen))
        return run_scenario(order, run).metrics["roc_auc"].value


def measured() -> dict[str, Any]:
    """Return the AUC of each learner by epsilon; there is no target."""
    report: dict[str, Any] = {"runs": RUNS, "delta": DELTA}
    for name, (exact, few) in _LEARNERS.items():
        found = {"exact": auc_of(exact), "exact, as small as with noise": auc_of(few)}
        for epsilon in EPSILONS:
            noise: dict[str, Scalar] = {
                "dp.unit": "person",
                "dp.epsilon": epsilon,
                "dp.delta": DELTA,
                "dp.max-records-per-person": 1,
            }
            aucs = [auc_of({**few, **noise}) for _ in range(RUNS)]
            found[f"epsilon {epsilon:g}"] = sum(aucs) / len(aucs)
        report[name] = found
    return {**report, "missed": []}
