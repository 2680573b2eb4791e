"""The commands for runs, with a stand-in for the SuperLink."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.charter.document import Charter, Floors
from consortium.cli.main import app as whole
from consortium.cli.run import NothingRuns, RunExists, app
from consortium.config import BadConfig
from consortium.coordinator.later_runs.later_evaluation import NothingWithheld
from consortium.coordinator.resume import NotResumable
from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed
from consortium.deployment.run_orders import RunOrder, last_run
from consortium.deployment.superlink import SuperLink
from consortium.modes.contract import OutsideCharter
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import NotACoordinator
from scenarios.engines.runner import ScenarioRun as Scenario
from scenarios.engines.runner import run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.consortium.founded import Founded, found

HEART = scenario_named("heart-diagnosis")
commands = CliRunner()


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The summary of a finished run."""
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("run"), named=None)
    run_scenario(Scenario(scenario=HEART, config=HEART.config_with({"num-server-rounds": 1})), run)
    said: dict[str, object] = json.loads(run.summary.read_text())
    return said


@pytest.fixture
def coordinator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, summary: dict[str, object]
) -> Path:
    """A coordinator whose SuperLink accepts every order, and whose runs end as a file says.

    Its members allow runs in the clear, too.
    """
    founded: Founded = found(tmp_path / "banks")
    founded.provision()
    founded.install()
    require(founded.coordinator, floors=Floors())

    def submit(self: Control, order: RunOrder) -> int:
        order.write(self.superlink.directory)
        ends = self.superlink.directory / "ends"
        run = RunDirectory(order.run)
        run.coordinator.mkdir(exist_ok=True)
        run.run_config.write_text(json.dumps(dict(order.config)))
        said = {**summary, "status": ends.read_text() if ends.exists() else "finished"}
        run.summary.write_text(json.dumps(said))
        return 7

    monkeypatch.setattr(Control, "submit_order", submit)
    monkeypatch.setattr(SuperLink, "require_up", lambda _self: None)
    return founded.coordinator


def require(coordinator: Path, **said: object) -> None:
    """Let the charter in force say something else."""
    path = coordinator / "charter.json"
    Charter.read(path).model_copy(update=said).write(path)


def test_a_run_is_of_the_charter_in_force_and_says_its_model(
    coordinator: Path, summary: dict[str, object]
) -> None:
    said = commands.invoke(app, ["run", str(coordinator), "--name", "a", "--set", "quorum=3"])
    assert said.exit_code == 0, said.output
    assert f"finished: 1 round, model {summary['model_digest']}" in said.output
    assert "warning" not in said.output
    run = RunDirectory(coordinator.resolve() / "runs" / "a")
    assert run.charter.read_text() == (coordinator / "charter.json").read_text()
    assert last_run(coordinator) == run.path
    assert json.loads((coordinator / "order.json").read_text())["config"]["quorum"] == 3
    waited = commands.invoke(app, ["wait", str(coordinator)])
    assert waited.output.startswith("finished: 1 round, model")


@pytest.mark.parametrize("words", [["run", "--name", "a"], ["stop"]])
def test_what_needs_a_superlink_says_how_to_start_it_and_leaves_nothing(
    words: list[str], tmp_path: Path
) -> None:
    """An empty directory would be in the way of the run that is started next."""
    founded = found(tmp_path)
    founded.provision()
    founded.install()
    refused = commands.invoke(app, [words[0], str(founded.coordinator), *words[1:]]).exception
    assert isinstance(refused, LaunchFailed)
    assert f"`consortium coordinator up {founded.coordinator} --detach`" in str(refused)
    assert not (founded.coordinator / "runs").exists()


def test_the_end_of_a_run_says_who_is_not_in_it_and_why(
    coordinator: Path, summary: dict[str, object]
) -> None:
    """With the code, its counts and the coordinator's log; `status` says the same."""
    commands.invoke(app, ["run", str(coordinator), "--name", "a"])
    run = RunDirectory(coordinator.resolve() / "runs" / "a")
    refused = {"server_round": 0, "code": "site-refused.bad-table", "counts": {"values": 7}}
    left_out = {
        "sites": [{"name": "east", "present": True}, {"name": "west", "present": False}],
        "quarantined": [{"site": "west", **refused}],
    }
    run.summary.write_text(json.dumps({**summary, **left_out}))
    reason = "site-refused.bad-table (values 7): Its data break the agreed schema"
    waited = commands.invoke(app, ["wait", str(coordinator)]).output.splitlines()
    assert waited[-2:] == [f"not in the run: west, {reason}", f"its log: {run.log}"]
    status = commands.invoke(whole, ["status", str(coordinator)]).output.splitlines()
    assert status[-2:] == [f"left out     west: {reason}", f"its log      {run.log}"]


def seed_of(coordinator: Path, name: str) -> object:
    """Return the seed that the directory of a run holds."""
    run = RunDirectory(coordinator / "runs" / name)
    return json.loads(run.run_config.read_text())["seed"]


def test_each_run_draws_a_seed_of_its_own_and_says_it(coordinator: Path) -> None:
    """Two runs from one start and seed would show the first update of who is in one of them."""
    for name in ("a", "b"):
        said = commands.invoke(app, ["run", str(coordinator), "--name", name, "--no-wait"])
        assert f", seed {seed_of(coordinator, name)}\n" in said.output
    assert seed_of(coordinator, "a") != seed_of(coordinator, "b")


def test_a_seed_that_is_given_is_the_seed_of_the_run(coordinator: Path) -> None:
    commands.invoke(app, ["run", str(coordinator), "--name", "a", "--no-wait", "--set", "seed=11"])
    assert seed_of(coordinator, "a") == 11


def test_members_are_left_out_by_name_and_their_operator_is_told_what_follows(
    coordinator: Path,
) -> None:
    words = ["run", str(coordinator), "--name", "a", "--no-wait"]
    said = commands.invoke(app, [*words, "--without", "west", "--without", "east"])
    config = json.loads((coordinator / "order.json").read_text())["config"]
    assert config["without"] == "east,west"
    for name in ("east", "west"):
        assert f"without {name}: " in said.output
    assert "under the charter's next revision" in said.output


def test_who_is_no_member_is_not_left_out(coordinator: Path) -> None:
    """Nothing is begun."""
    words = ["run", str(coordinator), "--name", "a", "--no-wait", "--without", "wset"]
    refused = commands.invoke(app, words).exception
    assert isinstance(refused, BadConfig)
    assert "wset is no member of the charter, which has east, north, west" in str(refused)
    assert not (coordinator / "runs" / "a").exists()


def test_a_resumed_run_keeps_its_seed(coordinator: Path) -> None:
    (coordinator / "ends").write_text("parked")
    commands.invoke(app, ["run", str(coordinator), "--name", "a"])
    drawn = seed_of(coordinator, "a")
    resumed = commands.invoke(app, ["resume", str(coordinator), "--no-wait"])
    assert f", seed {drawn}\n" in resumed.output
    assert json.loads((coordinator / "order.json").read_text())["config"]["seed"] == drawn


def test_a_run_whose_values_were_cut_off_ends_with_a_warning(
    coordinator: Path, summary: dict[str, object]
) -> None:
    summary = {**summary, "saturation": {"rounds": 1, "values": {"1": 4}}}
    said = commands.invoke(app, ["run", str(coordinator), "--name", "a"])
    assert said.exit_code == 0, said.output
    run = RunDirectory(coordinator.resolve() / "runs" / "a")
    run.summary.write_text(json.dumps(summary))
    waited = commands.invoke(app, ["wait", str(coordinator)])
    assert "warning: 4\N{NO-BREAK SPACE}values of the sites' updates" in waited.output


def test_no_run_takes_the_name_of_another(coordinator: Path) -> None:
    words = ["run", str(coordinator), "--name", "a", "--no-wait"]
    assert commands.invoke(app, words).exit_code == 0
    assert isinstance(commands.invoke(app, words).exception, RunExists)


def test_a_parked_run_is_resumed_as_it_was_started_and_a_finished_one_is_not(
    coordinator: Path,
) -> None:
    (coordinator / "ends").write_text("parked")
    words = ["run", str(coordinator), "--name", "a", "--set", "num-server-rounds=2"]
    assert isinstance(commands.invoke(app, words).exception, LaunchFailed)
    (coordinator / "ends").unlink()
    (coordinator / "order.json").unlink()
    resumed = commands.invoke(app, ["resume", str(coordinator), "--name", "a"])
    assert resumed.exit_code == 0, resumed.output
    order = json.loads((coordinator / "order.json").read_text())
    assert order["config"]["num-server-rounds"] == 2
    again = commands.invoke(app, ["resume", str(coordinator)])
    assert isinstance(again.exception, NotResumable)


def encrypted_run(coordinator: Path, **said: str) -> RunDirectory:
    """Order an encrypted run of a round, and return it as one that finished."""
    config = {"aggregation": "encrypted", "num-server-rounds": "1", "quorum": "2"}
    words = [word for key in config for word in ("--set", f"{key}={config[key]}")]
    commands.invoke(app, ["run", str(coordinator), "--name", "a", *words])
    run = RunDirectory(coordinator.resolve() / "runs" / "a")
    told = {
        **json.loads(run.summary.read_text()),
        "config": json.loads(run.run_config.read_text()),
        "charter_fingerprint": Charter.read(run.charter).fingerprint,
        **said,
    }
    run.summary.write_text(json.dumps(told))
    return run


def test_a_withheld_evaluation_is_ordered_for_the_model_of_its_run(
    coordinator: Path, summary: dict[str, object]
) -> None:
    run = encrypted_run(coordinator, withheld="withheld, because north counts for another roster")
    said = commands.invoke(app, ["evaluate", str(coordinator)])
    assert said.exit_code == 0, said.output
    order = json.loads((coordinator / "order.json").read_text())
    assert order["run"] == str(run.path.with_name("a-evaluation-1"))
    chosen = {"evaluate-model": summary["model_digest"], "num-server-rounds": 0, "quorum": 3}
    assert {**order["config"], **chosen} == order["config"]
    assert "figures" not in said.output  # the stand-in for the sites counted nothing


def test_a_period_is_ordered_for_the_model_of_its_run(
    coordinator: Path, summary: dict[str, object]
) -> None:
    run = encrypted_run(coordinator)
    for period in ("2026-03", "2026-04"):  # the second one follows the directory of the first
        words = ["monitor", str(coordinator), "--period", period, "--no-wait"]
        said = commands.invoke(app, words)
        assert said.exit_code == 0, said.output
        order = json.loads((coordinator / "order.json").read_text())
        assert order["run"] == str(run.path / "periods" / period)
        chosen = {"evaluate-model": summary["model_digest"], "num-server-rounds": 0}
        assert {**order["config"], **chosen, "period": period} == order["config"]
    again = commands.invoke(app, ["monitor", str(coordinator), "--period", "2026-03"])
    assert isinstance(again.exception, RunExists)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"withheld": ""}, "nothing was withheld"),
        ({"status": "parked"}, "resume it first"),
        ({"charter_fingerprint": "00" * 32}, "another revision"),
        ({"config": {"aggregation": "clear"}}, "in the clear"),
    ],
)
def test_nothing_is_evaluated_later_that_was_not_withheld(
    said: dict[str, object], why: str, coordinator: Path
) -> None:
    commands.invoke(app, ["run", str(coordinator), "--name", "a"])
    run = RunDirectory(coordinator.resolve() / "runs" / "a")
    told = {
        **json.loads(run.summary.read_text()),
        "config": {"aggregation": "encrypted"},
        "charter_fingerprint": Charter.read(run.charter).fingerprint,
        "withheld": "withheld, because north counts for another roster",
    }
    run.summary.write_text(json.dumps({**told, **said}))
    refused = commands.invoke(app, ["evaluate", str(coordinator), "--name", "a"]).exception
    assert isinstance(refused, NothingWithheld)
    assert why in str(refused)
    assert last_run(coordinator) == run.path


def test_a_parked_run_keeps_its_summary_when_the_coordinator_is_not_up(
    coordinator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (coordinator / "ends").write_text("parked")
    commands.invoke(app, ["run", str(coordinator), "--name", "a"])
    monkeypatch.undo()  # the SuperLink is none
    refused = commands.invoke(app, ["resume", str(coordinator)]).exception
    assert isinstance(refused, LaunchFailed)
    assert f"coordinator up {coordinator} --detach`" in str(refused)
    assert RunDirectory(coordinator / "runs" / "a").summary.exists()


def test_what_is_not_there_is_not_resumed(coordinator: Path) -> None:
    assert isinstance(commands.invoke(app, ["resume", str(coordinator)]).exception, NothingRuns)
    named = commands.invoke(app, ["resume", str(coordinator), "--name", "b"])
    assert isinstance(named.exception, NothingRuns)
    assert "there is no run b in" in str(named.exception)


@pytest.mark.parametrize("command", ["run", "resume", "evaluate", "wait", "stop"])
def test_a_command_on_runs_names_whose_directory_it_was_given(
    command: str, coordinator: Path
) -> None:
    site = commands.invoke(app, [command, str(coordinator.parent / "east")]).exception
    assert isinstance(site, NotACoordinator)
    assert "east is the directory of a site: name that of the coordinator" in str(site)
    commands.invoke(app, ["run", str(coordinator), "--name", "a", "--no-wait"])
    run = commands.invoke(app, [command, str(coordinator / "runs" / "a")]).exception
    assert isinstance(run, NotACoordinator)
    assert f"name the directory of its coordinator, {coordinator.resolve()}" in str(run)


def test_a_run_is_named_among_those_there_are(coordinator: Path) -> None:
    for name in ("a", "b"):
        commands.invoke(app, ["run", str(coordinator), "--name", name, "--no-wait"])
    said = commands.invoke(app, ["evaluate", str(coordinator), "--name", "c"]).exception
    assert isinstance(said, NothingRuns)
    assert "there is no run c in" in str(said)
    assert {*str(said).rpartition("it has ")[2].split(", ")} == {"a", "b"}


def test_a_round_is_awaited(coordinator: Path) -> None:
    commands.invoke(app, ["run", str(coordinator), "--name", "a", "--no-wait"])
    events = RunDirectory(coordinator / "runs" / "a").events
    events.write_text('{"event": "round-started", "server_round": 3}\n')
    assert commands.invoke(app, ["wait", str(coordinator), "--round", "2"]).output == (
        "round 3 has started\n"
    )


def test_every_run_that_goes_on_is_stopped(
    coordinator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []
    runs = [{"run-id": 4, "status": "running"}, {"run-id": 3, "status": "finished:completed"}]
    monkeypatch.setattr(Control, "runs", lambda _self: runs)
    monkeypatch.setattr(Control, "stop_run", lambda _self, number: stopped.append(number))
    assert commands.invoke(app, ["stop", str(coordinator)]).output == "stopped 4\n"
    assert stopped == [4]


def test_the_status_of_either_end_is_told(coordinator: Path) -> None:
    commands.invoke(app, ["run", str(coordinator), "--name", "a", "--no-wait"])
    of_coordinator = commands.invoke(whole, ["status", str(coordinator)]).output
    assert "SuperLink    down" in of_coordinator
    assert "run          a" in of_coordinator
    of_site = commands.invoke(whole, ["status", str(coordinator.parent / "east")]).output
    assert of_site.startswith("site         east")


def test_what_the_charter_does_not_allow_is_refused_before_there_is_a_run(
    coordinator: Path,
) -> None:
    require(coordinator, suite="x25519")
    words = ["run", str(coordinator), "--set", "aggregation=encrypted", "--set", "masks=true"]
    refused = commands.invoke(app, words).exception
    assert isinstance(refused, OutsideCharter)
    assert not (coordinator / "runs").exists()


def test_before_a_masked_run_its_operator_is_told_who_is_waited_for(coordinator: Path) -> None:
    words = ["run", str(coordinator), "--name", "a", "--no-wait", "--set", "aggregation=encrypted"]
    plain = commands.invoke(app, [*words, "--set", "masks=false"]).output
    words[3] = "b"
    masked = commands.invoke(app, words).output
    assert "without masks the coordinator together with one member can open" in plain
    assert "masks: 3 of 3 sites confirm each sum before it opens" in masked
