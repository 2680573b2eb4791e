"""Sites and a coordinator that version 0.1.0 deployed work with the version that is here.

tests/made_by_0_1_0/README.md says how they were made.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flwr.app import Context, Message

from consortium.charter.document import Charter, OtherKeys
from consortium.cli.main import app as consortium
from consortium.client.policy_dry_run import dry_run
from consortium.client_app import app as client_app
from consortium.config import RunConfig
from consortium.coordinator.resume import interrupted_config
from consortium.provisioning.enrolment import init_site, public_half
from consortium.provisioning.installation import (
    EarlierCharter,
    install_coordinator,
    install_site,
    read_nodes,
)
from consortium.report.ledger.statement import open_ledger
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from privacy.differential.budget import BudgetExhausted
from privacy.differential.ledger_entries import DataSet
from privacy.differential.mechanisms import SampledGaussian
from privacy.secrets.replay_guard import SiteMemory, StaleEpoch
from scenarios.engines.in_process import run_in_process
from sites.data.source import TableFile
from tests.made_by_0_1_0.unpacking import facts, unpack
from tests.typed import account, lines, typed

FACTS = facts()
MADE_AT = datetime.fromisoformat(FACTS["made_at"])
MEMBERS = ("cleveland", "hungary", "va")
LARGE = SampledGaussian(
    noise_multiplier=0.6, sampling_rate=0.2, steps=200, clip_norm=1.0, unit="person"
)
SMALL = SampledGaussian(
    noise_multiplier=8.0, sampling_rate=0.02, steps=5, clip_norm=1.0, unit="person"
)


def test_a_deployed_run_goes_on_where_its_machines_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sites are those that were installed; of Flower there is only the bus of this process."""
    place = unpack("deployed", tmp_path)
    run = RunDirectory(place / "coordinator" / "runs" / "third")
    before = {name: account(place / name) for name in MEMBERS}

    def answer(message: Message, context: Context) -> Message:
        index = context.node_config["partition-id"]
        context.node_config["site-dir"] = str(place / MEMBERS[int(str(index))])
        return client_app(message, context)

    config = interrupted_config(run)
    monkeypatch.setenv(ENVIRONMENT, str(run.path))
    run_in_process(server_app, answer, num_sites=3, run_config=config.flat())
    summary = read_record(run.summary, Summary)
    assert (summary.status, summary.rounds, summary.evaluated) == ("finished", 2, [*MEMBERS])
    for name in MEMBERS:
        after = account(place / name)
        assert after.spent.planned == pytest.approx(before[name].spent.planned, abs=1e-9)
        assert {line.state for line in after.lines if line.part.startswith("training")} == {"ended"}
    typed(consortium, "audit", "verify", run.path, *(place / name for name in MEMBERS))


def test_a_ledger_holds_two_runs_that_ended_and_one_that_did_not(tmp_path: Path) -> None:
    training = [
        line
        for line in account(unpack("deployed", tmp_path) / "va").lines
        if line.part.startswith("training")
    ]
    assert [line.state for line in training] == ["ended", "ended", "open"]
    assert [(line.reserved, line.counted) for line in training] == [(6, 6)] * 3
    assert len({line.run for line in training}) == 3
    shares = [line.epsilon_so_far for line in training]
    assert shares == sorted(shares)
    assert shares[0] > 0


def test_a_ledger_refuses_what_would_exceed_its_budget_beside_what_it_holds(
    tmp_path: Path,
) -> None:
    site = unpack("deployed", tmp_path) / "hungary"
    before = account(site)
    records = DataSet(name="records", fingerprint="0" * 64)
    with open_ledger(site) as ledger:
        with pytest.raises(BudgetExhausted):
            ledger.reserve(LARGE, data_set=records, run="another", budget=before.budget)
        assert account(site) == before
        ledger.reserve(SMALL, data_set=records, run="another", budget=before.budget)
    assert account(site).spent.planned > before.spent.planned
    assert account(site).lines[:-1] == before.lines
    said = typed(consortium, "site", "ledger", site, "--what-if", "0.6", "0.2", "200")
    assert "it does not fit" in said


ASKED = ("aggregation=encrypted", "model=logistic", "num-server-rounds=2", "dp.unit=person")


@pytest.mark.parametrize(
    ("epsilon", "answer"), [("0.5", "would take part"), ("2.99", "budget-exhausted")]
)
def test_an_installed_site_says_what_it_would_do(epsilon: str, answer: str, tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    words = ["site", "check", str(place / "cleveland"), str(place / "sent" / "charter.json")]
    for setting in (*ASKED, f"dp.epsilon={epsilon}", "dp.delta=1e-6"):
        words += ["--set", setting]
    said = typed(consortium, *words, status=int(answer == "budget-exhausted"))
    assert answer in said


def test_a_site_remembers_which_epoch_it_is_in_and_how_often_it_trained(tmp_path: Path) -> None:
    """Nobody can take it back to an earlier epoch, nor hurry it beyond its pace."""
    place = unpack("deployed", tmp_path)
    with SiteMemory(place / "va" / "memory") as memory:
        assert memory.last_epoch() == 1
        with pytest.raises(StaleEpoch):
            memory.accept_epoch(1, bytes(32))
    config = RunConfig.parse({"dp.unit": "person", "dp.epsilon": 0.5, "model": "logistic"})
    charter = Charter.read(place / "va" / "charter.json")
    now = (MADE_AT + timedelta(hours=1)).timestamp()
    found = {one.what: one for one in dry_run(place / "va", charter, config, now=now)}
    assert found["rounds left today"].asked == "6 trained in 24 hours"


def test_what_is_up_and_what_ran_last_is_said(tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    assert FACTS["deployed"]["fingerprint"][:8] in typed(consortium, "status", place / "va")
    assert "third" in typed(consortium, "status", place / "coordinator")


def test_the_charter_is_the_one_that_was_signed(tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    said = typed(consortium, "charter", "show", place / "sent" / "charter.json")
    assert f"fingerprint {FACTS['deployed']['fingerprint']}" in said
    assert said.count(" signed ") == 3
    assert "NOT SIGNED" not in said
    for party in ("coordinator", *MEMBERS):
        charter = Charter.read(place / party / "charter.json")
        assert charter.fingerprint == FACTS["deployed"]["fingerprint"]


@pytest.mark.parametrize("form", ["", ".tar.gz"])
def test_a_kit_is_installed_and_leaves_the_policy_alone(form: str, tmp_path: Path) -> None:
    """When it was made: its certificates do not last for ever."""
    place = unpack("deployed", tmp_path)
    kits = place / "provisioned" / "kits"
    for name in MEMBERS:
        policy = (place / name / "policy.json").read_bytes()
        charter = install_site(place / name, kits / f"{name}{form}", now=MADE_AT)
        assert charter.fingerprint == FACTS["deployed"]["fingerprint"]
        assert (place / name / "policy.json").read_bytes() == policy
        assert b'"require_encryption": false' in policy
    install_coordinator(place / "coordinator", kits / f"coordinator{form}", now=MADE_AT)
    keys = {name: public_half(place / name).node for name in MEMBERS}
    assert read_nodes(place / "coordinator") == keys


def test_a_site_that_only_made_its_keys_takes_its_first_kit(tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    site, kit = place / "va", place / "provisioned" / "kits" / "va.tar.gz"
    for name in ("charter.json", "signatures.json", "authority.pem", "policy.json"):
        (site / name).unlink()
    install_site(site, kit, now=MADE_AT)
    assert (site / "policy.json").exists()
    init_site(place / "false", name="va", source=TableFile(path=Path("x.csv")))
    with pytest.raises(OtherKeys):
        install_site(place / "false", kit, now=MADE_AT)


def test_a_charter_is_revised_and_nobody_goes_back(tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    agreed, later = place / "sent" / "charter.json", place / "va" / "charter.json"
    typed(consortium, "charter", "revise", agreed, "--to", later)
    assert Charter.read(later).revision > Charter.read(agreed).revision
    with pytest.raises(EarlierCharter):
        install_site(place / "va", place / "provisioned" / "kits" / "va", now=MADE_AT)


def test_the_logs_of_both_ends_agree(tmp_path: Path) -> None:
    place = unpack("deployed", tmp_path)
    runs = [place / "coordinator" / "runs" / name for name in ("first", "second", "third")]
    sites = [place / name for name in MEMBERS]
    charter = ("--charter", place / "sent" / "charter.json")
    for run in runs:
        said = typed(consortium, "audit", "verify", run, *sites, *charter)
        assert said.count("in the charter") == 3
    said = typed(consortium, "audit", "verify", runs[0], sites[2], *charter, "--ledger", sites[2])
    assert "the ledger of va continues all" in said
    page = place / "receipt.html"
    typed(consortium, "audit", "receipt", runs[0], *charter, "--out", page)
    assert "<html" in page.read_text()


def test_what_happened_is_shown_line_by_line(tmp_path: Path) -> None:
    site = unpack("deployed", tmp_path) / "va"
    said = typed(consortium, "audit", "show", site)
    kinds = [one["entry"]["kind"] for one in lines(site / "audit" / "log.jsonl")]
    assert len(kinds) > 50
    shown = re.findall(r"(?m)^\d+ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +(\S+)", said)
    assert shown == kinds


def test_secret_files_are_their_owners_only(tmp_path: Path) -> None:
    """Of the fixtures: a site opens nothing that others may read."""
    place = unpack("deployed", tmp_path)
    for path in place.rglob("*.secret"):
        assert path.stat().st_mode & 0o777 == 0o600
    for name in ("coordinator", *MEMBERS):
        assert (place / name).stat().st_mode & 0o777 == 0o700
