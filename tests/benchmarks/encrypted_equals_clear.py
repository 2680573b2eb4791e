"""How far the model of an encrypted run is from that of the run in the clear.

`python -m tests.benchmarks.encrypted_equals_clear [--json] [SCENARIO ...]` from the root of the
repository runs each scenario of tables twice, for one round and to its end. Named scenarios may be
of texts, which take long.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.run.records import Summary
from privacy.layout import Vector
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures

CONVEX = ("heart-diagnosis", "heart-severity", "house-prices", "regional-lenders")
NET = "bank-credit"
JUDGED_BY = ("roc_auc", "pr_auc", "macro_f1", "entity_f1")
STEP_TARGET, END_TARGET, METRIC_TARGET = 3e-5, 1e-4, 1e-3
ONE_ROUND: Mapping[str, Scalar] = {"num-server-rounds": 1}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One scenario in the clear and encrypted, otherwise alike.

    Args:
        summaries: Of the two runs.
        vectors: How far each model moved from its start.
    """

    summaries: tuple[Summary, Summary]
    vectors: tuple[Vector, Vector]

    @property
    def distance(self) -> float:
        """How far the encrypted model is from the other, relative to how far that moved."""
        clear, encrypted = self.vectors
        return float(np.linalg.norm(encrypted - clear) / np.linalg.norm(clear))

    @property
    def metric_differences(self) -> dict[str, float]:
        """By how much the encrypted model's pooled metrics are larger, where they are released."""
        clear, encrypted = (one.metrics for one in self.summaries)
        return {name: found.value - clear[name].value for name, found in encrypted.items()}

    @property
    def saturated(self) -> int:
        """How many values the encrypted run cut off, in all rounds; ValueError if not counted."""
        found = self.summaries[1].saturation
        if found is None or found.rounds != self.summaries[1].rounds:
            raise ValueError("not every round was counted")
        return sum(found.values.values())


def run_pair(name: str, folder: Path, chosen: Mapping[str, Scalar]) -> Pair:
    """Run a scenario in either mode, in process."""
    scenario, summaries, vectors = scenario_named(name), [], []
    for mode in ("clear", "encrypted"):
        run = new_run_directory(scenario, under=folder / mode, named=None)
        config = scenario.config_with({**chosen, "aggregation": mode})
        summaries.append(run_scenario(ScenarioRun(scenario=scenario, config=config), run))
        vectors.append(np.asarray(read_model(run.model).vector, np.float64))
    return Pair(summaries=(summaries[0], summaries[1]), vectors=(vectors[0], vectors[1]))


def figures_of(name: str) -> dict[str, object]:
    """Return what is measured of a scenario."""
    with tempfile.TemporaryDirectory() as folder:
        one = run_pair(name, Path(folder) / "one", ONE_ROUND)
        whole = run_pair(name, Path(folder) / "whole", {})
    return {
        "saturated_values": one.saturated + whole.saturated,
        "distance_after_one_round": one.distance,
        "distance_at_the_end": whole.distance,
        "metric_differences": whole.metric_differences,
    }


def targets_missed(name: str, figures: Mapping[str, Any]) -> list[str]:
    """Return the targets that a scenario missed."""
    differences = figures["metric_differences"]
    held = {
        "saturated_values": figures["saturated_values"] == 0,
        "distance_after_one_round": figures["distance_after_one_round"] <= STEP_TARGET,
        "distance_at_the_end": name not in CONVEX or figures["distance_at_the_end"] <= END_TARGET,
        "metric_differences": all(
            abs(differences.get(metric, 0.0)) <= METRIC_TARGET for metric in JUDGED_BY
        ),
    }
    return [f"{name}: {figure}" for figure, met in held.items() if not met]


def report(names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of each scenario, and the targets that were missed."""
    figures: dict[str, Any] = {name: figures_of(name) for name in names}
    missed = [one for name in names for one in targets_missed(name, figures[name])]
    return {**figures, "missed": missed}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("scenarios", nargs="*", default=[*CONVEX, NET])
    chosen = parser.parse_args()
    print_figures(report(chosen.scenarios), as_json=chosen.json)


if __name__ == "__main__":
    main()
