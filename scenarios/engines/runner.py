"""Run a scenario on the chosen engine, or resume an interrupted run."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import scenarios
from consortium.charter.document import Charter
from consortium.client_app import app as client_app
from consortium.config import RunConfig
from consortium.coordinator.pausing import pause_after
from consortium.coordinator.resume import interrupted_config
from consortium.coordinator.tracking.registry import trackers_in_environment
from consortium.deployment.app_bundle import RUNTIME_PACKAGES, Bundle
from consortium.deployment.simulation import simulate_run
from consortium.model.personal import PERSONAL
from consortium.modes.registry import mode_of
from consortium.protocol.robustness_estimate import in_words, protection_of
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from consortium.site.directory import SiteDirectory
from consortium.site.site import model_plan
from privacy.errors import ConsortiumError, require_library
from scenarios.attacks.assignment import NOBODY, AttackAssignment, liars_path
from scenarios.attacks.malicious_client import app as malicious_app
from scenarios.engines.file_limits import allow_open_files
from scenarios.engines.hubs import hub_apps
from scenarios.engines.in_process import SiteApp, run_in_process
from scenarios.engines.preconditions import require_hubs
from scenarios.engines.staging import stage
from scenarios.library.registry import SCENARIOS
from scenarios.scenario import Engine, Scenario, scenario_of_charter
from sites.data.source import DataSource
from sites.tasks.registry import task_for


class RunFailed(ConsortiumError, RuntimeError, code="run-failed"):
    """A run ended before its last round; its directory has what it reached."""


class RunParked(RunFailed, code="run-parked"):
    """A run stopped for lack of sites, or because it was asked to; it can be resumed."""


class NoLiarsThere(ConsortiumError, ValueError, code="no-liars-there"):
    """Liars that alter replies were asked for on an engine that runs installed code only."""


def do_nothing(_run: RunDirectory) -> None:
    """Do nothing; by its name, so that other processes can be told to."""


@dataclass(frozen=True, kw_only=True)
class ScenarioRun:
    """What the user asked for.

    Args:
        scenario: The scenario to run.
        config: The run config.
        engine: In this process, on Flower's simulation engine, or deployed on this machine.
        own_data: The user's own data, by site.
        lies: Which sites attack, and how.
        verbose: Whether Flower's own log is shown.
        track: Trackers that are told of the run (`parse_trackers`).
        num_hubs: How many hubs the sites stand behind; 0 for none.
        pause_after: The run is parked once the model of so many rounds is judged; None for its end.
        on_staged: Called once everything is staged, before anything runs.
    """

    scenario: Scenario
    config: RunConfig
    engine: Engine = "inprocess"
    own_data: Mapping[str, DataSource] = field(default_factory=dict)
    lies: AttackAssignment = NOBODY
    verbose: bool = False
    track: tuple[str, ...] = ()
    num_hubs: int = 0
    pause_after: int | None = None
    on_staged: Callable[[RunDirectory], None] = do_nothing


def run_scenario(order: ScenarioRun, run: RunDirectory) -> Summary:
    """Stage and run a scenario in an empty run directory; return its summary.

    Guarantee: the directory says what happened, even if the run failed.

    Raises:
        RunParked: Too few sites took part in a round, or it was to pause; it can be resumed.
        RunFailed: The run ended with an error, which the message repeats.
    """
    stage(
        run,
        order.scenario,
        order.own_data,
        config=order.config,
        lies=order.lies,
        num_hubs=order.num_hubs,
    )
    order.on_staged(run)
    return _run_on_engine(order, run)


def interrupted_run(run: RunDirectory, *, engine: Engine, verbose: bool) -> ScenarioRun:
    """Return what the user asked of the interrupted run in a directory.

    Raises:
        NotResumable: There is no run, or it is finished.
        ConsortiumError: The directory cannot be read.
    """
    config, lies = interrupted_config(run), liars_path(run)
    return ScenarioRun(
        scenario=_staged_scenario(Charter.read(run.charter)),
        config=config,
        engine=engine,
        lies=read_record(lies, AttackAssignment) if lies.exists() else NOBODY,
        verbose=verbose,
    )


def _staged_scenario(charter: Charter) -> Scenario:
    """Return the scenario of a staged charter: one of the library, or the user's own."""
    known = SCENARIOS.get(charter.name)
    if known is None or (known.table, known.sites) != (charter.table, charter.names):
        return scenario_of_charter(charter)
    return known


def resume_run(order: ScenarioRun, run: RunDirectory) -> Summary:
    """Resume a run from its last checkpoint; return its summary.

    Guarantee: the model is that of a run that was never interrupted, on every engine.

    Raises:
        RunParked: Too few sites took part again, or it was to pause.
        RunFailed: The run ended with an error, which the message repeats.
    """
    run.summary.unlink(missing_ok=True)  # of the interrupted run: its presence means "ended"
    return _run_on_engine(order, run)


def _run_on_engine(order: ScenarioRun, run: RunDirectory) -> Summary:
    num_hubs = len(Charter.read(run.charter).hubs)
    if num_hubs:
        require_hubs(order.engine, order.scenario, num_hubs, config=order.config)
    pause_after(run, order.pause_after)
    try:
        with trackers_in_environment(order.track):
            _ENGINES[order.engine](order, run)
    except ConsortiumError as error:
        # The ServerApp writes why it failed to the summary; engines say little or nothing.
        if not run.summary.exists():
            raise
        raise _failure_of(read_record(run.summary, Summary), str(error)) from error
    summary = read_record(run.summary, Summary)
    if summary.status != "finished":
        raise _failure_of(summary, "")
    _collect_model(run, order.scenario)
    return summary


def _failure_of(summary: Summary, otherwise: str) -> RunFailed:
    text = summary.error or otherwise
    return RunParked(text) if summary.status == "parked" else RunFailed(text)


def _run_in_process(order: ScenarioRun, run: RunDirectory) -> None:
    apps, charter = _site_apps(order), Charter.read(run.charter)
    with run_in_environment(run):
        run_in_process(
            server_app,
            hub_apps(run, charter, order.config, apps) if charter.hubs else apps,
            num_sites=len(order.scenario.sites),
            run_config=order.config.flat(),
        )


def _simulate(order: ScenarioRun, run: RunDirectory) -> None:
    require_library("to run the simulation engine", "ray", extra="simulation")
    allow_open_files(len(order.scenario.sites))
    simulate_run(
        run,
        num_sites=len(order.scenario.sites),
        run_config=order.config.flat(),
        bundle=_WITH_LIARS if order.lies.malicious_senders else None,
        verbose=order.verbose,
    )


def _deploy(order: ScenarioRun, run: RunDirectory) -> None:
    if order.lies.malicious_senders:
        raise NoLiarsThere(
            "a deployment runs installed code only: use another engine for this attack"
        )
    from scenarios.engines.deployment import deploy  # certificates: no other engine needs them

    deploy(run, order.scenario, order.config)


def _site_apps(order: ScenarioRun) -> dict[int, SiteApp]:
    """Return the app of each site by its index: the product's, or the malicious one."""
    liars = order.lies.malicious_senders
    return {
        index: malicious_app if name in liars else client_app
        for index, name in enumerate(order.scenario.sites)
    }


# Flower installs one bundle at all nodes: the malicious app passes honest replies on unchanged.
_WITH_LIARS = Bundle(
    packages=(*RUNTIME_PACKAGES, scenarios), client_app="scenarios.attacks.malicious_client:app"
)

_ENGINES: Mapping[Engine, Callable[[ScenarioRun, RunDirectory], None]] = {
    "inprocess": _run_in_process,
    "simulation": _simulate,
    "deployment": _deploy,
}


@contextmanager
def run_in_environment(run: RunDirectory) -> Iterator[None]:
    """Set the environment variable that names the run directory, as a launcher would."""
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(run.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENVIRONMENT]
        else:
            os.environ[ENVIRONMENT] = before


def _collect_model(run: RunDirectory, scenario: Scenario) -> None:
    """Copy the final model from a site to the run's directory, for reports and predictions."""
    # All sites have the same model: the first copy will do, without what is that site's own.
    for name in scenario.sites:
        kept = SiteDirectory(run.site(name)).model
        if kept.exists():
            shutil.copytree(kept, run.model, ignore=shutil.ignore_patterns(PERSONAL))
            return


def run_notes(scenario: Scenario, config: RunConfig, lies: AttackAssignment) -> Iterator[str]:
    """Yield the lines to print before a run: what its mode and its rule promise, and who lies.

    There are none if no attack is staged or defended against, and the mode has nothing to say.

    Raises:
        ConsortiumError: The rule cannot protect this consortium.
    """
    yield from mode_of(config).notes(config, scenario.charter)
    expected = config.rule.num_byzantine or config.rule.name != "mean" or config.buckets > 1
    if expected or lies.attacks:
        plan = model_plan(config, scenario.table)
        task = task_for(
            scenario.task, scenario.table, plan, seed=config.seed, learning=config.learning
        )
        yield in_words(protection_of(config, scenario.charter, dim=task.layout.dim))
    for site in lies.attacks:
        yield f"{site} {lies.attack_of(site).what}"
    if len(lies.attacks) > config.rule.num_byzantine:
        yield (
            f"{len(lies.attacks)} sites lie and rule.num-byzantine is {config.rule.num_byzantine}: "
            "the rule promises nothing"
        )
