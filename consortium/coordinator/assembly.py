"""From config to strategy: every choice of a run, in one place, on the coordinator's side."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from consortium.charter.document import Charter
from consortium.config import BadConfig, RunConfig
from consortium.modes.masked import Masked as MaskedMode
from consortium.modes.registry import mode_of
from consortium.protocol.aggregation import rule_at, rule_spec, smallest_voters, streams
from consortium.protocol.evaluation_bins import bin_steps, evaluation_of
from consortium.protocol.learning import learner_of
from consortium.protocol.parameters import (
    compares_ledgers,
    count_placement,
    optimizer_for,
    update_form,
    update_placement,
    upload_header,
    weight_classes,
)
from consortium.protocol.round_counts import asks_for_counts, round_counts
from privacy.contribution import Contribution
from privacy.errors import number_of
from privacy.protocol.grouping import weight_class
from privacy.protocol.key_messages import LONGEST_LABEL
from sites.learner import Learner
from sites.statistics.contract import statistics_for
from strategies.coordinator.encrypted.parameters import ClaimRoster, SealedTerms
from strategies.coordinator.encrypted.progress import Reach
from strategies.coordinator.encrypted.rounds.ciphertext_sums import Keep
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.hubs.parts import NO_HUBS, AgreedHubs
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.masked.strategy import Masked
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import Observer
from strategies.coordinator.plaintext.aggregation_buffer import ExactSum, Gather, StackedUpdates
from strategies.coordinator.plaintext.buffered import Buffered
from strategies.coordinator.plaintext.parameters import Progress, Terms
from strategies.coordinator.plaintext.strategy import Synchronous
from strategies.coordinator.plaintext.triggered import Triggered
from strategies.model_state import ModelStep, OptimizerStep, TallyStep
from strategies.rules.mean import StreamingMean
from strategies.rules.registry import RuleSpec
from strategies.schedule import ScheduleName

Sign = Callable[[bytes], bytes]
_SCHEDULES: Mapping[ScheduleName, type[Synchronous]] = MappingProxyType(
    {"synchronous": Synchronous, "buffered": Buffered, "triggered": Triggered}
)


def clear_strategy(
    config: RunConfig,
    charter: Charter,
    run: str,
    *,
    observe: Observer,
    keep: Callable[[Progress], None],
) -> Synchronous:
    """Return the strategy of a run in the clear, by its schedule.

    Args:
        config: The coordinator's choices.
        charter: The members' limits.
        run: Name of the run, like no other's.
        observe: Told what happens.
        keep: Told how far the run is.

    Raises:
        BadConfig: The choices contradict each other or the charter.
        ConsortiumError: The rule is unknown or cannot survive so many liars among so few sites,
            or the quorum can never be reached.
    """
    statistics = statistics_for(charter.table, by_class=config.counts_by_class)
    evaluation = evaluation_of(config, charter)
    spec, learner = rule_spec(config, charter), learner_of(charter, config)
    return _SCHEDULES[config.schedule.name](
        gather=_gather_for(config, spec, learner.contribution),
        step=_step_for(config, spec, learner),
        cohort=cohort_for(config, charter),
        terms=Terms(
            charter=charter.fingerprint,
            run=run,
            attempts=config.attempts,
            statistics_size=statistics.layout.size,
            evaluation_size=evaluation.layout.size,
            max_examples=charter.floors.max_examples,
            weigh=_weighing(config, charter),
            check_statistics=statistics.check,
            contribution=learner.contribution,
            form=lambda layout, state: update_form(
                config, layout, state.vector, state.server_round + 1
            ),
            bins=bin_steps(config, charter),
            asks_for_counts=partial(asks_for_counts, config, charter),
            agreement=charter.agreement if compares_ledgers(config, charter) else None,
            buffer_size=_buffer_size(config, charter),
        ),
        observe=observe,
        keep=keep,
    )


def encrypted_strategy(  # noqa: PLR0913 -- each is another part of the coordinator
    config: RunConfig,
    charter: Charter,
    *,
    observe: Observer,
    keep: Keep,
    reach: Reach,
    keep_before_sending: Keep | None = None,
    asked_last: tuple[str, ...] = (),
    sign: Sign | None = None,
    claim_roster: ClaimRoster | None = None,
) -> Encrypted:
    """Return the strategy of an encrypted run, with masks if the config says so.

    Args:
        config: The coordinator's choices.
        charter: The members' limits and public keys.
        observe: Told what happens.
        keep: Keeps a file of the coordinator's.
        reach: Told how far the run is.
        keep_before_sending: Keeps a file before the next question is sent; if None, `keep` does.
        asked_last: Openers that failed the others in an earlier run.
        sign: Signs with the coordinator's key, if the charter names it.
        claim_roster: Remembers for whom statistics are summed, and refuses others.

    Raises:
        BadConfig, BadCharter: The choices contradict each other or the charter, or a member has
            no keys.
        ConsortiumError: As `clear_strategy`; or no parameters are exact for so many members.
    """
    rule_spec(config, charter)
    cohort = cohort_for(config, charter)
    terms = replace(
        sealed_terms(config, charter),
        asked_last=asked_last,
        sign=sign,
        claim_roster=claim_roster or (lambda _roster: None),
    )
    if not isinstance(terms, MaskedTerms):
        return Encrypted(cohort=cohort, terms=terms, observe=observe, keep=keep, reach=reach)
    return Masked(
        cohort=cohort,
        terms=terms,
        observe=observe,
        keep=keep,
        keep_before_sending=keep_before_sending or keep,
        reach=reach,
    )


def sealed_terms(config: RunConfig, charter: Charter) -> SealedTerms:
    """Return what run config and charter agree on of an encrypted run; with masks, its own kind."""
    terms = _sealed_terms(config, charter)
    if not isinstance(mode_of(config), MaskedMode):
        return terms
    return _masked_terms(terms, config, charter)


def _masked_terms(terms: SealedTerms, config: RunConfig, charter: Charter) -> MaskedTerms:
    return MaskedTerms(
        **vars(terms),
        max_colluders=charter.num_colluders,
        one_set=charter.sums_one_set(noise=config.privacy.offered is not None),
        suite=charter.pair_suite.lower(),
    )


def _sealed_terms(config: RunConfig, charter: Charter) -> SealedTerms:
    """Return what run config and charter agree on."""
    statistics = statistics_for(charter.table, by_class=config.counts_by_class).layout.size
    counted = round_counts(config, charter, evaluation_of(config, charter).layout.size)
    return SealedTerms(
        charter=charter.fingerprint,
        label=charter.name[:LONGEST_LABEL],
        agreement=charter.agreement,
        buckets=config.buckets,
        weight_classes=weight_classes(config, charter),
        voters=smallest_voters(config),
        attempts=config.attempts,
        updates=lambda layout, server_round: update_placement(
            config, charter, layout, server_round
        ),
        statistics=count_placement(config, charter, statistics),
        evaluation=count_placement(config, charter, counted.size),
        counts=counted,
        header=lambda label, layout, placement: upload_header(label, config, layout, placement),
        bins=bin_steps(config, charter),
        exact=learner_of(charter, config).contribution.exact,
        compares_ledgers=compares_ledgers(config, charter),
        counts_statistics=config.privacy.counts_statistics
        or bool(config.evaluate_model or config.continues),
        keeps_statistics=bool(charter.statistics_of) and config.privacy.counts_statistics,
        continues=bool(config.continues),
        asks_for_counts=partial(asks_for_counts, config, charter),
        hubs=_agreed_hubs(charter),
    )


def _agreed_hubs(charter: Charter) -> AgreedHubs:
    if not charter.hubs:
        return NO_HUBS
    return AgreedHubs(
        charter=bytes.fromhex(charter.fingerprint),
        keys={hub.name: bytes.fromhex(hub.signing) for hub in charter.hubs},
        members={hub.name: frozenset(hub.members) for hub in charter.hubs},
    )


def cohort_for(config: RunConfig, charter: Charter) -> Cohort:
    """Return who takes part in the rounds of a run.

    Raises:
        BadConfig: The quorum is below the charter's floor, or a site is left out that is none.
        OutsideCharter: The charter does not allow such a run.
        ImpossibleCohort: The quorum can never be reached.
    """
    mode_of(config).require_agreed(config, charter)
    if config.quorum < charter.floors.min_sites:
        raise BadConfig(
            f"quorum={config.quorum} is below the charter's floor of {charter.floors.min_sites} "
            "sites: raise quorum",
            quorum=config.quorum,
            floor=charter.floors.min_sites,
        )
    config.require_members_left_out(charter.names)
    return Cohort(
        members=tuple(name for name in charter.names if name not in config.left_out),
        quorum=config.quorum,
        fraction=config.fraction,
        deadline_s=config.deadline_s,
        join_deadline_s=config.join_deadline_s,
        seed=config.seed,
        identities=charter.identities,
        left_out=config.left_out,
    )


def _buffer_size(config: RunConfig, charter: Charter) -> int:
    """Return how many updates move the model of a buffered run; 0 of any other.

    Raises:
        BadConfig: There are fewer members than that.
    """
    if config.schedule.name != "buffered":
        return 0
    size, sites = config.schedule.buffer(config.quorum), len(charter.names) - len(config.left_out)
    if size > sites:
        raise BadConfig(
            f"buffer-size={size} would never be reached: {number_of(sites, 'site')} take part, and "
            f"a buffer holds one answer of each. Lower buffer-size to {sites} or less",
            needed=size,
            sites=sites,
        )
    return size


def _step_for(config: RunConfig, spec: RuleSpec, learner: Learner) -> ModelStep:
    if learner.move is not None:
        return TallyStep(learner.move)
    return OptimizerStep(
        optimizer=optimizer_for(config), needs_memory=spec.needs_memory, pruning=config.pruning
    )


def _gather_for(config: RunConfig, spec: RuleSpec, sent: Contribution) -> Gather:
    if sent.exact:
        return Gather(begin=lambda _state: ExactSum(sent.tally_size))
    if streams(config, spec):
        return Gather(begin=lambda state: StreamingMean(state.vector.size))
    rule = rule_at(config, spec)
    return Gather(begin=lambda state: StackedUpdates(rule(state), state.vector.size))


def _weighing(config: RunConfig, charter: Charter) -> Callable[[int], float]:
    full = charter.floors.full_class_examples
    match config.weighting:
        case "classes":
            return lambda examples: float(weight_class(examples, full_class_examples=full))
        case "examples":
            return float
        case "equal":
            return lambda _examples: 1.0
