"""What a floor of local steps does where sites have few rows: AUC, loss, and how it ended.

`python -m tests.benchmarks.few_rows [--json]` from the root of the repository. Sites of 20 to 60
patients of heart-diagnosis train with the default run config and nothing else chosen but the
floor. The model is then measured on the patients that no site has, some 600.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from consortium.config import DEFAULTS
from consortium.model.files import read_model
from scenarios.data.datasets import HOSPITALS, heart_hospitals, load_dataset
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.library.heart_diagnosis import SCENARIO as HEART
from scenarios.scenario import Scenario
from sites.data.holdout import KeyedSides
from sites.data.source import TableFile
from tests.benchmarks.figures import options

FLOORS = (0, 5, 10, 20, 50)
SEEDS = tuple(range(11, 21))
SITES = tuple(f"site-{number}" for number in range(1, 9))
FEWEST, MOST = 20, 60
SKEW = 0.9  # share of one class at a site, where labels are skewed

Kind = Literal["dealt out", "by hospital", "by label"]
KINDS: tuple[Kind, ...] = ("dealt out", "by hospital", "by label")


@dataclass(frozen=True)
class Ended:
    """How one run ended, by the patients that no site has.

    Args:
        auc: Of its model.
        loss: Log loss of its model.
        course: As the summary of the run says it, of its own held-out patients.
    """

    auc: float
    loss: float
    course: str


@cache
def patients() -> pd.DataFrame:
    """Return all patients of the four hospitals."""
    return load_dataset("heart-disease").assign(site="")


def dealt(kind: Kind, seed: int) -> pd.DataFrame:
    """Return the patients, each with the site that has the record, or "" for none."""
    table, rng = patients().copy(), np.random.default_rng(seed)
    for place, site in enumerate(SITES):
        free = table.index[(table["site"] == "") & (_chances(kind, place) > 0)]
        chances = _chances(kind, place)[free]
        taken = rng.choice(
            free, rng.integers(FEWEST, MOST + 1), replace=False, p=chances / chances.sum()
        )
        table.loc[taken, "site"] = site
    return table


def _chances(kind: Kind, place: int) -> "pd.Series[float]":
    """Return how likely a site of this place is to have each patient, up to a factor."""
    match kind:
        case "dealt out":
            return pd.Series(1.0, patients().index)
        case "by hospital":
            hospital = HOSPITALS[place % len(HOSPITALS)]
            return (heart_hospitals(patients()) == hospital).astype(float)
        case "by label":
            usual = patients()["disease"] == ("no", "yes")[place % 2]
            return usual.map({True: SKEW, False: 1 - SKEW})


def ended(table: pd.DataFrame, *, floor: int, seed: int) -> Ended:
    """Return how a run of such sites ended."""
    scenario = Scenario(
        name="few-rows",
        title="Eight sites with few rows",
        story="",
        task=HEART.task,
        table=HEART.table,
        sites=SITES,
        records=lambda: table[table["site"] != ""],
        site_of_row=lambda rows: rows["site"],
        run_config={"min-local-steps": floor, "seed": seed},
    )
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        summary = run_scenario(ScenarioRun(scenario=scenario, config=scenario.config_with({})), run)
        model, rest = read_model(run.model), Path(folder) / "rest.csv"
        table[table["site"] == ""].assign(side="test").to_csv(rest, index=False)
        others = model.task.load(TableFile(path=rest, split="side"), sides=KeyedSides(bytes(32)))
        found, labels = model.task.score(others, model.statistics, model.vector)
        labels = labels.astype(np.float64)
    every = np.ones(len(labels))
    said = np.clip(np.where(labels == 1, found, 1 - found), 1e-12, 1)
    return Ended(
        auc=resampled_metric("roc_auc", found, labels)(every),
        loss=float(-np.log(said).mean()),
        course=summary.convergence.course if summary.convergence else "unknown",
    )


def rows() -> Iterator[dict[str, Any]]:
    """Yield a row of the table for each kind of sites and each floor."""
    for kind in KINDS:
        tables = {seed: dealt(kind, seed) for seed in SEEDS}
        for floor in FLOORS:
            runs = [ended(table, floor=floor, seed=seed) for seed, table in tables.items()]
            aucs = [one.auc for one in runs]
            yield {
                "sites": kind,
                "floor": floor,
                "auc": round(statistics.fmean(aucs), 3),
                "lowest": round(min(aucs), 3),
                "highest": round(max(aucs), 3),
                "loss": round(statistics.fmean(one.loss for one in runs), 3),
                **{
                    course: sum(one.course == course for one in runs)
                    for course in ("falling", "settled", "rising")
                },
            }


def missed(found: list[dict[str, Any]]) -> list[str]:
    """Return where another floor than the default had an AUC that is higher by 0.01."""
    default = {row["sites"]: row["auc"] for row in found if row["floor"] == _DEFAULT}
    return [
        f"{row['sites']}, floor {row['floor']}: AUC {row['auc']}, with the default {_DEFAULT} "
        f"{default[row['sites']]}"
        for row in found
        if row["auc"] > default[row["sites"]] + 0.01
    ]


_DEFAULT = DEFAULTS["min-local-steps"]


def main() -> None:
    """Run the benchmark and print its figures."""
    chosen = options(__doc__).parse_args()
    began = time.monotonic()
    found = list(rows())
    report = {
        "benchmark": "few_rows",
        "seeds": SEEDS,
        "figures": {f"{row['sites']}, floor {row['floor']}": row for row in found},
        "missed": missed(found),
        "seconds": round(time.monotonic() - began, 1),
    }
    if chosen.json:
        print(json.dumps(report, indent=1))
        return
    for row in found:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(json.dumps(report["missed"], indent=1))


if __name__ == "__main__":
    main()
