"""Rules keep their promises against liars among small sites; the mean promises nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import pytest

from consortium.config import Scalar
from scenarios.attacks.registry import ATTACKS
from scenarios.scenario import Scenario
from strategies.rules.registry import RULES
from tests.scenarios.fifteen import (
    ELEVEN,
    FIFTEEN,
    SHORT,
    auc,
    believed,
    honest,
    run_with,
    two_liars,
)

TOLERANCE = 0.02
TRIED = tuple(name for name in ATTACKS if name != "unit-mix-up")  # tests of poison
ROBUST = tuple(name for name in RULES if name != "mean")
TWO: Mapping[str, Scalar] = {"rule.name": "trimmed-mean", "rule.num-byzantine": 2}
SEALED: Mapping[str, Scalar] = {"aggregation": "encrypted", "buckets": 5}
OUTVOTING = tuple(  # over buckets, the others only bound
    name for name in ROBUST if RULES[name].same_on_every_cpu and not RULES[name].only_bounds
)
EACH_ONCE = tuple(islice(zip(cycle(ROBUST), cycle(TRIED)), max(len(ROBUST), len(TRIED))))
HARMFUL = ("sign-flip", "gaussian", "inner-product", "backdoor")


@pytest.fixture(scope="module", autouse=True)
def _believed() -> Iterator[None]:
    with believed():
        yield


def auc_of_the_honest(folder: Path, scenario: Scenario) -> float:
    """Return the AUC of the honest sites of a scenario alone, with the mean."""
    sites = honest(scenario.sites)
    run, _ = run_with(folder / "run", {}, scenario=replace(FIFTEEN, sites=sites))
    return auc(run, sites)


@pytest.fixture(scope="module")
def ideal_auc(tmp_path_factory: pytest.TempPathFactory) -> float:
    return auc_of_the_honest(tmp_path_factory.mktemp("ideal"), FIFTEEN)


@pytest.fixture(scope="module")
def ideal_auc_of_eleven(tmp_path_factory: pytest.TempPathFactory) -> float:
    return auc_of_the_honest(tmp_path_factory.mktemp("ideal"), ELEVEN)


def auc_under_attack(
    folder: Path, settings: Mapping[str, Scalar], attack: str, scenario: Scenario = FIFTEEN
) -> float:
    """Return the AUC on the records of the honest, with two liars among the sites."""
    lies = two_liars(attack, scenario.sites)
    run, _ = run_with(folder / "run", settings, lies, scenario=scenario)
    return auc(run, honest(scenario.sites))


@pytest.mark.parametrize(("rule", "attack"), EACH_ONCE)
def test_robust_rules_survive_attacks(
    rule: str, attack: str, tmp_path: Path, ideal_auc_of_eleven: float
) -> None:
    """Each rule and each attack once; `make test-all` tries every pair."""
    told: dict[str, Scalar] = {**SHORT, **TWO, "rule.name": rule}
    value = auc_under_attack(tmp_path, told, attack, ELEVEN)
    assert value > ideal_auc_of_eleven - TOLERANCE


@pytest.mark.parametrize("attack", HARMFUL)
def test_the_undefended_mean_does_not_survive_attacks(
    attack: str, tmp_path: Path, ideal_auc_of_eleven: float
) -> None:
    """It loses more than twice what a robust rule may lose."""
    value = auc_under_attack(tmp_path, SHORT, attack, ELEVEN)
    assert value < ideal_auc_of_eleven - 2 * TOLERANCE


def test_five_buckets_survive_two_liars_under_encryption(tmp_path: Path, ideal_auc: float) -> None:
    told: dict[str, Scalar] = {**SHORT, **TWO, **SEALED}
    assert auc_under_attack(tmp_path, told, "sign-flip") > ideal_auc - TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("attack", TRIED)
@pytest.mark.parametrize("rule", ROBUST)
@pytest.mark.parametrize("step", ["none", "nearest-neighbour-mixing", "adaptive-clipping"])
def test_every_robust_rule_survives_every_attack(
    rule: str, step: str, attack: str, tmp_path: Path, ideal_auc: float
) -> None:
    """Who out-votes liars loses less than TOLERANCE; who bounds them, less than twice that."""
    told: dict[str, Scalar] = {**TWO, "rule.name": rule, "rule.pre-step": step}
    loss = TOLERANCE * (2 if RULES[rule].only_bounds else 1)
    assert auc_under_attack(tmp_path, told, attack) > ideal_auc - loss


@pytest.mark.slow
@pytest.mark.parametrize("attack", [name for name in TRIED if name != "nan"])
@pytest.mark.parametrize("rule", OUTVOTING)
def test_buckets_survive_every_attack_by_the_promised_number_of_liars(
    rule: str, attack: str, tmp_path: Path, ideal_auc: float
) -> None:
    told: dict[str, Scalar] = {**TWO, "rule.name": rule, **SEALED}
    assert auc_under_attack(tmp_path, told, attack) > ideal_auc - TOLERANCE
