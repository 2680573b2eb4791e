"""Training at a site: in the clear, or privately within what the site's policy lets it lose.

The whole planned run is reserved in the site's ledger before its first round is trained, so that
a run which does not fit is refused before anything is learnt from anybody.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from consortium.client.comparison.witnesses import require_compared
from consortium.client.own_columns.answers import with_own_columns
from consortium.client.site_ledger import (
    data_set_of,
    enter_statistics,
    enter_updates,
    ledger_of,
    run_digest,
)
from consortium.config import RunConfig
from consortium.differential_privacy import DifferentiallyPrivate, NotPrivate
from consortium.protocol.learning import learner_of
from consortium.protocol.parameters import pruned_plan
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.differential.accounting import calibrated_noise
from privacy.differential.ledger import Ledger, Reservation
from privacy.differential.ledger_entries import Budget
from privacy.differential.mechanisms import Gaussian, SampledGaussian
from privacy.differential.private_runs import Campaign, PrivateRuns, Round
from privacy.errors import number_of
from privacy.layout import Tally, Vector
from privacy.policy.document import Policy
from privacy.protocol.envelope import WrongRound
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.wire.messages import Position
from sites.plans import TrainingPlan
from sites.task import SiteData, Trained

_COUNTED_ONLY = 1e9  # an epsilon that no run reaches: where the operator set no ceiling
_CAMPAIGNS: Cache[Path, PrivateRuns] = SITE_PROCESS.cache(
    "campaigns", most=1_024, close=lambda campaigns: campaigns.close()
)


class SiteTraining(Protocol):
    """How a site trains in a run: with a promise to its persons, or with none."""

    def enter_statistics(self, site: Site, run: int) -> None:
        """Enter in the ledger that a site's statistics are about to leave, if anything does.

        Raises:
            ConsortiumError: As the site's ledger says.
        """

    def planned_event(self, data: SiteData) -> SampledGaussian | Gaussian | None:
        """Return all planned rounds on a site's records as the event that is counted, if any.

        Raises:
            ConsortiumError: No noise is enough for so little epsilon.
        """

    def plan(self, data: SiteData) -> TrainingPlan:
        """Return how a round is trained, with the noise that so many records need.

        Raises:
            ConsortiumError: As `planned_event` says.
        """

    def train(self, site: Site, stands: Position) -> Trained:
        """Return what one round of training at a site gave.

        Guarantee: with private training, nothing is computed from a record before its cost was
        reserved, and what is returned was kept first; the same round from the same state gives
        the same bytes again, and costs nothing again.

        Raises:
            BudgetExhausted: The planned run does not fit into what is left; nothing was trained.
            WrongRound: The run has no such round.
            ConsortiumError: As the task and the site's ledger say.
        """

    def end(self, site: Site, stands: Position) -> None:
        """Give back what was reserved for rounds that the run, now over, never began."""


def training_of(config: RunConfig) -> SiteTraining:
    """Return how a site trains in a run."""
    match config.privacy:
        case NotPrivate():
            return _PlainTraining(config)
        case DifferentiallyPrivate() as privacy:
            return _PrivateTraining(config, privacy)


@dataclass(frozen=True)
class _PlainTraining:
    """Nothing is promised: what leaves is entered in the ledger as what it is."""

    config: RunConfig

    def enter_statistics(self, site: Site, run: int) -> None:
        """Enter that exact counts of training records are about to leave."""
        enter_statistics(site, run)

    def planned_event(self, data: SiteData) -> None:
        """Return nothing: no event is counted."""

    def plan(self, data: SiteData) -> TrainingPlan:
        """Return the run's own plan."""
        del data
        return self.config.training

    def train(self, site: Site, stands: Position) -> Trained:
        """Train from the received state; without training records, send what changes nothing."""
        if not site.data.train_examples:
            sent = learner_of(site.charter, site.run_config).contribution
            return Trained(
                update=np.zeros(sent.update_dim(site.task.layout.dim)),
                summed=np.zeros(sent.tally_size, np.int64),
                num_examples=0,
            )
        # Before anything is computed: after a crash nobody knows what had left.
        enter_updates(site, stands)
        # The order of records follows the seed, so that a repeated run gives the same model.
        vector, rng = stands.state.astype(np.float64), site.rng(stands.server_round)
        plan = pruned_plan(self.config, self.config.training, vector, stands.server_round)
        trained = site.task.train(site.data, stands.statistics, vector, plan, rng=rng)
        return with_own_columns(site, stands, trained)

    def end(self, site: Site, stands: Position) -> None:
        """Give back nothing: nothing was reserved."""


@dataclass(frozen=True)
class _PrivateTraining:
    """What is trained is reserved before, kept, and counted in the site's ledger."""

    config: RunConfig
    privacy: DifferentiallyPrivate

    def enter_statistics(self, site: Site, run: int) -> None:
        """Enter nothing: zeros leave."""

    def planned_event(
        self, data: SiteData, noise_multiplier: float = 0.0
    ) -> SampledGaussian | Gaussian:
        """Return all planned rounds on a site's records as one event.

        Args:
            data: The records, of which so many are protected.
            noise_multiplier: As calibrated before; 0 to calibrate it now, for all rounds together.
        """
        return planned_event(
            self.privacy,
            rounds=self.config.num_server_rounds,
            delta=delta_of(self.privacy, data),
            noise_multiplier=noise_multiplier,
        )

    def plan(self, data: SiteData) -> TrainingPlan:
        """Return the run's plan with the noise that so many records need."""
        return self._with_noise(self.planned_event(data).noise_multiplier)

    def train(self, site: Site, stands: Position) -> Trained:
        """Train one round on what is reserved, or answer again what was answered."""
        config = self.config
        if site.mode.coordinator_reads:  # where it does not, every question is checked for this
            require_compared(site, stands.run)
        # A further round would spend what was never reserved.
        if stands.server_round > config.num_server_rounds:
            raise WrongRound(
                f"the run was reserved with {number_of(config.num_server_rounds, 'round')}, this "
                "is another",
                needed=config.num_server_rounds,
                came=stands.server_round,
            )
        campaigns = _campaigns(SiteDirectory(site.directory).ledger)
        asked = Round(
            run=run_digest(site, stands.run), number=stands.server_round, state=stands.digest.hex()
        )
        # The same question gets the same bytes: fresh noise on one question could be averaged away,
        # and would cost again.
        answer = campaigns.kept_answer(asked)
        if answer is None:
            campaign = self._reserve_campaign(site, campaigns, asked)
            answer = campaigns.keep_answer(
                campaign, asked, self._answer_bytes(site, stands, campaign)
            )
        # Read back from what was kept, so that the first answer and a repeated one are equal.
        update, summed = _read_answer(site, answer)
        return Trained(
            update=update,
            summed=summed,
            num_examples=site.data.train_examples,
            steps=self.privacy.asked.steps,
        )

    def end(self, site: Site, stands: Position) -> None:
        """Give back what was reserved for rounds that the run, now over, never began."""
        campaigns, run = (
            _campaigns(SiteDirectory(site.directory).ledger),
            run_digest(site, stands.run),
        )
        found = campaigns.last_campaign(run)
        if found is None:
            return
        with ledger_of(site.directory) as ledger:
            reservation = self._reservation(site, ledger, run, found)
            if reservation.charge.committed is None:
                # A step that was begun stays spent: what it gave may have left.
                reservation.commit(sum(reservation.charge.used.values()))

    def _with_noise(self, noise_multiplier: float) -> TrainingPlan:
        privacy = self.privacy.plan(noise_multiplier=noise_multiplier, cap_seed=self.config.seed)
        return replace(self.config.training, privacy=privacy)

    def _answer_bytes(self, site: Site, stands: Position, campaign: Campaign) -> bytes:
        """Return the answer of a round whose steps are reserved, in the form it is kept in."""
        vector, rng = stands.state.astype(np.float64), site.rng(stands.server_round)
        # The noise of the reservation, even if records were added since.
        plan = self._with_noise(campaign.noise_multiplier)
        # Noise is put back with what it is added to: what is pruned stays as everybody knows it.
        plan = pruned_plan(self.config, plan, vector, stands.server_round)
        trained = site.task.train(site.data, stands.statistics, vector, plan, rng=rng)
        return trained.update.astype("<f4").tobytes() + trained.summed.astype("<i8").tobytes()

    def _reserve_campaign(self, site: Site, campaigns: PrivateRuns, asked: Round) -> Campaign:
        """Return the campaign that a round draws on; its steps are entered as begun."""
        campaign = campaigns.campaign_with_room(asked)
        with ledger_of(site.directory) as ledger:
            if campaign is None:
                # If there was one, it has trained this round already: the run went back, and what
                # it trains anew is paid for anew.
                before = campaigns.last_campaign(asked.run)
                noise = self.planned_event(site.data).noise_multiplier
                part = 1 if before is None else before.part + 1
                wanted = Campaign(number=0, part=part, noise_multiplier=noise)
                # Paid first: if the process dies here, nothing was learnt that is not paid for.
                self._reservation(site, ledger, asked.run, wanted)
                campaign = campaigns.begin_campaign(asked.run, part=part, noise_multiplier=noise)
            reservation = self._reservation(site, ledger, asked.run, campaign)
            # Noted as begun before it is computed: after a crash nobody knows how far a step came.
            reservation.use(f"round {asked.number}", self.privacy.asked.steps)
        return campaign

    def _reservation(self, site: Site, ledger: Ledger, run: str, campaign: Campaign) -> Reservation:
        """Return what is reserved for a campaign; reserve it if it is not."""
        budget = budget_of(
            site.policy, site.config.data_set, delta=delta_of(self.privacy, site.data)
        )
        return ledger.reserve(
            self.planned_event(site.data, campaign.noise_multiplier),
            data_set=data_set_of(site),
            run=run,
            part=f"training {campaign.part}",
            budget=budget,
        )


def _read_answer(site: Site, answer: bytes) -> tuple[Vector, Tally]:
    """Return update and tally of an answer that was kept: one of them is empty."""
    sent = learner_of(site.charter, site.run_config).contribution
    end = 4 * sent.update_dim(site.task.layout.dim)
    update = np.frombuffer(answer[:end], "<f4").astype(np.float64)
    return update, np.frombuffer(answer[end:], "<i8").astype(np.int64)


def delta_of(privacy: DifferentiallyPrivate, data: SiteData) -> float:
    """Return the delta of a run on a site's records: as the run says, or by their number.

    By itself at most one tenth of one over the units, and a power of two, so that it tells of
    their number no more than its size. A site with nobody to train on counts as one with one: it
    sends noise like any other, or its answer would tell that there is nobody.
    """
    units = max(privacy.units(data), 1)
    return privacy.asked.delta or 0.1 / 2 ** math.ceil(math.log2(units))


def planned_event(
    privacy: DifferentiallyPrivate, *, rounds: int, delta: float, noise_multiplier: float = 0.0
) -> SampledGaussian | Gaussian:
    """Return all planned rounds of a run as one event.

    Args:
        privacy: What the run asks for.
        rounds: Number of rounds.
        delta: Of the run at this site.
        noise_multiplier: As calibrated before; 0 to calibrate it now, for all rounds together.

    Raises:
        ConsortiumError: No noise is enough for so little epsilon.
    """
    asked = privacy.asked
    return privacy.event(
        # Calibrated once for all rounds: each round calibrated by itself would add up to more.
        noise_multiplier=noise_multiplier
        or asked.noise_multiplier
        or calibrated_noise(
            sampling_rate=asked.sampling_rate,
            steps=asked.steps * rounds,
            epsilon=asked.epsilon,
            delta=delta,
        ),
        rounds=rounds,
    )


def budget_of(policy: Policy, data_set: str, *, delta: float) -> Budget:
    """Return what a site's policy lets a data set lose.

    Args:
        policy: The site's.
        data_set: Its name.
        delta: Of the run, which counts where the policy sets no ceiling.
    """
    ceiling = policy.privacy.ceiling(data_set)
    if ceiling is None:
        # Nothing is refused, and everything is still counted.
        return Budget(epsilon=_COUNTED_ONLY, delta=delta, unit=policy.privacy.unit)
    return Budget(epsilon=ceiling.epsilon, delta=ceiling.delta, unit=policy.privacy.unit)


def _campaigns(directory: Path) -> PrivateRuns:
    return _CAMPAIGNS.get(directory, lambda: PrivateRuns(directory))
