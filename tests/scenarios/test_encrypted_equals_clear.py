"""An encrypted run gives the model of the run in the clear, and cuts nothing off."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from consortium.config import Scalar
from scenarios.engines.runner import RunFailed
from scenarios.library.registry import SCENARIOS
from tests.benchmarks.encrypted_equals_clear import CONVEX, NET, ONE_ROUND, run_pair
from tests.scenarios.conftest import done

TEXTS = (
    "clinical-notes",
    "clinical-entities",
    "ten-hospitals",
    "market-sentiment",
    "notes-and-questions",
)
NOISY = ("private-banks", "private-notes")  # each run draws noise of its own
LIARS = "byzantine-banks"  # in the clear its rule sees single sites
REFUSED = "careless-hospital"  # its rule needs to see single sites
ENCRYPTED: Mapping[str, Mapping[str, Scalar]] = {LIARS: {"buckets": 5}}
# equal to the bit: test_(regression|card|survival)_runs.py, test_boosted_trees.py
COUNTED = ("heart-odds", "bank-scorecard", "bank-trees", "lung-survival")
TO_ITS_END = "five-clinics"  # test_five_clinics.py
CARDS = ("card-fraud", "card-fraud-easy", "card-fraud-hard")  # the first in test_card_fraud.py
# Of training, as many rounds as fit a test; the scenarios of tables run to their end.
FEWER: Mapping[str, int] = {**dict.fromkeys(TEXTS, 1), "private-notes": 1}


@pytest.mark.parametrize(
    "name",
    ["heart-diagnosis", *(pytest.param(name, marks=pytest.mark.slow) for name in CONVEX[1:])],
)
def test_a_convex_model_is_the_same_at_the_end_of_the_run(name: str, tmp_path: Path) -> None:
    """Within 1e-4 of its length, with every metric within 0.001 of its size."""
    pair = run_pair(name, tmp_path, {})
    assert pair.saturated == 0
    assert pair.distance <= 1e-4
    clear, encrypted = (one.metrics for one in pair.summaries)
    for metric, found in encrypted.items():
        assert found.value == pytest.approx(clear[metric].value, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("heart-diagnosis", {}),
        ("heart-diagnosis", {"class-balance": "weights"}),
        ("house-prices", {}),
        pytest.param(NET, {}, marks=pytest.mark.slow),
        pytest.param(NET, {"class-balance": "weights"}, marks=pytest.mark.slow),
    ],
)
def test_one_round_moves_both_by_the_same_step(
    name: str, chosen: Mapping[str, Scalar], tmp_path: Path
) -> None:
    """Within 3e-5 of its length, from the same start; nets with hidden units, too."""
    pair = run_pair(name, tmp_path, {**chosen, **ONE_ROUND})
    assert pair.distance <= 3e-5
    assert pair.saturated == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("balance", ["none", "weights"])
def test_a_net_is_as_good_at_the_end_of_the_run(balance: str, tmp_path: Path) -> None:
    """Small differences grow in a net with hidden units; its metrics do not change by 0.001."""
    pair = run_pair(NET, tmp_path, {"class-balance": balance})
    assert pair.saturated == 0
    for metric in ("roc_auc", "pr_auc"):
        assert abs(pair.metric_differences[metric]) <= 1e-3


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", sorted({*SCENARIOS} - {*CONVEX, NET, REFUSED, *COUNTED}))
def test_every_other_scenario_cuts_nothing_off(name: str, tmp_path: Path) -> None:
    chosen = {"aggregation": "encrypted", **ENCRYPTED.get(name, {})}
    if name in FEWER:
        chosen["num-server-rounds"] = FEWER[name]
    over = done(name, tmp_path, chosen)
    assert over.summary.saturation is not None
    assert over.summary.saturation.values == {}
    assert over.summary.saturation_warning == ""


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", TEXTS)
def test_an_encoder_moves_by_the_same_step(name: str, tmp_path: Path) -> None:
    assert run_pair(name, tmp_path, ONE_ROUND).distance <= 3e-5


def test_every_shipped_scenario_is_tried_or_cannot_be_encrypted(tmp_path: Path) -> None:
    tried = {*CONVEX, NET, LIARS, *TEXTS, *NOISY, *COUNTED, TO_ITS_END, *CARDS}
    assert {*tried, REFUSED} == {*SCENARIOS}
    with pytest.raises(RunFailed, match="clear only"):
        done(REFUSED, tmp_path, {"aggregation": "encrypted"})
