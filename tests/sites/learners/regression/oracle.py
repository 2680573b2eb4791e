"""The records of a scenario by site, and statsmodels on all of them in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels.api as sm

from privacy.layout import Matrix, Tally, Vector
from scenarios.data.datasets import load_dataset
from scenarios.scenario import Scenario
from sites.data.validation import validate_table
from sites.learners.plans import GlmPlan
from sites.learners.regression.equations import Regression
from sites.learners.regression.learner import GeneralisedLinear
from sites.plans import Labels
from sites.schema.tables import Category, Schema
from sites.statistics.tables import TableStatistics, compress_values
from sites.tasks.tabular.data import Table, TableData
from sites.tasks.tabular.loading import table_of


def tables_of(scenario: Scenario) -> dict[str, Table]:
    """Return the records of each site."""
    assert isinstance(scenario.table, Schema)
    assert scenario.site_of_row is not None
    frame = load_dataset(str(scenario.dataset))
    sites = scenario.site_of_row(frame)
    table = table_of(validate_table(frame, scenario.table), scenario.table)
    return {name: table.select((sites == name).to_numpy()) for name in scenario.sites}


@dataclass(frozen=True)
class Fit:
    """A regression after some exchanges."""

    learner: GeneralisedLinear
    statistics: Tally
    vector: Vector

    @property
    def results(self) -> Mapping[str, Any]:
        """What it says."""
        return self.learner.results(self.vector, self.statistics)


def fitted(schema: Schema, plan: GlmPlan, parts: Sequence[Table], *, exchanges: int = 8) -> Fit:
    """Return a regression on the records of several sites."""
    learner = GeneralisedLinear(Regression(schema, plan))
    counted = TableStatistics(schema)
    statistics = sum(
        (
            counted.tally(part.columns, part.labels, persons=len(np.unique(part.persons)))
            for part in parts
        ),
        np.zeros(counted.layout.size, np.int64),
    )
    task = learner.at_site(None)  # type: ignore[arg-type]  # its records are passed below
    vector = np.zeros(task.layout.dim)
    for _ in range(exchanges):
        pooled = sum(
            (counts_of(learner, statistics, vector, part) for part in parts),
            np.zeros(learner.contribution.size, np.int64),
        )
        learner.contribution.check(pooled, sites=len(parts))
        vector = learner.move(vector, statistics, pooled).astype(np.float32).astype(np.float64)
    return Fit(learner, statistics, vector)


def counts_of(learner: GeneralisedLinear, statistics: Tally, vector: Vector, part: Table) -> Tally:
    """Return what a site with these records sends."""
    data = TableData(training=part, held_out=part, n_classes=2)
    counted = learner.at_site(None).count(data, statistics, vector)  # type: ignore[arg-type]
    learner.contribution.check(counted, sites=1)
    return counted


def own_rows(schema: Schema, table: Table, *, missing: str = "complete") -> Matrix:
    """Return the inputs in the columns' own units, with 1 first, of shape (n, k)."""
    rows: list[Vector] = [np.ones(len(table))]
    for item in schema.features:
        values = table.columns[item.name]
        if isinstance(item, Category):
            absent = values < 0
            rows.extend(
                np.asarray(values == code, np.float64) for code in range(1, len(item.values))
            )
        else:
            absent = np.isnan(values)
            own = compress_values(item, values)
            rows.append(np.asarray(np.where(absent, np.nanmean(own), own)))
        if missing == "indicator" and item.missing:
            rows.append(np.asarray(absent, np.float64))
    return np.array(rows).T


def statsmodels_fit(rows: Matrix, labels: Labels, family: str) -> Any:
    """Return statsmodels' fit."""
    if family == "linear":
        return sm.OLS(labels, rows).fit()
    of = {"logistic": sm.families.Binomial(), "poisson": sm.families.Poisson()}[family]
    return sm.GLM(labels, rows, family=of).fit(tol=1e-14, maxiter=200)


def worst_difference(results: Mapping[str, Any], oracle: Any) -> float:
    """Return the largest relative difference of coefficients and standard errors."""
    told = [one["own"] for one in results["coefficients"]]
    if results["intercept"]:
        told.insert(0, results["intercept"]["own"])
    return max(
        float(max(abs(one["coefficient"] / value - 1), abs(one["error"] / error - 1)))
        for one, value, error in zip(told, oracle.params, oracle.bse, strict=False)
    )
