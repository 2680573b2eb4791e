from collections.abc import Mapping

import numpy as np
import pytest

from consortium.config import RunConfig, Scalar
from consortium.protocol.parameters import seal_parameters
from consortium.protocol.robustness_estimate import (
    bytes_down,
    in_words,
    protection_of,
    shown_by_fixed,
    shown_by_reshuffling,
)
from privacy.encryption.parameters import Placement
from scenarios.library.byzantine_banks import SCENARIO
from strategies.rules.registry import Infeasible

CHARTER = SCENARIO.charter
DIM = 1_793


def config_of(settings: Mapping[str, Scalar] | None = None) -> RunConfig:
    return SCENARIO.config_with(settings or {})


SEALED = config_of({"aggregation": "encrypted", "buckets": 5})


def measured(rounds: int, *, fixed: bool) -> float:
    """Return the correlation that an observer reaches, by doing it: 15 sites, 5 buckets."""
    rng = np.random.default_rng(rounds)
    n_sites, buckets, dim = 15, 5, 4_000
    own = rng.normal(size=(n_sites, dim))
    seen = np.zeros(dim)
    order = rng.permutation(n_sites)
    for _ in range(rounds):
        order = order if fixed else rng.permutation(n_sites)
        sent = own + rng.normal(size=own.shape)
        place = int(np.flatnonzero(order == 0)[0]) % buckets
        mates = order[np.arange(n_sites) % buckets == place]
        seen += sent[mates].mean(axis=0) - (0 if fixed else sent.mean(axis=0))
    wanted = own[0] if fixed else own[0] - own.mean(axis=0)
    return float(np.corrcoef(seen, wanted)[0, 1])


@pytest.mark.parametrize("rounds", [5, 20, 100])
def test_what_drawing_buckets_anew_would_show_is_what_an_observer_reaches(rounds: int) -> None:
    stated = shown_by_reshuffling(15, 5, rounds=rounds)
    assert measured(rounds, fixed=False) == pytest.approx(stated, abs=0.12)


def test_fixed_buckets_show_no_more_however_long_the_run() -> None:
    assert measured(400, fixed=True) == pytest.approx(shown_by_fixed(15, 5), abs=0.05)
    assert shown_by_fixed(15, 5) < shown_by_reshuffling(15, 5, rounds=5)


def test_more_rounds_show_more_and_one_bucket_shows_nothing_of_one_site() -> None:
    shown = [shown_by_reshuffling(15, 5, rounds=rounds) for rounds in (1, 5, 20, 100, 10_000)]
    assert shown == sorted(shown)
    assert shown[-1] > 0.99
    assert shown_by_reshuffling(15, 1, rounds=20) == 0.0


def test_a_site_downloads_the_state_and_a_sum_for_each_bucket() -> None:
    sums = Placement(parameters=seal_parameters(SEALED, CHARTER), dim=DIM).sum_bytes
    assert bytes_down(SEALED, CHARTER, dim=DIM) == 4 * DIM + 5 * sums
    with_moments = config_of(
        {"aggregation": "encrypted", "buckets": 5, "server-optimizer.name": "adam"}
    )
    assert bytes_down(with_moments, CHARTER, dim=DIM) > 4 * DIM + 5 * sums
    assert bytes_down(config_of(), CHARTER, dim=DIM) == 4 * DIM


def test_the_promise_over_buckets_is_counted_in_buckets() -> None:
    found = protection_of(SEALED, CHARTER, dim=DIM)
    assert (found.voters, found.voters_needed, found.spare) == (5, 5, 0)
    assert (found.buckets, found.crowd, found.smallest_consortium) == (5, 3, 15)
    assert "0 bucket means may be missing in a round" in in_words(found)


def test_in_the_clear_nothing_hides_a_site() -> None:
    found = protection_of(config_of(), CHARTER, dim=DIM)
    assert (found.buckets, found.crowd, found.fixed_shows) == (0, 0, 1.0)
    assert "trimmed-mean over 15 sites survives 2 liars" in in_words(found)


def test_a_rule_that_expects_no_liar_promises_nothing() -> None:
    config = config_of(
        {"rule.name": "mean", "rule.num-byzantine": 0, "rule.pre-step": "norm-clipping"}
    )
    said = in_words(protection_of(config, CHARTER, dim=DIM))
    assert said.startswith("norm-clipping with mean: no liar is expected")


def test_what_cannot_be_promised_is_refused() -> None:
    with pytest.raises(Infeasible, match="a consortium of 19 would do"):
        protection_of(config_of({"rule.name": "bulyan", "rule.num-byzantine": 4}), CHARTER, dim=DIM)


@pytest.mark.parametrize("rule", ["clipped-mean", "centered-clipping"])
def test_a_rule_that_only_bounds_does_not_promise_to_survive(rule: str) -> None:
    said = in_words(protection_of(config_of({"rule.name": rule}), CHARTER, dim=DIM))
    assert f"{rule} over 15 sites bounds what is done by 2 liars" in said
    assert "survives" not in said


def test_who_is_silent_can_stop_a_run_that_spares_fewer_voters_than_it_expects_liars() -> None:
    assert protection_of(SEALED, CHARTER, dim=DIM).can_be_stopped
    assert "can stop the run" in in_words(protection_of(SEALED, CHARTER, dim=DIM))
    one = config_of({"aggregation": "encrypted", "buckets": 5, "rule.num-byzantine": 1})
    for config in (one, config_of()):
        found = protection_of(config, CHARTER, dim=DIM)
        assert not found.can_be_stopped
        assert "can stop the run" not in in_words(found)
