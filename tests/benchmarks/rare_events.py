"""How far an AUC can be off because scores are counted by bins, by the share of positives.

`python -m tests.benchmarks.rare_events` trains a model of four lenders for each share and prints
the bounds: of bins of equal width, and of bins that follow the scores, by round.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.scenario import Scenario
from sites.schema.tables import ClassLabel, Number, Schema
from tests.benchmarks.figures import options, print_figures

SITES = ("east", "north", "south", "west")
TARGET = 0.001  # how far an AUC may be off
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
TABLE = Schema(
    name="loans",
    person="borrower",
    features=tuple(Number(name=f"x{i}", low=-8, high=8) for i in range(4)),
    label=ClassLabel(column="default", classes=("no", "yes")),
)


def records(share: float, rows: int, spread: float = 1.2) -> pd.DataFrame:
    """Return records whose positives differ by `spread` standard deviations of the features.

    Args:
        share: Of positives, at least one.
        rows: Number of records, one a person.
        spread: Distance of the two classes.
    """
    rng = np.random.default_rng(11)
    labels = np.zeros(rows, np.int64)
    labels[rng.permutation(rows)[: max(round(share * rows), 1)]] = 1
    features = rng.normal(size=(rows, 4)) + spread / 2 * labels[:, None]
    return pd.DataFrame(
        {
            "borrower": [f"b{i}" for i in range(rows)],
            **{f"x{i}": np.clip(features[:, i], -8, 8) for i in range(4)},
            "default": np.where(labels == 1, "yes", "no"),
            "lender": rng.choice(SITES, rows),
        }
    )


def lenders(share: float, rows: int) -> Scenario:
    """Return a consortium of four lenders with such records."""
    return Scenario(
        name="rare-defaults",
        title="Four lenders and a rare default",
        story="Generated.",
        task="credit",
        table=TABLE,
        sites=SITES,
        records=partial(records, share, rows),
        site_of_row=lambda table: table["lender"],
        run_config={"model": "logistic", "batch-size": 1024, "learning-rate": 0.5},
    )


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """AUC and its bound in each round of a run, the last evaluation included."""

    values: tuple[float, ...]
    bounds: tuple[float, ...]


def bounds_by(share: float, rows: int, chosen: Mapping[str, Scalar]) -> Bounds:
    """Return the AUC by round of a run in process, with these choices."""
    scenario = lenders(share, rows)
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        run_scenario(ScenarioRun(scenario=scenario, config=scenario.config_with(chosen)), run)
        return read_bounds(run)


def read_bounds(run: RunDirectory) -> Bounds:
    """Return the AUC by round of a run, where it is defined."""
    lines = [json.loads(line)["metrics"] for line in run.metrics.read_text().splitlines()]
    found = [line["roc_auc"] for line in lines if "roc_auc" in line]
    return Bounds(
        values=tuple(one["value"] for one in found),
        bounds=tuple(one["error_bound"] for one in found),
    )


def bounds_of_share(share: float, rows: int, rounds: int) -> dict[str, Any]:
    """Return the AUC at the end, and its bounds by equal and by following bins."""
    equal, following = (
        bounds_by(share, rows, {"score-bins": kind, "num-server-rounds": rounds})
        for kind in ("equal", "following")
    )
    return {
        "auc": following.values[-1],
        "equal": equal.bounds[-1],
        "by_round": following.bounds[:-1],
        "end": following.bounds[-1],
    }


def report(rows: int, rounds: int) -> dict[str, Any]:
    """Return the bounds by share of positives, and the targets that were missed."""
    found = {f"{share:.2%}": bounds_of_share(share, rows, rounds) for share in SHARES}
    return {
        "benchmark": "rare_events",
        "bounds": found,
        "missed": [
            f"{share} positives: the AUC is known to {one['end']:.5f}, target {TARGET}"
            for share, one in found.items()
            if one["end"] > TARGET
        ],
    }


def print_table(bounds: Mapping[str, Any], rounds: int) -> None:
    """Print the bounds as the table of the documents."""
    shown = [one for one in (1, 2, 3, 4, 6, 8, 12) if one <= rounds]
    heads = " | ".join(f"round {one}" for one in shown)
    print(f"| positives | AUC | equal bins | {heads} | the end |")
    print("|--:" * (len(shown) + 4) + "|")
    for share, one in bounds.items():
        found = (one["equal"], *(one["by_round"][number - 1] for number in shown), one["end"])
        print(f"| {share} | {one['auc']:.3f} | {' | '.join(f'{each:.5f}' for each in found)} |")


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=16)
    asked = parser.parse_args()
    found = report(asked.rows, asked.rounds)
    if asked.json:
        print_figures(found, as_json=True)
    else:
        print_table(found["bounds"], asked.rounds)


if __name__ == "__main__":
    main()
