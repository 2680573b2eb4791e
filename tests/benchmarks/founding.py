"""What the founding texts measured, and what this project reaches beside it.

`python -m tests.benchmarks.founding [--json]` from the root of the repository. Each experiment is
one run and its comparison with each site alone and with all records in one place, in the clear,
with the scenario's own config. docs/founding.md shows the figures.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consortium.config import Scalar
from consortium.run.records import Arm, Comparison
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.comparison import compare
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment of the founding texts, as one scenario.

    Args:
        scenario: Its name here.
        theirs: The figure of the text, in words; empty if it names none.
        at_least: What the shared model has to reach; None for no such target.
        near_pooled: How much worse than all records in one place the shared model may be.
        relative: Whether `near_pooled` is a share of the figure.
        above_mean_alone: Whether the gain over the mean of the sites alone has to be beyond chance.
        config: Run config, beside the scenario's own.
    """

    scenario: str
    theirs: str = ""
    at_least: float | None = None
    near_pooled: float | None = None
    relative: bool = False
    above_mean_alone: bool = False
    config: Mapping[str, Scalar] = field(default_factory=dict)


EXPERIMENTS = (
    Experiment(scenario="five-clinics", theirs="F1 0.93", at_least=0.93, near_pooled=0.01),
    Experiment(scenario="house-prices", near_pooled=0.02, relative=True),
    Experiment(scenario="bank-credit", near_pooled=0.01, above_mean_alone=True),
    Experiment(scenario="heart-diagnosis", near_pooled=0.01, above_mean_alone=True),
    Experiment(scenario="card-fraud", above_mean_alone=True),
)


@dataclass(frozen=True)
class Target:
    """What an experiment has to reach."""

    what: str
    figure: float
    target: float
    is_met: bool


def compared(experiment: Experiment, folder: Path) -> Comparison:
    """Run an experiment and compare its arms."""
    scenario = scenario_named(experiment.scenario)
    config = scenario.config_with(experiment.config)
    run = new_run_directory(scenario, under=folder, named=None)
    run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    return compare(scenario, config, run, tell=lambda _text: None)


def targets_of(experiment: Experiment, comparison: Comparison) -> Iterator[Target]:
    """Yield the targets of an experiment, with what was reached."""
    name, sign = experiment.scenario, 1 if comparison.higher_is_better else -1
    together, pooled = arm(comparison, "federated").value, arm(comparison, "pooled").value
    if (least := experiment.at_least) is not None:
        yield Target(f"{name}: {comparison.metric_title}", together, least, together >= least)
    if (near := experiment.near_pooled) is not None:
        behind = sign * (pooled - together) / (abs(pooled) if experiment.relative else 1)
        yield Target(f"{name}: behind all records in one place", behind, near, behind <= near)
    if experiment.above_mean_alone and (gain := comparison.over_mean_alone) is not None:
        yield Target(f"{name}: lower end of the gain over alone", gain.low, 1.0, gain.low > 1)


def arm(comparison: Comparison, kind: str) -> Arm:
    """Return the arm of a kind of which there is one."""
    (found,) = (one for one in comparison.arms if one.kind == kind)
    return found


def figures(experiment: Experiment, comparison: Comparison, seconds: float) -> dict[str, object]:
    """Return the figures of an experiment, beside those of its text."""
    gain = comparison.over_mean_alone
    return {
        "theirs": experiment.theirs,
        "synthetic": scenario_named(experiment.scenario).synthetic,
        "metric": comparison.metric_title,
        "held out": comparison.held_out,
        "together": round(arm(comparison, "federated").value, 4),
        "all records in one place": round(arm(comparison, "pooled").value, 4),
        "mean alone": round(gain.mean_alone, 4) if gain else None,
        "over mean alone": [round(x, 3) for x in (gain.ratio, gain.low, gain.high)] if gain else [],
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Run the experiments and print their figures, with the targets that were missed."""
    asked = options(__doc__).parse_args()
    report: dict[str, object] = {}
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for experiment in EXPERIMENTS:
            began = time.monotonic()
            comparison = compared(experiment, Path(folder))
            report[experiment.scenario] = figures(experiment, comparison, time.monotonic() - began)
            missed += [one for one in targets_of(experiment, comparison) if not one.is_met]
    report["missed"] = [
        {"what": one.what, "figure": round(one.figure, 4), "target": one.target} for one in missed
    ]
    print_figures(report, as_json=asked.json)


if __name__ == "__main__":
    main()
