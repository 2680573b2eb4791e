"""What a site counts of a regression in a round, as entries of an exact tally."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError, number_of
from privacy.layout import Matrix, Tally, Vector
from privacy.storage.site_process import SITE_PROCESS, Cache
from sites.learners.counted_tables import TableRecords
from sites.learners.normal_equations import matrix_of, solve
from sites.learners.regression.equations import Equations
from sites.learners.regression.families import (
    LARGEST_INTERCEPT,
    Moments,
    TrueSums,
    linear_predictors,
)

FEWEST_IN_CROWD = 10
_MOST_TABLES = 512  # of all sites that a process serves
# A site's statistic of heterogeneity counts as at most this, and keeps 2^-52 of it.
LARGEST_HETEROGENEITY = 2.0**20


class TooFewLeftOut(ConsortiumError, ValueError, code="too-few-left-out"):
    """A site's complete cases differ from its records by so few persons that a difference shows.

    Two exact sums, over complete cases and over all records, differ by those left out.
    """


def count_records(equations: Equations, table: TableRecords, coefficients: Vector) -> Tally:
    """Return what a site's training records add to the sums at a state's coefficients.

    Guarantee: with one intercept for all sites, the tallies of two sites add up to that of both,
    exactly, except `sites`, `heterogeneity` and `rank`, which are of a site. Where each site has
    its own intercept, it has eliminated it from all sums but those of records, labels and columns,
    which are the same in either case. No entry reaches 2^41.

    Args:
        equations: The regression, by pooled statistics.
        table: The training records.
        coefficients: Of the inputs, shape (k,).

    Raises:
        TooFewLeftOut: Records with missing values are of fewer than ten persons, or those without.
        TallyOverflow: There are more records than were counted before the first round.
    """
    design, family = equations.regression.design, equations.family
    counted = design.complete(table.columns)
    require_crowds(table.persons, counted)
    equations.sums.require_room(len(table.labels))
    columns = {name: values[counted] for name, values in table.columns.items()}
    rows, labels = design.rows(columns, equations.constants), family.labels(table.labels[counted])
    site = _Site(rows, labels, family.predictors(rows, coefficients))

    def constant_sums() -> _ConstantSums:
        left_out = np.array([np.count_nonzero(~counted)], np.int64)
        sums = {**_constant_entries(equations, site), "left_out": left_out}
        return _ConstantSums(table=table, equations=equations, sums=sums)

    # The table is held, so that no other one gets its identity while it is kept.
    constant = _CONSTANT_SUMS.get(
        id(table), constant_sums, fits=lambda kept: kept.is_of(table, equations)
    )
    entries = _entries(equations, site, coefficients)
    return equations.regression.tally.join({**entries, **constant.sums})


@dataclass(frozen=True)
class _Site:
    rows: Matrix
    labels: Vector
    predictors: Vector


@dataclass(frozen=True, kw_only=True)
class _ConstantSums:
    """What is the same at all coefficients of the inputs."""

    table: TableRecords
    equations: Equations
    sums: Mapping[str, Tally]

    def is_of(self, table: TableRecords, equations: Equations) -> bool:
        return self.table is table and self.equations is equations


_CONSTANT_SUMS: Cache[int, _ConstantSums] = SITE_PROCESS.cache(
    "constant sums of regressions", most=_MOST_TABLES
)


def _constant_entries(equations: Equations, site: _Site) -> dict[str, Tally]:
    """Return those entries, which are the same too whether sites have intercepts of their own.

    A difference of two runs' sums is then none of the sites that have nothing to say of
    coefficients.
    """
    sums = equations.sums
    shares = site.labels / equations.family.bounds.label
    return {
        "records": np.array([len(site.labels)], np.int64),
        "labels": sums.sums(shares[None]),
        "columns": sums.sums(site.rows),
        "column_labels": sums.sums(site.rows * shares),
    }


def _entries(equations: Equations, site: _Site, coefficients: Vector) -> dict[str, Tally]:
    """Return the entries that depend on the coefficients."""
    sums, n = equations.sums, len(site.labels)
    intercept, told = 0.0, 0.0
    if equations.regression.by_site:
        found = equations.family.own_intercept(site.labels, site.predictors)
        if found is None:
            layout = equations.regression.tally
            return {name: np.zeros(size, np.int64) for name, size in layout.sizes.items()}
        intercept = found
        # The coefficients' own: a family may count at others, from which its sums follow.
        predictors = linear_predictors(site.rows, coefficients)
        told = equations.family.own_intercept(site.labels, predictors) or 0.0
    moments = equations.family.moments(site.labels, site.predictors + intercept)
    weighted = _weighted_sums(equations, site.rows, moments)
    return {
        **weighted,
        **_heterogeneity(equations, weighted, coefficients),
        "sites": np.array([int(n > 0)], np.int64),
        "intercepts": sums.sums(np.array([[told / LARGEST_INTERCEPT]])),
    }


def _weighted_sums(equations: Equations, rows: Matrix, moments: Moments) -> dict[str, Tally]:
    """Return deviance, score and information; at the site's own intercept, those that remain.

    What remains of the information when an intercept is eliminated is its Schur complement, the
    sum of weights times products of inputs less their weighted means.
    """
    sums = equations.sums
    if equations.regression.by_site:
        total = float(moments.weights.sum())
        means = (rows * moments.weights).sum(axis=1) / total if total > 0 else 0.0
        rows = (rows - np.reshape(means, (-1, 1))) / equations.reach
    return {
        "deviance": sums.sums(moments.deviances[None]),
        "score": sums.sums(rows * moments.residuals),
        "information": sums.weighted_products(rows, moments.weights),
    }


def _heterogeneity(
    equations: Equations, entries: Mapping[str, Tally], coefficients: Vector
) -> dict[str, Tally]:
    """Return the site's part of the score statistic for equal coefficients at all sites.

    It is score' information^-1 score of the site. At the pooled estimate the sum over sites is
    Rao's statistic for coefficients of each site's own (Rao 1948, Proc. Camb. Phil. Soc. 44:50).
    """
    found = true_sums(equations, entries, coefficients)
    solved = solve(found.information, found.score)
    statistic = max(float((solved.solution * found.score).sum()), 0.0)
    share = min(statistic / LARGEST_HETEROGENEITY, 1.0)
    # One number, as if it were of one record: so it is as fine as the sums are.
    return {
        "heterogeneity": equations.sums.sums(np.array([[share]])),
        "rank": np.array([np.count_nonzero(solved.kept)], np.int64),
    }


def true_sums(equations: Equations, entries: Mapping[str, Tally], coefficients: Vector) -> TrueSums:
    """Return the sums that entries stand for, at coefficients at which they were asked for.

    Guarantee: the same bits on every machine.

    Args:
        equations: The regression, by pooled statistics.
        entries: `deviance`, `score` and `information` of a tally, of one site or pooled.
        coefficients: Shape (k,).
    """
    sums, bounds, reach = equations.sums, equations.family.bounds, equations.reach
    triangle = sums.real(entries["information"]) * (bounds.weight * reach**2)
    counted = TrueSums(
        deviance=float(sums.real(entries["deviance"])[0]) * bounds.deviance,
        score=sums.real(entries["score"]) * (bounds.residual * reach),
        information=matrix_of(triangle, equations.regression.design.size),
    )
    return equations.family.sums_at(coefficients, counted)


def require_crowds(persons: NDArray[np.str_], counted: NDArray[np.bool_]) -> None:
    """Check that those who are left out are nobody or a crowd, and so those who are counted.

    Raises:
        TooFewLeftOut: They are fewer than ten.
    """
    if counted.all():
        return
    for group, chosen in (("left out", ~counted), ("counted", counted)):
        crowd = len(np.unique(persons[chosen]))
        if 0 < crowd < FEWEST_IN_CROWD:
            raise TooFewLeftOut(
                f"records of {number_of(crowd, 'person')} of this site are {group}, and the others "
                f"are not, because values are missing; a difference of two sums would show them. "
                f"{FEWEST_IN_CROWD} are needed: set missing-values to indicator",
                needed=FEWEST_IN_CROWD,
            )
