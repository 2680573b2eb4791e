"""Check what the user asked of `scenario run`, `compare` or `resume`, then run it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from consortium.cli.options import parse_overrides
from consortium.config import Scalar
from consortium.coordinator.tracking.registry import parse_trackers
from consortium.run.directory import RunDirectory
from consortium.run.logs import log_in_detail
from consortium.run.records import Summary
from privacy.errors import ConsortiumError, number_of
from scenarios.attacks.assignment import NOBODY, AttackAssignment, draw_liars
from scenarios.cli.left_out import print_absences
from scenarios.cli.progress import show_progress
from scenarios.cli.terminal import (
    FAILED,
    console,
    errors,
    exit_failed,
    exit_on_refusal,
    exit_refused,
    write_report,
)
from scenarios.engines.preconditions import hubs_in_words, require_hubs, require_runnable
from scenarios.engines.site_reports import site_log
from scenarios.engines.staging import new_run_directory, require_sites
from scenarios.scenario import ENGINES, Engine, Scenario
from scenarios.user_data.scenario_file import named_scenario_with_data
from scenarios.user_data.sources import with_user_data

if TYPE_CHECKING:
    from scenarios.engines.runner import ScenarioRun  # torch is loaded where it is needed

RUNS = Path("runs")


class RunRequest:
    """The options shared by `run` and `compare`, checked before anything runs."""

    def __init__(
        self,
        name: str,
        *,
        engine: str,
        settings: list[str] | None,
        seed: int | None,
        data: list[str] | None,
        verbose: bool,
    ) -> None:
        chosen: dict[str, Scalar] = {} if seed is None else {"seed": seed}
        declared = exit_on_refusal(lambda: named_scenario_with_data(name))
        self.scenario = declared.scenario
        self.config = exit_on_refusal(
            lambda: self.scenario.config_with({**parse_overrides(settings or []), **chosen})
        )
        found = exit_on_refusal(lambda: with_user_data(declared, data or [], seed=self.config.seed))
        self.scenario, self.sources, self.notes = found.scenario, found.sources, found.notes
        exit_on_refusal(lambda: require_sites(self.scenario, self.sources))
        self.engine = _parse_engine(engine)
        self.verbose = verbose
        if verbose:
            log_in_detail()
        self.track: tuple[str, ...] = ()
        self.num_hubs = 0
        self.attack: str | None = None
        self.liars = 0
        self.on_staged: Callable[[RunDirectory], None] | None = None
        self.lies = AttackAssignment(seed=self.config.seed, attacks=self.scenario.faults)
        exit_on_refusal(lambda: require_runnable(self.config, self.scenario.charter))

    def choose_trackers(self, track: list[str] | None) -> None:
        """Note the programs that shall follow the run."""
        self.track = exit_on_refusal(lambda: parse_trackers(track or []))

    def choose_hubs(self, num_hubs: int) -> None:
        """Note how many hubs the sites stand behind; refuse what cannot have hubs."""
        self.num_hubs = num_hubs
        if num_hubs:
            exit_on_refusal(
                lambda: require_hubs(self.engine, self.scenario, num_hubs, config=self.config)
            )

    def choose_liars(self, attack: str | None, liars: int) -> None:
        """Replace the scenario's liars by the user's choice, if there is one."""
        self.attack, self.liars = attack, liars
        if attack == "none":
            self.lies = NOBODY
        elif attack is not None:
            seed, sites = self.config.seed, self.scenario.sites
            self.lies = exit_on_refusal(lambda: draw_liars(sites, attack, liars=liars, seed=seed))

    def leave_out(self, sites: Collection[str]) -> None:
        """Leave sites out of what is measured after the run, because it went on without them."""
        left = tuple(name for name in self.scenario.sites if name not in sites)
        self.scenario = replace(self.scenario, sites=left)

    def new_directory(self, out: Path | None) -> RunDirectory:
        """Create the directory of the run: `out`, or one named by scenario and time."""
        return exit_on_refusal(lambda: new_run_directory(self.scenario, under=RUNS, named=out))

    def run(self, directory: RunDirectory) -> Summary:
        """Run the scenario in a new directory, with progress on the terminal."""
        from scenarios.engines.runner import ScenarioRun, do_nothing, run_notes, run_scenario

        order = ScenarioRun(
            scenario=self.scenario,
            config=self.config,
            engine=self.engine,
            own_data=self.sources,
            lies=self.lies,
            verbose=self.verbose,
            track=self.track,
            num_hubs=self.num_hubs,
            on_staged=self.on_staged or do_nothing,
        )
        console.print(
            f"{self.scenario.title}: {number_of(len(self.scenario.sites), 'site')}, {self.engine}"
        )
        for line in self.notes:
            console.print(line, soft_wrap=True, highlight=False)
        if self.num_hubs:
            console.print(hubs_in_words(self.scenario, self.config, self.num_hubs))
        for line in exit_on_refusal(lambda: run_notes(self.scenario, self.config, self.lies)):
            console.print(line, soft_wrap=True, highlight=False)
        return _run_with_progress(order, directory, run_scenario)

    def measure_robustness(self, directory: RunDirectory) -> None:
        """Try each attack against each defence, if the scenario is about liars."""
        from scenarios.experiments.robustness_output import (
            print_robustness,  # matplotlib, where it is needed
        )

        # With --attack none the user asks for no attack at all.
        if self.scenario.trials is not None and self.attack != "none":
            trials = self.scenario.trials
            chosen = self.attack
            tried = trials if chosen is None else trials.for_attack(chosen, self.liars)
            exit_on_refusal(
                lambda: print_robustness(self.scenario, tried, self.config, directory, console)
            )

    def measure_privacy(self, directory: RunDirectory) -> None:
        """Measure what privacy costs, if the scenario is about privacy."""
        from scenarios.experiments.privacy_output import (
            print_privacy_utility,  # torch, where it is needed
        )

        if self.scenario.privacy is not None:
            exit_on_refusal(
                lambda: print_privacy_utility(self.scenario, self.config, directory, console)
            )
            write_report(directory)


def resume_with_progress(
    directory: RunDirectory, *, engine: str, verbose: bool, track: list[str] | None = None
) -> tuple[Scenario, Summary]:
    """Resume an interrupted run, with progress on the terminal."""
    from scenarios.engines.runner import interrupted_run, resume_run  # torch, where it is needed

    if verbose:
        log_in_detail()
    order = exit_on_refusal(
        lambda: interrupted_run(directory, engine=_parse_engine(engine), verbose=verbose)
    )
    followed = replace(order, track=exit_on_refusal(lambda: parse_trackers(track or [])))
    return order.scenario, _run_with_progress(followed, directory, resume_run)


def _run_with_progress(
    order: ScenarioRun, directory: RunDirectory, run: Callable[[ScenarioRun, RunDirectory], Summary]
) -> Summary:
    from consortium.protocol.round_counts import evaluation_step
    from scenarios.engines.runner import RunFailed, RunParked

    rounds, metric = order.config.num_server_rounds, order.scenario.headline.name
    try:
        with show_progress(
            directory.events,
            rounds=rounds,
            metric=metric,
            console=console,
            log_of=lambda site: site_log(directory, site),
            evaluated_every=evaluation_step(order.config, order.scenario.charter),
        ):
            return run(order, directory)
    except RunParked as error:
        print_absences(directory)
        exit_failed(
            directory,
            f"the run is parked: {error}\nresume it with: scenario resume {directory.path}",
        )
    except RunFailed as error:
        print_absences(directory)
        exit_failed(directory, f"the run failed: {error}")
    except ConsortiumError as error:
        errors.print(f"the run failed: {error}", soft_wrap=True)
        raise typer.Exit(FAILED) from error


def _parse_engine(name: str) -> Engine:
    if name not in ENGINES:
        exit_refused(f"--engine is {' or '.join(ENGINES)}, got '{name}'")
    return ENGINES[name]
