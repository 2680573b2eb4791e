"""Fifteen small sites, for runs with liars in under a second each.

Staging, apps and rules are those of any scenario. The records are few and synthetic, and are not
validated, to save time: `sites.data.validation` has its own tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.charter.document import Floors
from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from consortium.site.site import records_of
from scenarios.attacks.assignment import NOBODY, AttackAssignment, draw_liars
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.scenario import Scenario
from sites.schema.tables import Schema
from tests.small_consortium import TABLE, records

SITES = tuple(f"ward-{letter}" for letter in "abcdefghijklmno")
ROWS = 120

FIFTEEN = Scenario(
    name="fifteen-wards",
    title="Fifteen wards",
    story="Synthetic.",
    task="diagnosis",
    table=TABLE,
    dataset="fifteen-wards",
    site_of_row=lambda frame: frame["person"].str[: len(SITES[0])],
    sites=SITES,
    run_config={
        "model": "logistic",
        "num-server-rounds": 4,
        "batch-size": 8,
        "learning-rate": 0.1,
        "weighting": "equal",
        "deadline-s": 0.001,
        "join-deadline-s": 0.001,
        "rule.clip-norm": 0.5,
    },
    floors=Floors(),
)
# Fewer, where two liars among them, or three buckets of three, are enough.
ELEVEN = replace(FIFTEEN, sites=SITES[:11])  # as many as the most demanding rule asks for
NINE = replace(FIFTEEN, sites=SITES[:9])
# Two rounds of long steps lead as far as the four of `FIFTEEN`, with half the messages.
SHORT: Mapping[str, Scalar] = {"num-server-rounds": 2, "learning-rate": 0.2}


def frame() -> pd.DataFrame:
    """Return the records of all sites."""
    return pd.concat([records(name, ROWS) for name in SITES], ignore_index=True)


@contextmanager
def believed() -> Iterator[None]:
    """Make staging use these records, and sites accept them without validation."""

    def validate(table: pd.DataFrame, _schema: Schema, **_options: object) -> pd.DataFrame:
        return table.assign(
            ward=pd.Categorical(table["ward"], ["day", "night"]),
            ill=pd.Categorical(table["ill"], ["no", "yes"]),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenarios.engines.dealt_records.load_dataset", lambda _name: frame())
        patch.setattr("sites.tasks.tabular.loading.validate_table", validate)
        yield


def run_with(
    folder: Path,
    settings: Mapping[str, Scalar],
    lies: AttackAssignment = NOBODY,
    *,
    scenario: Scenario = FIFTEEN,
) -> tuple[RunDirectory, Summary]:
    """Run the fifteen sites with some liars among them."""
    folder.mkdir(parents=True)
    run = RunDirectory(folder)
    order = ScenarioRun(scenario=scenario, config=scenario.config_with(settings), lies=lies)
    return run, run_scenario(order, run)


def two_liars(attack: str, sites: Sequence[str] = SITES) -> AttackAssignment:
    """Return the two liars drawn by the seed, with an attack."""
    return draw_liars(sites, attack, liars=2, seed=7)


def honest(sites: Sequence[str] = SITES) -> tuple[str, ...]:
    """Return the sites that are not among the two liars."""
    return tuple(site for site in sites if site not in two_liars("sign-flip", sites).attacks)


def auc(run: RunDirectory, sites: Sequence[str] | None = None) -> float:
    """Return the AUC of a run's model on the held-out records of the honest sites.

    Args:
        run: The run.
        sites: Whose records; by default those of the honest among the fifteen.
    """
    model = read_model(run.model)
    scored = [
        model.task.score(
            records_of(model.task, run.site(name), model.config),
            model.statistics,
            model.vector,
        )
        for name in sites or honest()
    ]
    labels = np.concatenate([one for _, one in scored])
    metric = resampled_metric("roc_auc", np.concatenate([one for one, _ in scored]), labels)
    return metric(np.ones(len(labels)))
