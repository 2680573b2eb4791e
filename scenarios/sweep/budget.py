"""What a sweep of private runs costs: all trials are paid for before the first one.

Every step of every trial adds noise of the same size and draws at the same rate, and the schedule
says how many steps there are, whichever trials go on. So the whole sweep is one event, fixed before
anything is learnt, and each site's ledger of the sweep reserves it before the first trial. If
`dp.epsilon` is given, it is what the whole sweep may cost, and the noise is found for that.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from consortium.client.private_training import budget_of, delta_of, planned_event
from consortium.client.site_ledger import ledger_of
from consortium.config import RunConfig, Scalar
from consortium.differential_privacy import DifferentiallyPrivate
from consortium.modes.registry import mode_of
from consortium.run.directory import RunDirectory
from consortium.site.directory import read_site_config
from consortium.site.site import model_plan, records_of
from privacy.differential.budget import BudgetExhausted, weighed_epsilon
from privacy.differential.ledger import Ledger, Reservation
from privacy.differential.ledger_entries import DataSet
from privacy.differential.mechanisms import Gaussian, SampledGaussian
from privacy.errors import ConsortiumError
from privacy.policy.document import EVERY_DATA_SET, Ceiling, PrivacyTerms, read_policy
from scenarios.engines.staging import stage
from scenarios.scenario import Scenario
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import SitePrice
from scenarios.sweep.search.schedule import Rung, most_rounds
from sites.data.fingerprint import fingerprint_of
from sites.tasks.registry import task_for

_RUN = "sweep"


class SweepTooDear(ConsortiumError, RuntimeError, code="sweep-too-dear"):
    """A sweep does not fit into what a site allows. Nothing was trained, and nothing is spent."""


@dataclass(frozen=True)
class _AtSite:
    """What a site is asked to reserve."""

    name: str
    delta: float
    event: SampledGaussian | Gaussian


@dataclass(frozen=True, kw_only=True)
class PaidSweep:
    """A sweep whose cost is reserved in the ledger of each site.

    Args:
        config: The run config of all trials, with the noise of the sweep.
        noise: The keys that say so.
        prices: What it costs at each site.
        reservations: In each site's ledger.
        steps: Private steps in a round.
        lag: Rounds that a parked trial has trained beyond its rung.
    """

    config: RunConfig
    noise: Mapping[str, Scalar]
    prices: tuple[SitePrice, ...]
    reservations: tuple[Reservation, ...]
    steps: int
    lag: int

    def begin(self, trial: int, rounds: int, *, before: int) -> None:
        """Enter that a trial is about to train on, from one rung to the next; once.

        Args:
            trial: Its number.
            rounds: Rounds of training at its next rung.
            before: The same of the rung where it is parked; 0 at its start.

        Raises:
            NotReserved: The schedule has no such step.
        """
        whole = self.config.num_server_rounds
        until = min(whole, rounds + self.lag)
        since = min(whole, before + self.lag) if before else 0
        for one in self.reservations:
            if until > since:
                one.use(f"trial {trial} to round {rounds}", self.steps * (until - since))

    def end(self, rounds_after: int) -> None:
        """Give back what no trial began, and no run that follows will take.

        Args:
            rounds_after: Of that run; 0 if there is none.
        """
        for one in self.reservations:
            if one.charge.committed is None:
                if rounds_after:
                    one.use("the run with the best values", self.steps * rounds_after)
                one.commit(sum(one.charge.used.values()))


def lag_of(config: RunConfig) -> int:
    """Return how many rounds a trial that is parked at a rung has trained beyond it."""
    return 1 if mode_of(config).coordinator_reads else 2


@contextmanager
def paid_sweep(
    order: SweepOrder, rungs: tuple[Rung, ...], run: RunDirectory
) -> Iterator[PaidSweep | None]:
    """Reserve a sweep of private runs at every site; None if its runs are not private.

    Args:
        order: What is asked of the sweep.
        rungs: The schedule.
        run: Where the sites' ledgers of the sweep are kept.

    Raises:
        SweepTooDear: A site's ledger refuses it; nothing is spent at any site.
        ConsortiumError: No noise is enough for so little epsilon.
    """
    scenario, config = order.scenario, order.config
    privacy = config.privacy.budgeted
    if privacy is None:
        yield None
        return
    if not run.charter.exists():
        shutil.rmtree(run.path, ignore_errors=True)
        run.path.mkdir(parents=True)
        stage(run, scenario, order.own_data, config=config)
        order.on_staged(run)
        _set_ceilings(scenario, run)
    rounds = most_rounds(rungs, lag=lag_of(config)) + order.rounds_after
    asked = _asked(scenario, config, privacy, run, rounds)
    # One noise for all sites, which differ in their number of persons: what the smallest needs.
    noise = max(one.event.noise_multiplier for one in asked)
    with ExitStack() as opened:
        made: list[tuple[Reservation, SitePrice]] = []
        for one in asked:
            ledger = opened.enter_context(ledger_of(run.site(one.name)))
            try:
                made.append(_reserve(ledger, replace(one.event, noise_multiplier=noise), one, run))
            except BudgetExhausted as error:
                for reservation, _ in made:
                    reservation.commit(0)
                raise SweepTooDear(
                    f"{one.name} refuses the sweep, of which nothing was trained: {error}. Ask for "
                    "fewer --trials, fewer rounds, or a smaller dp.epsilon for the whole sweep"
                ) from error
        keys: dict[str, Scalar] = {"dp.epsilon": 0.0, "dp.noise-multiplier": noise}
        yield PaidSweep(
            config=RunConfig.parse({**config.flat(), **keys}),
            noise=keys,
            prices=tuple(price for _, price in made),
            reservations=tuple(reservation for reservation, _ in made),
            steps=privacy.asked.steps,
            lag=lag_of(config),
        )


def _reserve(
    ledger: Ledger, event: SampledGaussian | Gaussian, asked: _AtSite, run: RunDirectory
) -> tuple[Reservation, SitePrice]:
    """Reserve a whole sweep in the ledger of a site; return that, and what it costs there."""
    directory = run.site(asked.name)
    site, policy = read_site_config(directory), read_policy(directory)
    budget = budget_of(policy, site.data_set, delta=asked.delta)
    held = DataSet(name=site.data_set, fingerprint=fingerprint_of(site.source))
    reservation = ledger.reserve(event, data_set=held, run=_RUN, budget=budget)
    ceiling = policy.privacy.ceiling(site.data_set)
    price = SitePrice(
        site=asked.name,
        epsilon=weighed_epsilon((event,), budget),
        delta=budget.delta,
        allowed=None if ceiling is None else ceiling.epsilon,
    )
    return reservation, price


def _asked(
    scenario: Scenario,
    config: RunConfig,
    privacy: DifferentiallyPrivate,
    run: RunDirectory,
    rounds: int,
) -> list[_AtSite]:
    """Return the whole sweep as an event at each site, by the number of its persons or records."""
    plan = model_plan(config, scenario.table)
    task = task_for(scenario.task, scenario.table, plan, seed=config.seed, learning=config.learning)
    found = []
    for name in scenario.sites:
        delta = delta_of(privacy, records_of(task, run.site(name), config))
        found.append(_AtSite(name, delta, planned_event(privacy, rounds=rounds, delta=delta)))
    return found


def _set_ceilings(scenario: Scenario, run: RunDirectory) -> None:
    """Let each site allow what the scenario says that it allows over all runs."""
    if scenario.privacy is None:
        return
    campaign = scenario.privacy.campaign
    for name in scenario.sites:
        ceiling = Ceiling(epsilon=campaign.ceiling(name), delta=campaign.delta)
        terms = PrivacyTerms(required=True, ceilings={EVERY_DATA_SET: ceiling})
        policy = read_policy(run.site(name)).model_copy(update={"privacy": terms})
        policy.write(run.site(name))
