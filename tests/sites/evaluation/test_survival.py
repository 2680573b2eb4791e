import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.evaluation.concordance import concordant_pairs
from sites.evaluation.input_checks import ShapesDiffer, UndeclaredLabel
from sites.evaluation.survival import SurvivalEvaluation
from sites.statistics.life_tables import LifeTable
from sites.statistics.tally import ImpossibleTally
from tests.sites.scored_records import ENDS, Records, survivals

EVALUATION = SurvivalEvaluation(ENDS)


@given(survivals(), st.integers(1, 4))
def test_all_but_pairs_add_up_to_the_tally_of_all_records(found: Records, n_sites: int) -> None:
    """Pairs are within sites: those of a sum are the sum of what each site counts of its own."""
    site = np.arange(len(found.labels)) % n_sites
    parts = [found.at(site == one) for one in range(n_sites)]
    summed = sum(
        (EVALUATION.tally(part.predictions, part.labels) for part in parts),
        start=np.zeros(EVALUATION.layout.size, np.int64),
    )
    whole = EVALUATION.tally(found.predictions, found.labels)
    for name in set(EVALUATION.layout.sizes) - {"pairs"}:
        assert (
            EVALUATION.layout.part(name, summed).tolist()
            == EVALUATION.layout.part(name, whole).tolist()
        )
    pairs = [
        concordant_pairs(one.labels[:, 1], one.labels[:, 0] == 1, one.predictions) for one in parts
    ]
    total = sum(one.total for one in pairs)
    metrics = EVALUATION.metrics(summed)
    assert ("concordance" in metrics) == (total > 0)
    if total:
        wins = sum(2 * one.concordant + one.undecided for one in pairs)
        assert metrics["concordance"].value == wins / (2 * total)


def test_the_observed_risk_is_that_of_kaplan_and_meier_at_the_horizon() -> None:
    rng = np.random.default_rng(1)
    labels = np.stack([rng.integers(0, 2, 200), rng.uniform(0, 10, 200)], axis=1)
    tally = EVALUATION.tally(np.full(200, 0.25), labels)
    curve = LifeTable.of(labels[:, 1], labels[:, 0] == 1, ENDS.grid[: ENDS.grid.index(4.0) + 1])
    metrics = EVALUATION.metrics(tally)
    assert metrics["observed_risk"].value == 1 - curve.survival[-1]
    assert metrics["predicted_risk"].value == 0.25
    gap = abs(0.25 - metrics["observed_risk"].value)
    assert metrics["risk_calibration_error"].value == pytest.approx(gap)
    (shown,) = zip(*EVALUATION.curves(tally)["calibration"].values(), strict=True)
    assert shown[:3] == (200, 0.25, metrics["observed_risk"].value)
    assert shown[3] <= shown[2] <= shown[4]


def test_where_nobody_is_watched_until_the_horizon_the_observed_risk_is_not_known() -> None:
    """All with a high risk left early, without the event: they are no proof of a low risk."""
    risks = np.repeat([0.15, 0.85], 20)
    labels = np.stack([np.zeros(40), np.repeat([9.0, 0.5], 20)], axis=1)
    tally = EVALUATION.tally(risks, labels)
    metrics = EVALUATION.metrics(tally)
    assert metrics["risk_calibration_error"].value == pytest.approx(0.15)
    assert EVALUATION.curves(tally)["calibration"]["count"] == [20.0]
    early = EVALUATION.tally(risks[20:], labels[20:])
    assert {"risk_calibration_error", "observed_risk"} <= set(EVALUATION.undefined_reasons(early))
    died = np.add(labels[20:], [1.0, 0.0])
    assert EVALUATION.metrics(EVALUATION.tally(risks[20:], died))["observed_risk"].value == 1.0


@pytest.mark.parametrize(
    ("labels", "refusal"),
    [
        (np.zeros(3), ShapesDiffer),
        (np.zeros((3, 3)), ShapesDiffer),
        (np.array([[2.0, 1.0]] * 3), UndeclaredLabel),
        (np.array([[1.0, 11.0]] * 3), UndeclaredLabel),
        (np.array([[1.0, np.nan]] * 3), UndeclaredLabel),
    ],
)
def test_labels_that_are_no_declared_ends_are_refused(
    labels: np.ndarray, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        EVALUATION.tally(np.zeros(3), labels)


def test_a_tally_with_more_pairs_events_or_risk_than_there_can_be_is_refused() -> None:
    tally = EVALUATION.tally(np.array([0.1]), np.array([[0.0, 9.0]]))
    for name in ("pairs", "events", "predicted"):
        hostile = tally.copy()
        EVALUATION.layout.part(name, hostile)[0] += 2**33
        with pytest.raises(ImpossibleTally):
            EVALUATION.check(hostile)
