"""One run of a scenario: staged, run on the chosen engine, reported."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import scenarios
from consortium.charter.document import Charter
from consortium.client_app import app as client_app
from consortium.config import RunConfig
from consortium.coordinator.resume import interrupted
from consortium.deployment.app_bundle import RUNTIME_PACKAGES, Bundle
from consortium.deployment.simulation import simulate
from consortium.protocol.robustness_estimate import in_words, protection_of
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from consortium.site.directory import SiteDirectory
from consortium.site.site import model_plan
from privacy.errors import ConsortiumError
from scenarios.attacks.assignment import NOBODY, AttackAssignment, path_in
from scenarios.attacks.malicious_client import app as lying_app
from scenarios.engines.deployment import deploy
from scenarios.engines.file_limits import allow_open_files
from scenarios.engines.in_process import SiteApp, run_in_process
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from scenarios.scenario import Engine, Scenario
from sites.data.source import DataSource
from sites.tasks.registry import task_for


class RunFailed(ConsortiumError, RuntimeError):
    """A run ended before its last round; what it reached is in its directory."""

    code = "run-failed"


class RunParked(RunFailed):
    """A run waits for sites that were missing; it can be resumed."""

    code = "run-parked"


class NoLiarsThere(ConsortiumError, ValueError):
    """Liars were asked for on an engine that runs installed code only."""

    code = "no-liars-there"


@dataclass(frozen=True, kw_only=True)
class ScenarioRun:
    """What a person asked for.

    Args:
        scenario: What is run.
        config: The run config.
        engine: In this process, on Flower's simulation engine, or deployed on this machine.
        own_data: A person's own data for some sites.
        lies: Who lies, and how.
        verbose: Whether Flower's own log is shown.
        ready: Called when all is staged, before anything runs.
    """

    scenario: Scenario
    config: RunConfig
    engine: Engine = "inprocess"
    own_data: Mapping[str, DataSource] = field(default_factory=dict)
    lies: AttackAssignment = NOBODY
    verbose: bool = False
    ready: Callable[[RunDirectory], None] = field(default=lambda run: None)


def carry_out(order: ScenarioRun, run: RunDirectory) -> Summary:
    """Stage and run a scenario in an empty run directory; return its summary.

    Guarantee: the directory says what happened, also when the run failed.

    Raises:
        RunParked: Too few sites took part in a round; the run can be resumed.
        RunFailed: The run ended with an error, which is named.
    """
    encrypted = order.config.aggregation == "encrypted"
    stage(
        run,
        order.scenario,
        order.own_data,
        with_keys=encrypted,
        lies=order.lies,
        unit=order.config.privacy.policy_unit,
    )
    order.ready(run)
    return _run(order, run)


def interrupted_order(run: RunDirectory, *, engine: Engine, verbose: bool) -> ScenarioRun:
    """Return what was asked of the run that was interrupted in a directory.

    Raises:
        NotResumable: There is none, or it is finished.
        ConsortiumError: The directory cannot be read, or is not one of a scenario.
    """
    config, lies = interrupted(run), path_in(run)
    return ScenarioRun(
        scenario=scenario_named(Charter.read(run.charter).name),
        config=config,
        engine=engine,
        lies=read_record(lies, AttackAssignment) if lies.exists() else NOBODY,
        verbose=verbose,
    )


def resume(order: ScenarioRun, run: RunDirectory) -> Summary:
    """Go on with a run from what it kept; return its summary.

    Guarantee: the model is that of a run that was not interrupted, whatever the engine.

    Raises:
        RunParked: Too few sites are there again.
        RunFailed: The run ended with an error, which is named.
    """
    run.summary.unlink(missing_ok=True)  # that of the interrupted run
    return _run(order, run)


def _run(order: ScenarioRun, run: RunDirectory) -> Summary:
    try:
        _ENGINES[order.engine](order, run)
    except ConsortiumError as error:
        if not run.summary.exists():
            raise
        raise _ended(read_record(run.summary, Summary), str(error)) from error
    summary = read_record(run.summary, Summary)
    if summary.status != "finished":
        raise _ended(summary, "")
    _collect_model(run, order.scenario)
    return summary


def _ended(summary: Summary, otherwise: str) -> RunFailed:
    text = summary.error or otherwise
    return RunParked(text) if summary.status == "parked" else RunFailed(text)


def _in_process(order: ScenarioRun, run: RunDirectory) -> None:
    with _named(run):
        run_in_process(
            server_app,
            _apps(order),
            num_sites=len(order.scenario.sites),
            run_config=order.config.flat(),
        )


def _simulation(order: ScenarioRun, run: RunDirectory) -> None:
    allow_open_files(len(order.scenario.sites))
    simulate(
        run,
        num_sites=len(order.scenario.sites),
        run_config=order.config.flat(),
        bundle=_WITH_LIARS if order.lies.answering else None,
        verbose=order.verbose,
    )


def _deployment(order: ScenarioRun, run: RunDirectory) -> None:
    if order.lies.answering:
        raise NoLiarsThere("a deployment runs installed code: try lies in process or simulated")
    deploy(run, order.scenario, order.config)


def _apps(order: ScenarioRun) -> dict[int, SiteApp]:
    """Return the app of each site: the product's, or a liar's."""
    liars = order.lies.answering
    return {
        index: lying_app if name in liars else client_app
        for index, name in enumerate(order.scenario.sites)
    }


# One bundle for all: there the wrapper lets every honest answer pass as it is.
_WITH_LIARS = Bundle(
    packages=(*RUNTIME_PACKAGES, scenarios), client_app="scenarios.attacks.malicious_client:app"
)

_ENGINES: Mapping[Engine, Callable[[ScenarioRun, RunDirectory], None]] = {
    "inprocess": _in_process,
    "simulation": _simulation,
    "deployment": _deployment,
}


@contextmanager
def _named(run: RunDirectory) -> Iterator[None]:
    """Name the run directory to the apps, as the launcher does for other processes."""
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
    """Copy the model that the sites hold to the run's directory: in the clear all may have it."""
    for name in scenario.sites:
        kept = SiteDirectory(run.site(name)).model
        if kept.exists():
            shutil.copytree(kept, run.model)
            return


def run_notes(scenario: Scenario, config: RunConfig, lies: AttackAssignment) -> Iterator[str]:
    """Yield the lines that stand before a run; none where nobody lies and none is expected.

    Raises:
        ConsortiumError: The rule could not keep its promise in this run.
    """
    expected = config.rule.num_byzantine or config.rule.name != "mean" or config.buckets > 1
    if expected or lies.attacks:
        plan = model_plan(config, scenario.table)
        task = task_for(scenario.task, scenario.table, plan, seed=config.seed)
        yield in_words(protection_of(config, scenario.charter, dim=task.layout.dim))
    for site in lies.attacks:
        yield f"{site} {lies.attack_of(site).what}"
    if len(lies.attacks) > config.rule.num_byzantine:
        yield (
            f"{len(lies.attacks)} lie and the rule is told of {config.rule.num_byzantine}: "
            "nothing is promised"
        )
