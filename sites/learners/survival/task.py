"""Survival at a site: life tables, and the derivatives of its partial likelihood."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privacy.layout import Layout, Matrix, Tally, Vector
from sites.evaluation.concordance import concordant_pairs
from sites.learners.counted_tables import Columns, CountedTable, TableRecords, TableSides
from sites.learners.normal_equations import triangle_of
from sites.learners.regression.site_sums import require_crowds
from sites.learners.survival.baseline import risks
from sites.learners.survival.form import (
    LARGEST_LIKELIHOOD,
    LARGEST_OWN,
    Form,
    merged_ends,
)
from sites.learners.survival.own_fit import fit_alone
from sites.learners.survival.partial_likelihood import Ends, partial_likelihood
from sites.plans import Predictions
from sites.statistics.life_tables import LifeTable, exposures


@dataclass(frozen=True)
class CoxTask(CountedTable):
    """It implements `sites.task.Task` for a Cox model.

    Args:
        base: The task whose records these are.
        form: The sizes of the exchange.
    """

    form: Form

    @cached_property
    def layout(self) -> Layout:
        """Layout of the state."""
        return self.form.layout

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Return what the next step needs of the training records.

        The first exchange also counts life tables and the site's own fit; the others leave them 0.

        Raises:
            TooFewLeftOut: Records with missing values are of fewer than ten persons, or those
                without, and the difference of two sums would show them.
            TallyOverflow: There are more records than were counted before the first round.
        """
        form, state = self.form, self.form.read(vector)
        used = self._used(data.training, pooled)
        table = LifeTable.of(used.ends.times, used.ends.events, form.label.grid)
        counted = {name: np.zeros(size, np.int64) for name, size in form.exchange.sizes.items()}
        counted |= {"records": used.counts, "events": table.events}
        counted |= self._likelihood(used, state["next"], pooled)
        if state["exchanges"][0] == 0:
            counted |= self._life_tables(data.training)
            counted |= self._own_fit(used, pooled)
        else:
            counted |= self._in_steps(used, state, pooled)
        return form.exchange.join(counted)

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the risk of each record by the horizon, shape (n,).

        A missing value counts as the pooled mean, or as the first declared value.
        """
        form, state = self.form, self.form.read(vector)
        constants = form.constants(pooled)
        top = form.design.largest_predictor(state["at"], constants)
        return risks(form, state, form.design.matrix(columns, constants), top)

    def _used(self, table: TableRecords, pooled: Tally) -> "_Used":
        rows = self.form.design.complete(table.columns)
        require_crowds(table.persons, rows)
        x = self.form.design.matrix(table.columns, self.form.constants(pooled))
        events = table.labels[:, 0] == 1
        ends = Ends(table.labels[rows, 1], events[rows])
        return _Used(x[rows], ends, left_out=int((~rows).sum()))

    def _likelihood(self, used: "_Used", at: Vector, pooled: Tally) -> dict[str, Tally]:
        """Return the site's own partial likelihood, and its pairs by the order of predictors."""
        wide, n = self.form.wide(pooled), len(used.x)
        found = partial_likelihood(used.x, used.ends, at, self.form.plan.ties)
        # A coefficient that runs off to infinity has no bound of its own: the likelihood is cut.
        share = np.array([found.log_likelihood / LARGEST_LIKELIHOOD])
        pairs = concordant_pairs(used.ends.times, used.ends.events, used.x @ at)
        return {
            "score": wide.of_site(found.score, n),
            "information": wide.of_site(triangle_of(found.information), n),
            "log_likelihood": wide.of_site(np.clip(share, -n, n), n),
            "pairs": pairs.entries,
        }

    def _life_tables(self, table: TableRecords) -> dict[str, Tally]:
        tables = self.form.groups.life_tables(table, self.form.label.grid)
        return {
            "group_events": np.concatenate([one.events for one in tables]),
            "group_withdrawn": np.concatenate([one.withdrawn for one in tables]),
        }

    def _own_fit(self, used: "_Used", pooled: Tally) -> dict[str, Tally]:
        """Return what the site would give to a meta-analysis."""
        deviations = self.form.design.deviations(self.form.constants(pooled))
        own = fit_alone(used.x, used.ends, deviations, self.form.plan.ties)
        wide, n = self.form.wide(pooled), len(used.x)
        size = own.coefficients * deviations / LARGEST_OWN  # below 1
        fits = [*own.fitted.astype(np.int64), int(own.fitted.any()), 1]
        return {
            "own_weight": wide.of_site(own.weights, n),
            "own_first": wide.of_site(own.weights * size, n),
            "own_second": wide.of_site(own.weights * size**2, n),
            "own_fits": np.array(fits, np.int64),
        }

    def _in_steps(self, used: "_Used", state: dict[str, Vector], pooled: Tally) -> dict[str, Tally]:
        """Return weighted times under observation, by merged step of time.

        With one baseline for all sites also those times covariates, and times their products.
        """
        form, wide, at = self.form, self.form.wide(pooled), state["next"]
        ends = merged_ends(state["events"], form.plan.floor)
        edges = tuple(form.label.grid[end] for end in ends)
        top = form.design.largest_predictor(at, form.constants(pooled))
        weights = np.exp(np.minimum(used.x @ at - top, 0.0))
        watched = exposures(used.ends.times, edges) / form.label.high * weights[:, None]
        found = {"exposure": _placed(wide.of_records(watched), ends, form.n_steps)}
        if form.pools_baseline:
            found["score"] = wide.of_records(
                used.x[used.ends.events & (used.ends.times <= edges[-1])]
            )
            found["information"] = np.zeros(form.exchange.sizes["information"], np.int64)
            for name, values in (("first", used.x), ("second", _products(used.x))):
                sums = [wide.of_records(watched[:, [k]] * values) for k in range(len(ends))]
                steps = np.zeros((2, form.n_steps, values.shape[1]), np.int64)
                steps[:, ends] = np.stack([one.reshape(2, -1) for one in sums], axis=1)
                found[name] = steps.ravel()
        return found


@dataclass(frozen=True, eq=False)
class _Used:
    """The records that the model is fitted to.

    Args:
        x: Covariates, shape (n, p).
        ends: When and how they ended.
        left_out: Records with a missing value.
    """

    x: Matrix
    ends: Ends
    left_out: int

    @property
    def counts(self) -> Tally:
        return np.array([len(self.x), self.left_out, int(self.ends.events.sum())], np.int64)


def _placed(entries: Tally, ends: list[int], n_steps: int) -> Tally:
    placed = np.zeros((2, n_steps), np.int64)
    placed[:, ends] = entries.reshape(2, -1)
    return placed.ravel()


def _products(x: Matrix) -> Matrix:
    rows, columns = np.triu_indices(x.shape[1])
    return np.asarray(x[:, rows] * x[:, columns], np.float64)
