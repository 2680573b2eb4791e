"""From config to strategy: every choice of a run, in one place, on the coordinator's side."""

from collections.abc import Callable

from consortium.charter import Charter
from consortium.config import BadConfig, RunConfig
from privacy.weights import weight_class
from sites.evaluation import evaluation_for
from sites.statistics import Statistics
from strategies.cohort import Cohort
from strategies.events import Observer
from strategies.gathering import Gather, Matrix
from strategies.optimizer import OPTIMIZERS, OptimizerOptions, ServerOptimizer
from strategies.rules.catalogue import RuleOptions, RuleSpec, require_feasible, rule_named
from strategies.rules.mean import StreamingMean
from strategies.synchronous import Progress, Synchronous, Terms


def strategy_for(
    config: RunConfig,
    charter: Charter,
    *,
    observe: Observer,
    keep: Callable[[Progress], None],
) -> Synchronous:
    """Return the strategy that a run config asks for, under a charter.

    Args:
        config: The coordinator's choices.
        charter: The members' limits.
        observe: Told what happens.
        keep: Told how far the run is.

    Raises:
        BadConfig: The choices contradict each other or the charter.
        ConsortiumError: The rule is unknown or cannot survive so many liars among so few sites,
            or the quorum can never be reached.
    """
    cohort = cohort_for(config, charter)
    statistics, evaluation = Statistics(charter.table), evaluation_for(charter.table)
    return Synchronous(
        gather=_gather_for(config, _rule_for(config, len(charter.names))),
        optimizer=_optimizer_for(config),
        cohort=cohort,
        terms=Terms(
            charter=charter.fingerprint,
            statistics_size=statistics.layout.size,
            evaluation_size=evaluation.layout.size,
            max_examples=charter.floors.max_examples,
            weigh=_weighing(config, charter),
            check_statistics=statistics.check,
            check_evaluation=evaluation.check,
        ),
        observe=observe,
        keep=keep,
    )


def cohort_for(config: RunConfig, charter: Charter) -> Cohort:
    """Return who takes part in the rounds of a run.

    Raises:
        BadConfig: The quorum is below the charter's floor.
        ImpossibleCohort: The quorum can never be reached.
    """
    if config.quorum < charter.floors.min_sites:
        raise BadConfig(
            f"quorum={config.quorum} is below the charter's floor of {charter.floors.min_sites} "
            "sites: raise quorum",
            quorum=config.quorum,
            floor=charter.floors.min_sites,
        )
    return Cohort(
        members=charter.names,
        quorum=config.quorum,
        fraction=config.fraction,
        deadline_s=config.deadline_s,
        join_deadline_s=config.join_deadline_s,
        seed=config.seed,
    )


def _rule_for(config: RunConfig, num_sites: int) -> RuleSpec:
    spec = rule_named(config.rule.name)
    require_feasible(spec.name, num_sites, config.rule.num_byzantine)
    if not spec.weighted and config.weighting != "equal":
        raise BadConfig(
            f"{spec.name} has no weighted form in the literature and weighting is "
            f"'{config.weighting}': set weighting to equal"
        )
    return spec


def _gather_for(config: RunConfig, spec: RuleSpec) -> Gather:
    if spec.streaming:
        return Gather(begin=lambda dim, _n_sites, _memory: StreamingMean(dim))
    options = RuleOptions(num_byzantine=config.rule.num_byzantine, clip_norm=config.rule.clip_norm)
    return Gather(
        begin=lambda dim, n_sites, memory: Matrix(spec.build(options, memory), dim, n_sites),
        needs_memory=spec.needs_memory,
    )


def _optimizer_for(config: RunConfig) -> ServerOptimizer:
    chosen = config.server_optimizer
    options = OptimizerOptions(
        learning_rate=chosen.learning_rate,
        momentum=chosen.momentum,
        beta1=chosen.beta1,
        beta2=chosen.beta2,
        tau=chosen.tau,
    )
    return OPTIMIZERS[chosen.name](options)


def _weighing(config: RunConfig, charter: Charter) -> Callable[[int], float]:
    full = charter.floors.full_class_examples
    match config.weighting:
        case "classes":
            return lambda examples: float(weight_class(examples, full_class_examples=full))
        case "examples":
            return float
        case "equal":
            return lambda _examples: 1.0
