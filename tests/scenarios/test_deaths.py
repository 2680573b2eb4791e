"""Crashes: each party is killed in each phase, in the clear and encrypted, with real signals.

Every run needs all its sites, so that there is one right model: that of an undisturbed run in one
process. Whoever was killed comes back; a run that did not finish says why, and is resumed. In one
run every party is killed, each in another phase, while unregistered nodes try to get in; in each of
the others, one party is killed in every phase. The bundle of every run is hostile.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import psutil
import pytest

from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.charter.addresses import own_door
from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.resume import interrupted_config
from consortium.deployment.control_client import Control
from consortium.deployment.processes import end_processes
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.deployment.supervisor import kill_service, stop_service
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import is_led
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import HOST, running_consortium, set_up_consortium
from scenarios.engines.runner import ScenarioRun as InProcess
from scenarios.engines.runner import run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from tests.benchmarks.foreign_apps import BEHIND
from tests.scenarios.engines.test_deployment import (
    ending_of,
    importers,
    intruders,
    make_hostile,
    require_turned_away,
    revoke,
    started_under,
)
from tests.thin_line import Line, thin_line

pytestmark = pytest.mark.timeout(900)

SITES = ("cleveland", "hungary", "switzerland")  # as few as an encrypted sum may have
HEART = replace(scenario_named("heart-diagnosis"), sites=SITES)
TWO = replace(HEART, sites=SITES[:2])  # in the clear
VICTIM = "hungary"
PHASES = {"statistics": 0, "training": 1, "evaluation": 2}
END_LIMIT_S = 600.0
CUT_S = 30.0
LOOK_S = 0.02


def config_of(mode: str, scenario: Scenario = HEART, *, rounds: int = 1) -> RunConfig:
    """Return the config of a run, by default of one round, that all sites must answer."""
    return scenario.config_with(
        {
            "num-server-rounds": rounds,
            "quorum": len(scenario.sites),
            "aggregation": mode,
            "deadline-s": 60.0,
            "join-deadline-s": 120.0,
        }
    )


@dataclass
class Deployed:
    """A consortium of processes that may be killed."""

    run: RunDirectory
    control: Control
    sites: list[Path]
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    line: Line = field(init=False)

    def site_dies(self) -> None:
        """Kill all processes of a site, then start it again under a supervisor.

        For a while the SuperLink takes the old node for alive, and turns the new one away.
        """
        node = SuperNode(self.run.site(VICTIM))
        kill_service(node)
        up = ["site", "up", str(node.directory), "--detach"]
        subprocess.run([sys.executable, "-m", "consortium.cli.main", *up], check=True)

    def server_app_dies(self) -> None:
        """Kill the process that leads the run, and nothing else."""
        family = self.control.superlink.mark.marked_processes()
        leading = [one for one in family if "flwr-serverapp" in " ".join(one.cmdline())]
        assert leading
        kill(leading)

    def superlink_dies(self) -> None:
        """Kill the SuperLink only; then do what its supervisor does."""
        link = self.control.superlink
        family = link.mark.marked_processes()
        kill([one for one in family if "flower-superlink" in " ".join(one.cmdline())])
        end_processes(link.mark.marked_processes())
        self.started.append(link.start())

    def line_is_cut(self) -> int:
        """Disconnect every site for half a minute; return how many connections were reset."""
        reset = self.line.cut()
        time.sleep(CUT_S)
        self.line.mend()
        return reset

    def reached(self, phase: str) -> None:
        """Wait until a phase begins; resume the run if it ended before."""

        def begun() -> bool:
            return is_asked(self.run, PHASES[phase])

        while not begun():
            wait_until(lambda: begun() or not is_led(self.run.leader))
            if not begun():
                self.go_on()

    def ended(self) -> Summary:
        """Wait for the end of the run, and resume it until it is finished."""
        wait_until(lambda: not is_led(self.run.leader))
        while self.status != "finished":
            self.go_on()
            wait_until(lambda: not is_led(self.run.leader))
        return read_record(self.run.summary, Summary)

    def go_on(self) -> None:
        """Resume an unfinished run as soon as no process leads it any more."""
        wait_until(lambda: not is_led(self.run.leader))
        config = interrupted_config(self.run)
        self.run.summary.unlink(missing_ok=True)
        self.control.submit_order(RunOrder(run=self.run.path, config=config.flat()))
        # what is left of a short run is over before one has looked
        wait_until(lambda: is_led(self.run.leader) or self.run.summary.exists())

    @property
    def status(self) -> str:
        """The status in the run's summary; empty if there is none."""
        if not self.run.summary.exists():
            return ""
        summary = read_record(self.run.summary, Summary)
        assert summary.status == "finished" or summary.error
        return summary.status


def is_asked(run: RunDirectory, number: int) -> bool:
    """Return whether the sites are asked for a round."""
    wanted = f'"event": "round-started", "server_round": {number}'
    return run.events.exists() and wanted in run.events.read_text()


def wait_until(came: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a time limit."""
    until = time.monotonic() + END_LIMIT_S
    while not came():
        assert time.monotonic() < until
        time.sleep(LOOK_S)


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes with SIGKILL."""
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)


@contextmanager
def running_deployment(
    folder: Path, mode: str, *, scenario: Scenario = HEART, listen: str = HOST, rounds: int = 1
) -> Iterator[Deployed]:
    """Start a consortium and a run; end all of it afterwards.

    Args:
        folder: Directory for everything.
        mode: Aggregation mode of the run.
        scenario: The consortium.
        listen: Address of the SuperLink; unless `HOST`, sites reach it through a proxy.
        rounds: Of the run.
    """
    run = new_run_directory(scenario, under=folder, named=None)
    stage(run, scenario, config=scenario.config_with({"aggregation": mode}))
    sites = [run.site(name) for name in scenario.sites]
    office = run.path / "deployment"
    door = own_door(set_up_consortium(office, run.charter, sites, hosts=sorted({HOST, listen})))
    with ExitStack() as stack:
        there = Deployed(run, Control(SuperLink(office / "coordinator")), sites)
        if listen != HOST:
            line = thin_line((door.host, door.port), (listen, door.port), share=0.0)
            there.line = stack.enter_context(line)
        stack.enter_context(running_consortium(office / "coordinator", sites, listen=listen))
        make_hostile(office / "coordinator" / "app", run.path / "marker")
        config = config_of(mode, scenario, rounds=rounds)
        there.control.submit_order(RunOrder(run=run.path, config=config.flat()))
        wait_until(lambda: is_led(run.leader))
        try:
            yield there
        finally:
            stop_service(SuperNode(run.site(VICTIM)))
    for process in there.started:
        process.wait()


def undisturbed_digest(
    folder: Path, mode: str, scenario: Scenario = HEART, *, rounds: int = 1
) -> str:
    """Return the model digest of a run in one process."""
    run = new_run_directory(scenario, under=folder / "undisturbed", named=None)
    order = InProcess(scenario=scenario, config=config_of(mode, scenario, rounds=rounds))
    return run_scenario(order, run).model_digest


@pytest.fixture(scope="module")
def right_digest(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function from mode to the model digest of an undisturbed run, made once."""
    return cache(lambda mode: undisturbed_digest(tmp_path_factory.mktemp(mode), mode))


WHO: dict[str, Callable[[Deployed], None]] = {
    "site": Deployed.site_dies,
    "server app": Deployed.server_app_dies,
    "superlink": Deployed.superlink_dies,
}


def require_right(there: Deployed, summary: Summary, digest: str) -> None:
    """Check the model and evidence of a run, and that none of its processes is alive."""
    assert (summary.status, summary.model_digest) == ("finished", digest)
    charter = Charter.read(there.run.charter)
    logs = [read_log(path, charter) for path in find_logs(there.run.path)]
    assert len(logs) == 1 + len(there.sites)
    require_agreement(logs)
    assert started_under(there.run.path) == []
    assert importers(there.run.path / "marker") == {"flwr"}  # which packs it; so it was hostile
    for private in (*there.sites, there.run.path / "deployment" / "coordinator"):
        assert private.stat().st_mode & 0o077 == 0


def require_forked(sites: list[Path]) -> None:
    """Check that message handlers are forked: no message token is on a command line."""
    for site in sites:
        lines = []
        for process in SuperNode(site).mark.marked_processes():
            with suppress(psutil.NoSuchProcess):
                lines.append(process.cmdline())
        assert any(line[-1:] == ["prepared"] for line in lines)
        assert not any("--token" in line for line in lines)


def test_the_model_is_right_when_who_leads_the_run_crashes(tmp_path: Path) -> None:
    """Two sites, in the clear; the runs below need more processes, and are long."""
    with running_deployment(tmp_path, "clear", scenario=TWO) as there:
        there.reached("training")
        there.server_app_dies()
        require_forked(there.sites)
        summary = there.ended()
    require_right(there, summary, undisturbed_digest(tmp_path, "clear", TWO))


@pytest.mark.slow
def test_the_model_is_right_when_every_party_crashes_in_one_run(
    tmp_path: Path, right_digest: Callable[[str], str]
) -> None:
    """Each crashes in another phase of an encrypted run; unregistered nodes try to get in, too.

    Afterwards a member is revoked, and tries to come back.
    """
    with (
        running_deployment(tmp_path, "encrypted") as there,
        intruders(there.run.site(VICTIM), tmp_path) as knocking,
    ):
        there.reached("statistics")
        there.site_dies()
        there.reached("training")
        there.server_app_dies()
        there.reached("evaluation")
        require_forked(there.sites)
        assert len(there.control.active_runs()) == 1  # what Flower took for the dead one is stopped
        require_turned_away(knocking)
        assert len(there.control.nodes()) == len(SITES)
        there.superlink_dies()
        summary = there.ended()
        assert ending_of(there.control, config_of("encrypted")) == "finished:failed"
        told = revoke(there.control, there.run.site(SITES[-1]), SITES[-1])
        assert "Failed to activate SuperNode" in told
        assert len(there.control.nodes()) == len(SITES) - 1
    require_right(there, summary, right_digest("encrypted"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["clear", "encrypted"])
def test_a_cut_connection_costs_nothing_but_time(
    mode: str, tmp_path: Path, right_digest: Callable[[str], str]
) -> None:
    with running_deployment(tmp_path, mode, listen=BEHIND) as there:
        there.reached("training")
        assert there.line_is_cut() > 0
        summary = there.ended()
    require_right(there, summary, right_digest(mode))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["clear", "encrypted"])
@pytest.mark.parametrize("who", WHO)
def test_the_model_is_right_and_logs_agree_if_one_party_crashes_in_every_phase(
    who: str, mode: str, tmp_path: Path, right_digest: Callable[[str], str]
) -> None:
    with running_deployment(tmp_path, mode) as there:
        for phase in PHASES:
            there.reached(phase)
            WHO[who](there)
        summary = there.ended()
    require_right(there, summary, right_digest(mode))
