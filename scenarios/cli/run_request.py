"""What a person asked of `scenario run`, `compare` or `resume`: checked first, then carried out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from consortium.cli.options import overrides
from consortium.config import Scalar
from consortium.protocol.aggregation import rule_spec
from consortium.run.directory import RunDirectory
from consortium.run.logs import log_in_detail
from consortium.run.records import Summary
from privacy.errors import ConsortiumError
from scenarios.attacks.assignment import NOBODY, AttackAssignment, draw_liars
from scenarios.cli.progress import shown
from scenarios.cli.terminal import FAILED, console, errors, give_up, guarded, refuse, report
from scenarios.engines.staging import new_run_directory, require_sites
from scenarios.library.registry import scenario_named
from scenarios.scenario import ENGINES, Engine, Scenario
from scenarios.user_data.sources import user_sources

if TYPE_CHECKING:
    from scenarios.engines.runner import ScenarioRun  # torch is loaded where it is needed

RUNS = Path("runs")


class RunRequest:
    """The options shared by `run` and `compare`, checked before anything is done."""

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
        self.scenario = guarded(lambda: scenario_named(name))
        self.config = guarded(
            lambda: self.scenario.configured({**overrides(settings or []), **chosen})
        )
        found = guarded(lambda: user_sources(self.scenario, data or [], seed=self.config.seed))
        self.scenario, self.sources, self.told = found.scenario, found.sources, found.told
        guarded(lambda: require_sites(self.scenario, self.sources))
        self.engine = _engine(engine)
        self.verbose = verbose
        if verbose:
            log_in_detail()
        self.lies = AttackAssignment(seed=self.config.seed, attacks=self.scenario.faults)
        guarded(lambda: rule_spec(self.config, self.scenario.charter))

    def let_lie(self, attack: str | None, liars: int) -> None:
        """Stage a person's own choice of liars in the place of the scenario's."""
        if attack == "none":
            self.lies = NOBODY
        elif attack is not None:
            seed, sites = self.config.seed, self.scenario.sites
            self.lies = guarded(lambda: draw_liars(sites, attack, liars=liars, seed=seed))

    def carry_out(self, out: Path | None) -> tuple[RunDirectory, Summary]:
        """Run it in a new directory, with progress on the terminal."""
        from scenarios.engines.runner import ScenarioRun, carry_out, run_notes

        directory = guarded(lambda: new_run_directory(self.scenario, under=RUNS, named=out))
        order = ScenarioRun(
            scenario=self.scenario,
            config=self.config,
            engine=self.engine,
            own_data=self.sources,
            lies=self.lies,
            verbose=self.verbose,
        )
        console.print(f"{self.scenario.title}: {len(self.scenario.sites)} sites, {self.engine}")
        for line in self.told:
            console.print(line, soft_wrap=True, highlight=False)
        for line in guarded(lambda: run_notes(self.scenario, self.config, self.lies)):
            console.print(line, soft_wrap=True, highlight=False)
        return directory, _watched(order, directory, carry_out)

    def try_attacks(self, directory: RunDirectory, attack: str | None, liars: int) -> None:
        """Try each attack against each rule, where the scenario is about liars."""
        from scenarios.experiments.robustness_output import (
            print_robustness,  # matplotlib, where it is needed
        )

        if self.scenario.trials is not None and attack != "none":
            trials = self.scenario.trials
            tried = trials if attack is None else trials.only(attack, liars)
            guarded(lambda: print_robustness(self.scenario, tried, self.config, directory, console))

    def measure_privacy(self, directory: RunDirectory) -> None:
        """Try each epsilon, and runs until the ledgers refuse, where the scenario is about it."""
        from scenarios.experiments.privacy_output import (
            print_privacy_utility,  # torch, where it is needed
        )

        if self.scenario.privacy is not None:
            guarded(lambda: print_privacy_utility(self.scenario, self.config, directory, console))
            report(directory)


def go_on(directory: RunDirectory, *, engine: str, verbose: bool) -> tuple[Scenario, Summary]:
    """Go on with an interrupted run, with progress on the terminal."""
    from scenarios.engines.runner import interrupted_order, resume  # torch, where it is needed

    if verbose:
        log_in_detail()
    order = guarded(lambda: interrupted_order(directory, engine=_engine(engine), verbose=verbose))
    return order.scenario, _watched(order, directory, resume)


def _watched(
    order: ScenarioRun, directory: RunDirectory, run: Callable[[ScenarioRun, RunDirectory], Summary]
) -> Summary:
    from scenarios.engines.runner import RunFailed, RunParked

    rounds, metric = order.config.num_server_rounds, order.scenario.headline.name
    try:
        with shown(directory.events, rounds=rounds, metric=metric, console=console):
            return run(order, directory)
    except RunParked as error:
        give_up(
            directory,
            f"the run is parked: {error}\ngo on with: scenario resume {directory.path}",
        )
    except RunFailed as error:
        give_up(directory, f"the run failed: {error}")
    except ConsortiumError as error:
        errors.print(f"the run failed: {error}", soft_wrap=True)
        raise typer.Exit(FAILED) from error


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        refuse(f"--engine is {' or '.join(ENGINES)}, got '{name}'")
    return ENGINES[name]
