"""Is it worth it? `scenario compare` over five seeds, paired, with t-intervals.

`python -m tests.benchmarks.comparison [--json]` from the root of the repository.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from scipy import stats

from consortium.run.records import Comparison
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.comparison import compare
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options

SEEDS = (11, 12, 13, 14, 15)
NEAR_POOLED = 0.01
SCENARIOS = ("bank-credit", "heart-diagnosis", "regional-lenders")


def compared(name: str, seed: int, folder: Path) -> Comparison:
    """Return the comparison of one scenario with one seed."""
    scenario = scenario_named(name)
    config = scenario.config_with({"seed": seed})
    run = new_run_directory(scenario, under=folder, named=None)
    run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    return compare(scenario, config, run, tell=lambda _text: None, n_resamples=2)


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean over seeds and its 95 % t-interval."""
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / len(values) ** 0.5
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def figures(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Return federated, pooled and local AUC over seeds, and their paired differences."""
    arms: dict[str, list[float]] = {}
    for seed in SEEDS:
        comparison = compared(name, seed, folder)
        for arm in comparison.arms:
            arms.setdefault(arm.site or arm.kind, []).append(arm.value)
    local = [key for key in arms if key not in ("federated", "pooled")]
    means = [statistics.fmean(each) for each in zip(*(arms[key] for key in local), strict=True)]
    minus = {key: paired(arms["federated"], arms[key]) for key in (*local, "pooled")}
    return {
        **{key: spread(values) for key, values in arms.items()},
        **{f"federated minus {key}": spread(values) for key, values in minus.items()},
        "federated minus mean of local": spread(paired(arms["federated"], means)),
    }


def paired(one: list[float], other: list[float]) -> list[float]:
    """Return the differences seed by seed."""
    return [a - b for a, b in zip(one, other, strict=True)]


def missed(name: str, found: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """Return the targets that were not met: near the pooled ideal, above what sites do alone."""
    targets = {"federated minus pooled": -NEAR_POOLED, "federated minus mean of local": 0.0}
    if name == "bank-credit":
        alone = [key for key in found if key.startswith("federated minus ") and "-bank" in key]
        targets.update(dict.fromkeys(alone, 0.0))
    return [
        {"what": f"{name}: {what}", "figure": found[what]["mean"], "target": target}
        for what, target in targets.items()
        if found[what]["mean"] <= target
    ]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = {name: figures(name, Path(folder)) for name in SCENARIOS}
    report = {
        "benchmark": "comparison",
        "baseline": "each site alone, and all records in one place; the same plan and rounds",
        "metric": "AUC on the held-out records of all sites",
        "seeds": SEEDS,
        "figures": found,
        "missed": [item for name in SCENARIOS for item in missed(name, found[name])],
        "seconds": round(time.monotonic() - began, 1),
    }
    if chosen.json:
        print(json.dumps(report, indent=1))
        return
    for name, rows in found.items():
        for what, one in rows.items():
            print(f"{name:18} {what:34} {one['mean']:8.4f}  {one['low']:8.4f} to {one['high']:.4f}")
    print(json.dumps(report["missed"], indent=1))


if __name__ == "__main__":
    main()
