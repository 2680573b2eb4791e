"""`consortium resume --without`: from the draft of a revision to the run that goes on under it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.charter.document import Charter
from consortium.cli.main import app as consortium
from consortium.cli.run import app
from consortium.coordinator.resume import NotResumable, write_run_config
from consortium.deployment.control_client import Control
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.provisioning.charter_drafts import read_signatures
from consortium.run.directory import RunDirectory
from privacy.secrets.masked_runs.reached_states import StateNotHeld
from tests.consortium.founded import found
from tests.masked_runs import GONE, ROUNDS, Parked, parked
from tests.small_consortium import configured
from tests.typed import typed

commands = CliRunner()
STAY = ("east", "north", "south")


@pytest.fixture
def waits(tmp_path: Path) -> Parked:
    return parked(tmp_path / "run")


@pytest.fixture
def coordinator(waits: Parked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A coordinator with the parked run `a`, whose SuperLink accepts every order."""
    founded = found(tmp_path / "banks")
    founded.provision()
    founded.install()
    waits.consortium.charter.write(founded.coordinator / "charter.json")
    run = RunDirectory(founded.coordinator / "runs" / "a")
    shutil.copytree(waits.consortium.run.vault, run.vault)
    waits.consortium.charter.write(run.charter)
    write_run_config(run, configured({"masks": True}))

    def submit(self: Control, order: RunOrder) -> int:
        order.write(self.superlink.directory)
        return 7

    monkeypatch.setattr(Control, "submit_order", submit)
    monkeypatch.setattr(SuperLink, "require_up", lambda _self: None)
    return founded.coordinator


def test_all_who_remain_sign_that_a_run_goes_on_and_then_it_does(
    coordinator: Path, waits: Parked
) -> None:
    words = ["resume", str(coordinator), "--name", "a", "--without", GONE, "--no-wait"]
    drafted = commands.invoke(app, words)
    assert drafted.exit_code == 0, drafted.output
    revision = RunDirectory(coordinator.resolve() / "runs" / "a").revision
    assert f"{revision}: revision 2, members east, north, south" in drafted.output
    assert "what this lets be estimated: the sums so far hold west" in drafted.output
    assert "type this once more" in drafted.output
    assert not (coordinator / "order.json").exists()
    assert commands.invoke(app, words).output == drafted.output
    for name in STAY:
        said = typed(consortium, "charter", "sign", revision, waits.consortium.run.site(name))
        assert f"run {waits.run} goes on from state {waits.state.hex()}" in said
    agreed = Charter.read(revision)
    read_signatures(revision).require_all(agreed)
    assert f"goes on     run {waits.run}" in typed(consortium, "charter", "show", revision)
    agreed.write(coordinator / "charter.json")
    begun = commands.invoke(app, words)
    assert begun.exit_code == 0, begun.output
    order = json.loads((coordinator / "order.json").read_text())
    to = coordinator.resolve() / "runs" / "a-continued-1"
    assert order["run"] == str(to)
    assert order["config"]["continues"] == waits.run
    assert order["config"]["num-server-rounds"] == ROUNDS - 1
    assert Charter.read(RunDirectory(to).charter) == agreed
    commands.invoke(app, words)
    assert (to.with_name("a-continued-2")).exists()


def test_who_did_not_reach_the_state_does_not_sign(coordinator: Path, waits: Parked) -> None:
    """Its signature would say that it goes on from there."""
    words = ["resume", str(coordinator), "--name", "a", "--without", GONE]
    commands.invoke(app, words)
    revision = RunDirectory(coordinator.resolve() / "runs" / "a").revision
    new = waits.consortium.run.path / "new"
    shutil.copytree(waits.consortium.run.site("east"), new, ignore=shutil.ignore_patterns("memory"))
    for site in (waits.consortium.run.site(GONE), new):
        refused = CliRunner().invoke(consortium, ["charter", "sign", str(revision), str(site)])
        assert isinstance(refused.exception, StateNotHeld)
    assert not read_signatures(revision).signatures


def test_under_another_revision_it_does_not_go_on(coordinator: Path, waits: Parked) -> None:
    other = waits.consortium.charter.model_copy(update={"revision": 2})
    other.write(coordinator / "charter.json")
    words = ["resume", str(coordinator), "--name", "a", "--without", GONE]
    refused = commands.invoke(app, words).exception
    assert isinstance(refused, NotResumable)
    assert "does not say that this run goes on without west" in str(refused)
