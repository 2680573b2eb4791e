"""Training at a site: in the clear, or privately within what the site's policy lets it lose.

The whole planned run is reserved in the site's ledger before its first round is trained, so that
a run which does not fit is refused before anything is learnt from anybody.
"""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from consortium.config import PrivacyConfig, RunConfig
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.differential.accounting import calibrated_noise
from privacy.differential.ledger import Ledger, Reservation
from privacy.differential.ledger_entries import Budget, DataSet
from privacy.differential.mechanisms import HeldOut, SampledGaussian
from privacy.differential.private_runs import Campaign, PrivateRuns, Round
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import WrongRound
from privacy.wire.messages import Position
from sites.data.fingerprint import fingerprint_of
from sites.plans import EmptySite, PrivacyPlan
from sites.task import SiteData, Trained

_COUNTED_ONLY = 1e9  # an epsilon that no run reaches: where the operator set no ceiling
_OPEN: dict[Path, PrivateRuns] = {}  # what a process need not open again
_MOST_OPEN = 1_024


class NotPrivate(ConsortiumError, ValueError):
    """A run has no private training to be planned."""

    code = "not-private"


def trained_at(site: Site, stands: Position) -> Trained:
    """Return what one round of training at a site gave.

    Guarantee: with private training, nothing is computed from a record before its cost was
    reserved, and what is returned was kept first; the same round from the same state gives the
    same bytes again, and costs nothing again.

    Raises:
        BudgetExhausted: The planned run does not fit into what is left; nothing was trained.
        WrongRound: The run has no such round.
        ConsortiumError: As the task and the site's ledger say.
    """
    if site.run_config.dp.on:
        return _privately(site, stands)
    vector = stands.state.astype(np.float64)
    rng = site.rng(stands.server_round)
    return site.task.train(site.data, stands.statistics, vector, site.plan, rng=rng)


def planned(config: RunConfig, data: SiteData, noise_multiplier: float = 0.0) -> SampledGaussian:
    """Return all planned rounds of a run on a site's records as one event.

    Args:
        config: How it is run.
        data: The records, of which so many are protected.
        noise_multiplier: As calibrated before; 0 to calibrate it now, for all rounds together.

    Raises:
        EmptySite: There is nobody to protect.
        NotPrivate: The run is not private.
        ConsortiumError: No noise is enough for so little epsilon.
    """
    dp, rounds = config.dp, config.num_server_rounds
    if dp.unit == "off":
        raise NotPrivate("this run is not private: nothing of it is counted")
    steps = dp.steps * rounds
    return SampledGaussian(
        noise_multiplier=noise_multiplier
        or dp.noise_multiplier
        or calibrated_noise(
            sampling_rate=dp.sampling_rate,
            steps=steps,
            epsilon=dp.epsilon,
            delta=delta_of(dp, data),
        ),
        sampling_rate=dp.sampling_rate,
        steps=steps,
        clip_norm=dp.clip_norm,
        unit=dp.unit,
        max_records_per_person=dp.max_records_per_person,
    )


def delta_of(dp: PrivacyConfig, data: SiteData) -> float:
    """Return the delta of a run on a site's records: as the run says, or by their number.

    By itself at most one tenth of one over the units, and a power of two, so that it tells of
    their number no more than its size.

    Raises:
        EmptySite: There is nobody to protect.
    """
    units = data.train_persons if dp.unit == "person" else data.train_examples
    if not units:
        raise EmptySite("this site has no training records: it can be evaluated, not trained")
    return dp.delta or 0.1 / 2 ** math.ceil(math.log2(units))


def privacy_plan(dp: PrivacyConfig, *, noise_multiplier: float, cap_seed: int) -> PrivacyPlan:
    """Return how a site trains privately in one round.

    Raises:
        NotPrivate: The run is not private.
    """
    if dp.unit == "off":
        raise NotPrivate("this run is not private")
    return PrivacyPlan(
        unit=dp.unit,
        noise_multiplier=noise_multiplier,
        clip_norm=dp.clip_norm,
        sampling_rate=dp.sampling_rate,
        steps=dp.steps,
        max_records_per_person=dp.max_records_per_person,
        cap_seed=cap_seed,
    )


def ledger_of(directory: Path) -> Ledger:
    """Return the ledger in a site's directory."""
    return Ledger(SiteDirectory(directory).ledger)


def ended(site: Site, stands: Position) -> None:
    """Give back what was reserved for rounds that the run, now over, never began."""
    if not site.run_config.dp.on:
        return
    campaigns, run = _campaigns(SiteDirectory(site.directory).ledger), _run(site, stands)
    found = campaigns.last_campaign(run)
    if found is None:
        return
    with ledger_of(site.directory) as ledger:
        reservation = _reservation(site, ledger, run, found)
        if reservation.charge.committed is None:
            reservation.commit(sum(reservation.charge.used.values()))


def _privately(site: Site, stands: Position) -> Trained:
    config = site.run_config
    if stands.server_round > config.num_server_rounds:
        raise WrongRound(
            f"the run was reserved with {config.num_server_rounds} rounds, this is another",
            needed=config.num_server_rounds,
            came=stands.server_round,
        )
    campaigns = _campaigns(SiteDirectory(site.directory).ledger)
    asked = Round(run=_run(site, stands), number=stands.server_round, state=_state(stands))
    answer = campaigns.kept_answer(asked)
    if answer is None:
        campaign = _reserved(site, campaigns, asked)
        answer = campaigns.keep_answer(campaign, asked, _trained(site, stands, campaign))
    return Trained(
        update=np.frombuffer(answer, "<f4").astype(np.float64),
        num_examples=site.data.train_examples,
        steps=config.dp.steps,
    )


def _trained(site: Site, stands: Position, campaign: Campaign) -> bytes:
    """Return the update of a round whose steps are reserved, in the form it is kept in."""
    config, vector = site.run_config, stands.state.astype(np.float64)
    privacy = privacy_plan(
        config.dp, noise_multiplier=campaign.noise_multiplier, cap_seed=config.seed
    )
    plan, rng = replace(site.plan, privacy=privacy), site.rng(stands.server_round)
    trained = site.task.train(site.data, stands.statistics, vector, plan, rng=rng)
    return trained.update.astype("<f4").tobytes()


def _reserved(site: Site, campaigns: PrivateRuns, asked: Round) -> Campaign:
    """Return the campaign that a round draws on; its steps are entered as begun."""
    campaign = campaigns.campaign_with_room(asked)
    with ledger_of(site.directory) as ledger:
        if campaign is None:
            before = campaigns.last_campaign(asked.run)
            noise = planned(site.run_config, site.data).noise_multiplier
            part = 1 if before is None else before.part + 1
            wanted = Campaign(number=0, part=part, noise_multiplier=noise)
            _reservation(site, ledger, asked.run, wanted)
            campaign = campaigns.begin_campaign(asked.run, part=part, noise_multiplier=noise)
        reservation = _reservation(site, ledger, asked.run, campaign)
        reservation.use(f"round {asked.number}", site.run_config.dp.steps)
    return campaign


def _reservation(site: Site, ledger: Ledger, run: str, campaign: Campaign) -> Reservation:
    """Return what is reserved for a campaign; reserve it if it is not.

    That its evaluation releases figures of held-out persons is entered beside it.
    """
    ceiling = site.policy.privacy.ceiling(site.config.data_set)
    unit = site.policy.privacy.unit
    budget = (
        Budget(epsilon=_COUNTED_ONLY, delta=delta_of(site.run_config.dp, site.data), unit=unit)
        if ceiling is None
        else Budget(epsilon=ceiling.epsilon, delta=ceiling.delta, unit=unit)
    )
    data_set = DataSet(name=site.config.data_set, fingerprint=fingerprint_of(site.config.source))
    reservation = ledger.reserve(
        planned(site.run_config, site.data, campaign.noise_multiplier),
        data_set=data_set,
        run=run,
        part=f"training {campaign.part}",
        budget=budget,
    )
    if reservation.fresh:
        ledger.reserve(
            HeldOut(what="evaluation"),
            data_set=data_set,
            run=run,
            part=f"evaluation {campaign.part}",
            budget=budget,
        )
    return reservation


def _run(site: Site, stands: Position) -> str:
    """Return the digest of all that a run agreed on beforehand."""
    agreed = {
        "run": stands.run,
        "charter": site.charter.fingerprint,
        "config": site.run_config.digest,
        "layout": site.task.layout.digest,
        "data": site.config.data_set,
    }
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()


def _state(stands: Position) -> str:
    """Return the digest of all that a round starts from."""
    state = hashlib.sha256(stands.state.astype("<f4").tobytes())
    state.update(stands.statistics.astype("<i8").tobytes())
    return state.hexdigest()


def _campaigns(directory: Path) -> PrivateRuns:
    if directory not in _OPEN:
        while len(_OPEN) >= _MOST_OPEN:
            _OPEN.pop(next(iter(_OPEN))).close()
        _OPEN[directory] = PrivateRuns(directory)
    return _OPEN[directory]
