"""What a site counts, whatever its records are."""

import numpy as np
import pytest

from sites.evaluation.concordance import concordant_pairs
from sites.learners.plans import CoxPlan
from sites.learners.regression.site_sums import TooFewLeftOut
from sites.statistics.life_tables import LifeTable
from sites.tasks.tabular.data import TableData
from tests.sites.learners.survival.ended_records import (
    SCHEMA,
    fitted,
    learner_of,
    made_up,
    table_data,
)


def one_record(*, dead: bool) -> TableData:
    columns = {"age": np.array([50.0]), "arm": np.array([1]), "marker": np.array([2.0])}
    return table_data(columns, np.array([[float(dead), 3.0]]))


ODD_SITES = {
    "nobody": made_up(1, 0),
    "one event": one_record(dead=True),
    "one censored": one_record(dead=False),
    "all censored": made_up(2, 20, events=0.0),
    "all events": made_up(3, 20, events=1.0),
    "ties everywhere": table_data(
        dict(made_up(4, 20).training.columns), np.stack([np.ones(20), np.full(20, 2.0)], axis=1)
    ),
    "all missing": table_data(
        {
            "age": np.full(10, 40.0),
            "arm": np.full(10, -1),
            "marker": np.full(10, np.nan),
        },
        np.stack([np.ones(10), np.arange(10.0)], axis=1),
    ),
    "constant": table_data(
        {"age": np.full(9, 40.0), "arm": np.zeros(9, int), "marker": np.ones(9)},
        np.stack([np.ones(9), np.arange(9.0)], axis=1),
    ),
    "at the ends": table_data(
        {"age": np.array([0.0, 100.0]), "arm": np.array([0, 2]), "marker": np.array([-1.0, 9.0])},
        np.array([[1.0, 0.0], [1.0, 10.0]]),
    ),
}


@pytest.mark.parametrize("missing", ["complete", "indicator"])
@pytest.mark.parametrize("baseline", ["by-site", "pooled"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", ODD_SITES)
def test_odd_sites_alone_and_with_others_are_counted(
    name: str, ties: str, baseline: str, missing: str
) -> None:
    plan = CoxPlan(ties=ties, baseline=baseline, group="arm")  # type: ignore[arg-type]
    others = [made_up(11, 60), made_up(12, 60)]
    for sites in ([ODD_SITES[name]], [ODD_SITES[name], *others]):
        run = fitted(SCHEMA, sites, plan, missing=missing, exchanges=8)
        assert all(np.isfinite(state).all() for state in run.states)
        assert run.results["kind"] == "survival"
        n = sum(one.train_examples for one in sites)
        records = run.results["records"]
        assert records["used"] + records["left_out"] == n
        assert run.results["curves"][0]["at_risk"][0] == n


def test_life_tables_by_group_are_those_of_all_records_of_all_sites() -> None:
    """Equal to pooled on the same grid, to the last count; missing covariates leave nobody out."""
    sites = [made_up(seed, 70) for seed in (1, 2, 3)]
    run = fitted(SCHEMA, sites, CoxPlan(group="arm"), exchanges=3)
    arms = np.concatenate([one.training.columns["arm"] for one in sites])
    ends = np.concatenate([one.training.labels for one in sites])
    (_, *curves) = run.results["curves"]
    assert [one["group"] for one in curves] == ["a", "b", "c", "missing"]
    for code, curve in zip((0, 1, 2, -1), curves, strict=True):
        mine = ends[arms == code]
        table = LifeTable.of(mine[:, 1], mine[:, 0] == 1, run.task.form.label.grid)
        assert curve["events"] == table.events.tolist()
        assert curve["withdrawn"] == table.withdrawn.tolist()
        assert curve["survival"] == table.survival.tolist()


def test_later_exchanges_count_no_life_tables_again() -> None:
    run = fitted(SCHEMA, [made_up(1, 30)], exchanges=2)
    exchange = run.task.form.exchange
    for name in ("group_events", "group_withdrawn", "own_weight", "own_fits"):
        assert exchange.part(name, run.sums[0]).any()
        assert not exchange.part(name, run.sums[1]).any()


def test_risks_follow_the_predictor_and_a_missing_value_counts_as_the_mean() -> None:
    run = fitted(SCHEMA, [made_up(1, 80), made_up(2, 80)])
    data = made_up(3, 40)
    judged = TableData(training=data.held_out, held_out=data.training, n_classes=2)
    risks, labels = run.task.score(judged, run.statistics, run.states[-1])
    assert len(risks) == len(labels) == 40
    assert ((risks >= 0) & (risks <= 1)).all()
    form = run.task.form
    x = form.design.matrix(data.training.columns, form.constants(run.statistics))
    order = np.argsort(x @ form.read(run.states[-1])["next"])
    assert (np.diff(risks[order]) >= 0).all()
    tally = run.task.evaluate(judged, run.statistics, run.states[-1])
    times = labels[:, 1].astype(np.float64)
    pairs = concordant_pairs(times, labels[:, 0] == 1, x @ form.read(run.states[-1])["next"])
    assert run.task.evaluation.metrics(tally)["concordance"].value == pytest.approx(pairs.auc.value)


def test_a_site_needs_no_library_of_learning() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from tests.sites.learners.survival.ended_records import *; "
        "fitted(SCHEMA, [made_up(1, 20)]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_layout_is_the_same_at_both_ends() -> None:
    (_, one), (_, other) = (learner_of(SCHEMA, CoxPlan()) for _ in range(2))
    assert one.layout.digest == other.layout.digest


def test_few_persons_are_not_shown_by_their_missing_values() -> None:
    """The life tables are of all records, the model's sums of those without a missing value."""
    few = made_up(1, 30, missing=True)
    lacking = ~learner_of(SCHEMA, CoxPlan())[1].form.design.complete(few.training.columns)
    left_out = few.training.select(lacking)
    assert 0 < len(left_out) < len(few.training)
    site = table_data(
        {
            name: np.append(values[~lacking], values[lacking][:1])
            for name, values in few.training.columns.items()
        },
        np.concatenate([few.training.labels[~lacking], left_out.labels[:1]]),
    )
    with pytest.raises(TooFewLeftOut, match="records of 1 person of this site are left out"):
        fitted(SCHEMA, [site])
    assert fitted(SCHEMA, [site], missing="indicator").results["records"]["left_out"] == 0
