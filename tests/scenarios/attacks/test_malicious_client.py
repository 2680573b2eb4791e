"""What liars among small sites send, what they may claim, and what becomes of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from scenarios.attacks.assignment import AttackAssignment
from scenarios.engines.runner import RunParked
from tests.scenarios.fifteen import SITES, auc, believed, honest, run_with, two_liars

TWO: Mapping[str, Scalar] = {"rule.name": "trimmed-mean", "rule.num-byzantine": 2}
SEALED: Mapping[str, Scalar] = {"aggregation": "encrypted", "buckets": 5}


@pytest.fixture(scope="module", autouse=True)
def _believed() -> Iterator[None]:
    with believed():
        yield


@pytest.fixture(scope="module")
def sign_flipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Summary]:
    """One round in which both liars reverse their updates."""
    folder = tmp_path_factory.mktemp("sign-flipped") / "run"
    return run_with(folder, {**TWO, "num-server-rounds": 1}, two_liars("sign-flip"))


@pytest.mark.slow
def test_nan_cannot_be_encrypted_and_stops_a_run_without_spare_buckets(
    tmp_path: Path,
) -> None:
    """A silent site takes its bucket with it: if five of five are needed, the run waits for it."""
    with pytest.raises(RunParked, match="waits for"):
        run_with(tmp_path / "two", {**TWO, **SEALED}, two_liars("nan"))
    one = AttackAssignment(seed=7, attacks={two_liars("nan").malicious_senders[0]: "nan"})
    _, summary = run_with(tmp_path / "one", {**TWO, **SEALED, "rule.num-byzantine": 1}, one)
    assert summary.status == "finished"
    codes = {(item.site, item.code) for item in summary.quarantined}
    assert codes >= {(site, "site-refused.unfit-numbers") for site in one.attacks}
    assert len({site for site, _ in codes}) <= 3  # nobody beyond its bucket


def test_only_liars_run_another_app_and_only_their_replies_differ(
    sign_flipped: tuple[RunDirectory, Summary], tmp_path: Path
) -> None:
    """Compares the norms of the first round, which the coordinator of a plaintext run records."""
    told: dict[str, Scalar] = {**TWO, "num-server-rounds": 1}
    idle, _ = run_with(tmp_path / "free-rider", told, two_liars("free-rider"))
    reversing, without = norms_of(sign_flipped[0]), norms_of(idle)
    liars = two_liars("sign-flip").attacks
    for site in SITES:
        assert (reversing[site] == without[site]) is (site not in liars)
    assert all(without[site] == 0 for site in liars)


def norms_of(run: RunDirectory) -> dict[str, float]:
    """Return the norm of each site's first update."""
    line = json.loads(run.evidence.read_text().splitlines()[0])
    return dict(zip(line["sites"], line["norms"], strict=True))


def test_an_omniscient_liar_knows_exactly_what_honest_sites_send(tmp_path: Path) -> None:
    """Both liars send the same, and the norm follows from the honest mean."""
    run, _ = run_with(tmp_path / "run", {**TWO, "num-server-rounds": 1}, two_liars("inner-product"))
    norms = norms_of(run)
    first, second = (norms[site] for site in two_liars("nan").attacks)
    assert first == second
    true = [norms[site] for site in honest()]
    # 2 (15 - 2) / 2 times the mean of the honest, which is no longer than the longest of them
    assert 5 * np.median(true) < first <= 13 * max(true)


def test_a_liar_cannot_claim_more_than_the_charter_allows(tmp_path: Path) -> None:
    """Where counts are weights it claims as much as it may, and outweighs the others."""
    settings: Mapping[str, Scalar] = {"weighting": "examples", "num-server-rounds": 2}
    run, summary = run_with(tmp_path / "run", settings, two_liars("weight-inflation"))
    assert summary.quarantined == []
    assert auc(run) < 0.35


def test_liars_that_send_nan_are_left_out_of_the_round(tmp_path: Path) -> None:
    _, summary = run_with(tmp_path / "run", {**TWO, "num-server-rounds": 1}, two_liars("nan"))
    assert quarantine_records(summary) == {
        (1, site, "non-finite-update") for site in two_liars("nan").attacks
    }


def test_the_summary_records_what_the_rule_promised(
    sign_flipped: tuple[RunDirectory, Summary],
) -> None:
    _, summary = sign_flipped
    promised = summary.protection
    assert promised is not None
    assert (promised.rule, promised.liars, promised.voters) == ("trimmed-mean", 2, 15)
    assert (promised.voters_needed, promised.spare, promised.smallest_consortium) == (5, 10, 5)
    assert promised.bytes_down_per_site == 4 * summary.dim


def quarantine_records(summary: Summary) -> set[tuple[int, str, str]]:
    return {(item.server_round, item.site, item.code) for item in summary.quarantined}
