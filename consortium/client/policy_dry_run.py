"""What a site would say to a run, known before it starts: nothing is sent, counted or reserved."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from consortium.charter.document import Charter
from consortium.client.policy_gate import asked_of
from consortium.client.private_training import training_of
from consortium.client.site_ledger import ledger_of
from consortium.config import RunConfig
from consortium.site.agreed_map import require_agreed_map
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.site import Site
from privacy.differential.budget import (
    budget_refusal,
    fits_budget,
    left_after,
    weighed_epsilon,
)
from privacy.differential.ledger_entries import Budget, event_size
from privacy.differential.mechanisms import Mechanism
from privacy.errors import ConsortiumError, abbreviated_names, number_of
from privacy.policy.document import Policy, read_policy
from privacy.policy.kill_switch import require_allowed
from privacy.policy.rate_limits import RateLimits
from privacy.policy.run_request import Asked, violations


@dataclass(frozen=True)
class PolicyFinding:
    """One thing that a run asks.

    Args:
        what: In words.
        asked: What the run asks.
        allowed: What the policy says.
        refused: Why the site would refuse it; empty if it would not.
    """

    what: str
    asked: str
    allowed: str
    refused: str = ""


def dry_run(
    directory: Path, charter: Charter, config: RunConfig, *, now: float
) -> list[PolicyFinding]:
    """Return everything a run asks of a site, with what the site would refuse of it and why.

    Raises:
        BadSite: There is no site.
        PolicyUnreadable: The site has no policy.
        ConsortiumError: The run makes no sense to anybody.
    """
    site = Site(directory, read_site_config(directory), charter, config)
    policy = read_policy(directory)
    asked = replace(asked_of(config, charter, site.task), data_set=site.config.data_set)
    findings = [*_charter(site), *_terms(policy, asked), *_moment(site, policy, now)]
    # The budget is asked only if nothing else is refused: to calibrate the noise takes a while.
    return findings if any(one.refused for one in findings) else [*findings, *_budget(site, policy)]


def _charter(site: Site) -> Iterator[PolicyFinding]:
    name, members = site.config.name, site.charter.names
    stranger = "" if name in members else "not-a-member: the charter does not name this site"
    yield PolicyFinding(
        "member", name, f"{number_of(len(members), 'member')} in the charter", stranger
    )
    yield PolicyFinding(
        "the charter's own floors",
        site.run_config.aggregation,
        "encrypted only" if site.charter.floors.encrypted else "either",
        _refusal(lambda: site.mode.require_agreed(site.run_config, site.charter)),
    )
    agreed_map = site.charter.map_of(name)
    if agreed_map is not None:
        yield PolicyFinding(
            "the map of the records",
            f"map {agreed_map}",
            "the charter's only",
            _refusal(lambda: require_agreed_map(site.charter, name, site.config.source)),
        )


def _terms(policy: Policy, asked: Asked) -> Iterator[PolicyFinding]:
    found = {one.code: f"{one.code}: {one}" for one in violations(policy, asked)}
    rounds = min(policy.pace.rounds_per_run, policy.pace.rounds_per_day)
    volume = min(policy.volume.per_message, policy.volume.per_round)
    # what the run asks, what the policy allows, and the codes of what breaks it
    table = (
        ("task", asked.task, abbreviated_names(policy.tasks), "task-not-allowed"),
        ("learner", asked.learner, abbreviated_names(policy.learners), "learner-not-allowed"),
        ("model", asked.model or "none", abbreviated_names(policy.models), "model-not-allowed"),
        (
            "columns",
            abbreviated_names(asked.columns),
            abbreviated_names(policy.columns),
            "columns-not-allowed",
        ),
        ("numbers that travel", f"{asked.dim:,}", f"{policy.max_dim:,}", "layout-not-allowed"),
        (
            "encryption",
            "yes" if asked.encrypted else "no",
            "required" if policy.require_encryption else "not required",
            "encryption-required",
        ),
        ("sites in every sum", f"{asked.crowd}", f"at least {policy.min_sites}", "crowd-too-small"),
        (*_privacy_terms(policy, asked), "privacy-required", "weaker-unit", "epsilon-too-large"),
        ("rounds", f"{asked.rounds}", f"at most {rounds:,}", "too-many-rounds"),
        (
            "evaluations",
            f"{asked.evaluations}",
            f"at most {policy.most_evaluations(asked.rounds):,}",
            "too-many-evaluations",
        ),
        (
            "bytes in an answer",
            f"{asked.message_bytes:,}",
            f"at most {volume:,}",
            "too-many-bytes",
        ),
    )
    for what, told, allowed, *codes in table:
        broken = "; ".join(found[code] for code in codes if code in found)
        yield PolicyFinding(what, told, allowed, broken)


def _privacy_terms(policy: Policy, asked: Asked) -> tuple[str, str, str]:
    """Return what is compared, what the run offers, and what the policy demands."""
    ceiling = policy.privacy.ceiling(asked.data_set)
    budget = f"epsilon {ceiling.epsilon:g}, delta {ceiling.delta:g}" if ceiling else "no ceiling"
    offered = "none"
    if asked.privacy is not None:
        epsilon = asked.privacy.epsilon
        loss = f"epsilon {epsilon:g}" if epsilon else "noise that is given"
        offered = f"by {asked.privacy.unit}, {loss}"
    demanded = "required" if policy.privacy.required else "not required"
    return "differential privacy", offered, f"{demanded}, by {policy.privacy.unit}, {budget}"


def _moment(site: Site, policy: Policy, now: float) -> Iterator[PolicyFinding]:
    """Yield what depends on the site's records and on the moment."""
    yield PolicyFinding(
        "training records",
        "those of this site",
        f"at least {policy.min_examples:,}",
        _refusal(lambda: policy.require_examples(site.data.train_examples)),
    )
    yield PolicyFinding(
        "hours",
        datetime.fromtimestamp(now, UTC).strftime("%a %H:%M UTC"),
        number_of(len(policy.windows), "window") if policy.windows else "any",
        _refusal(lambda: policy.require_hours(datetime.fromtimestamp(now, UTC))),
    )
    yield PolicyFinding(
        "kill switch", "", "answers", _refusal(lambda: require_allowed(site.directory))
    )
    with closing(RateLimits(SiteDirectory(site.directory).traffic)) as traffic:
        trained = traffic.rounds_today(now)
    left = max(policy.pace.rounds_per_day - trained, 0)
    yield PolicyFinding(
        "rounds left today",
        f"{trained:,} trained in 24 hours",
        f"{left:,} left",
        "" if left else "too-often: no round is left today",
    )
    releases = policy.releases
    yield PolicyFinding(
        "figures of this site alone",
        "if the policy shows them",
        f"shown from {number_of(releases.minimum_count, 'person')} of each class on"
        if releases.own_figures
        else "withheld",
    )


def _budget(site: Site, policy: Policy) -> Iterator[PolicyFinding]:
    """Yield whether the whole run fits into what the site's records may still lose."""
    ceiling = policy.privacy.ceiling(site.config.data_set)
    if ceiling is None:
        return
    name, event = site.config.data_set, training_of(site.run_config).planned_event(site.data)
    if event is None:
        return
    budget = Budget(epsilon=ceiling.epsilon, delta=ceiling.delta, unit=policy.privacy.unit)
    folder = SiteDirectory(site.directory).ledger
    past: tuple[Mechanism, ...] = ()
    spent = 0.0
    # A site that never trained privately has no ledger, and asking must not make one.
    if folder.exists():
        with ledger_of(site.directory) as ledger:
            past, spent = ledger.weighed_events(name, budget), ledger.spent(name, budget).weighed
    refused = None if fits_budget(event, past, budget) else budget_refusal(event, past, budget)
    together = weighed_epsilon((*past, event), budget)
    yield PolicyFinding(
        "budget of privacy",
        f"{number_of(event_size(event), 'step')} at noise {event.noise_multiplier:.3g}: epsilon "
        f"{together - spent:.3g} more",
        f"epsilon {ceiling.epsilon:g} for '{name}', over all runs: {spent:.3g} spent, afterwards "
        f"{left_after((*past, event), budget):.3g} left",
        f"{refused.code}: {refused}" if refused else "",
    )


def _refusal(rule: Callable[[], object]) -> str:
    try:
        rule()
    except ConsortiumError as error:
        return f"{error.code}: {error}"
    return ""
