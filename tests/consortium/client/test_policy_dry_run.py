"""What a site would say to a run is known before it starts."""

import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.audit.cross_check import read_log
from consortium.charter.document import Charter
from consortium.cli import main as cli
from consortium.cli import policy as cli_policy
from consortium.client.policy_dry_run import dry_run
from consortium.config import RunConfig
from privacy.policy.rate_limits import Coming, RateLimits
from privacy.wire import messages
from tests.consortium.staged import Ward, code_of, ward
from tests.decisions import decide

RUNNER = CliRunner()
NOON = 1_795_000_000.0


@pytest.fixture
def fresh(tmp_path: Path) -> Ward:
    return ward(tmp_path)


def refusals(directory: Path, charter: Charter, config: RunConfig, *, now: float) -> list[str]:
    """Return the codes and texts of what a site would refuse."""
    return [one.refused for one in dry_run(directory, charter, config, now=now) if one.refused]


def foreseen(at: Ward) -> list[str]:
    site = at.site
    told = refusals(site.directory, site.charter, site.run_config, now=time.time())
    return [one.partition(":")[0] for one in told]


def checked(at: Ward, *settings: str) -> tuple[int, str]:
    words = ["site", "check", str(at.site.directory), str(at.run.charter)]
    for setting in settings:
        words += ["--set", setting]
    told = RUNNER.invoke(cli.app, words, env={"COLUMNS": "200"})
    return told.exit_code, told.output


def test_a_site_that_would_take_part_says_so(fresh: Ward) -> None:
    assert foreseen(fresh) == []
    code, told = checked(fresh)
    assert code == 0
    assert "would take part" in told
    for what in ("task", "columns", "encryption", "rounds", "bytes in an answer"):
        assert what in told


def test_a_run_asks_for_as_many_evaluations_as_it_makes(fresh: Ward) -> None:
    decide(fresh.site.directory, evaluations_a_run=2)
    code, told = checked(fresh)
    assert code != 0
    assert "too-many-evaluations" in told
    code, told = checked(fresh, "evaluate-every=100")
    assert code == 0, told
    assert "would take part" in told


DECISIONS: dict[str, dict[str, object]] = {
    "task-not-allowed": {"tasks": ("credit",)},
    "learner-not-allowed": {"learners": ("describe",)},
    "model-not-allowed": {"models": ("linear",)},
    "columns-not-allowed": {"columns": ("age",)},
    "layout-not-allowed": {"max_dim": 3},
    "encryption-required": {"require_encryption": True},
    "privacy-required": {"privacy": {"required": True}},
    "crowd-too-small": {"min_sites": 9},
    "too-many-rounds": {"pace": {"rounds_per_run": 1}},
    "too-many-bytes": {"volume": {"per_message": 10}},
    "too-few-examples": {"min_examples": 10_000},
    "outside-hours": {"windows": ({"opens": "00:00", "closes": "00:00"},)},
}


@pytest.mark.parametrize("code", DECISIONS)
def test_what_is_foreseen_is_what_the_gate_then_says(code: str, fresh: Ward) -> None:
    decide(fresh.site.directory, **DECISIONS[code])
    assert code in foreseen(fresh)
    question = messages.question(fresh.site.charter.fingerprint)
    assert code_of(fresh.ask(messages.STATISTICS, question)) in foreseen(fresh)
    exit_code, told = checked(fresh, "num-server-rounds=20")
    assert exit_code == 1
    assert code in told


def test_a_learner_that_is_not_allowed_is_foreseen_with_what_to_set(fresh: Ward) -> None:
    decide(fresh.site.directory, learners=("gradient",), models=())
    exit_code, told = checked(fresh, "learner=glm")
    assert exit_code == 1
    assert "learner-not-allowed" in told
    assert "model-not-allowed" not in told
    decide(fresh.site.directory, learners=("gradient", "glm"))
    exit_code, told = checked(fresh, "learner=glm")
    assert exit_code == 0, told


def test_a_stranger_and_a_tired_site_are_told(fresh: Ward) -> None:
    site = fresh.site
    members = tuple(one for one in site.charter.members if one.name != "hungary")
    stranger = site.charter.model_copy(update={"members": members})
    told = refusals(site.directory, stranger, site.run_config, now=NOON)
    assert [one.partition(":")[0] for one in told] == ["not-a-member"]
    traffic = RateLimits(site.directory / "traffic")
    policy = decide(site.directory, pace={"rounds_per_day": 20})
    for number in range(1, 21):
        traffic.admit(Coming(at=NOON, run="1", server_round=number), policy)
    traffic.close()
    told = refusals(site.directory, site.charter, site.run_config, now=NOON + 1)
    assert [one.partition(":")[0] for one in told] == ["too-often"]


def test_private_training_is_described(fresh: Ward) -> None:
    decide(
        fresh.site.directory,
        privacy={"unit": "person", "ceilings": {"*": {"epsilon": 1.0, "delta": 1e-5}}},
    )
    code, told = checked(fresh, "dp.unit=record", "dp.epsilon=2.5", "dp.delta=1e-6")
    assert code == 1
    assert "weaker-unit" in told
    assert "epsilon-too-large" in told


def test_everything_stops_and_goes_on_by_a_command_and_both_are_evidence(fresh: Ward) -> None:
    directory = fresh.site.directory
    question = messages.question(fresh.site.charter.fingerprint)
    assert RUNNER.invoke(cli.app, ["site", "stop-all", str(directory)]).exit_code == 0
    assert code_of(fresh.ask(messages.STATISTICS, question)) == "stopped"
    assert foreseen(fresh) == ["stopped"]
    assert RUNNER.invoke(cli.app, ["site", "allow", str(directory)]).exit_code == 0
    assert not code_of(fresh.ask(messages.STATISTICS, question))
    kinds = [one.event.kind for one in read_log(directory / "audit" / "log.jsonl").entries]
    assert [kind for kind in kinds if kind in ("stopped", "allowed", "refused")] == [
        "stopped",
        "refused",
        "allowed",
    ]


def test_the_table_says_what_is_allowed(fresh: Ward) -> None:
    site = fresh.site
    findings = dry_run(site.directory, site.charter, site.run_config, now=NOON)
    assert len({one.what for one in findings}) == len(findings) > 12
    assert cli_policy.REFUSED == 1


def test_a_run_that_does_not_fit_into_what_is_left_is_foreseen_with_the_numbers(
    fresh: Ward,
) -> None:
    """The ledger is asked, and nothing is reserved by asking."""
    ceilings = {"*": {"epsilon": 1.0, "delta": 1e-5}}
    decide(fresh.site.directory, privacy={"unit": "person", "ceilings": ceilings})
    within = ("dp.unit=person", "dp.noise-multiplier=4.0", "dp.steps=2", "num-server-rounds=2")
    code, told = checked(fresh, *within)
    assert code == 0, told
    assert "budget of privacy" in told
    assert re.search(r"4 steps at noise 4: epsilon [\d.]+ more +epsilon 1 for", told)
    assert re.search(r"over all runs: 0 spent, afterwards 0\.\d+ left", told)
    beyond = ("dp.unit=person", "dp.noise-multiplier=0.5", "dp.steps=20", "num-server-rounds=9")
    code, told = checked(fresh, *beyond)
    assert code == 1
    assert "budget-exhausted" in told
    assert not (fresh.site.directory / "ledger").exists()
