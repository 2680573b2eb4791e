"""What is asked of a sweep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from consortium.config import RunConfig, Scalar
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError
from scenarios.attacks.assignment import NOBODY, AttackAssignment
from scenarios.engines.runner import do_nothing
from scenarios.scenario import Scenario
from scenarios.sweep.records import RungRecord, SweepPlan
from scenarios.sweep.search.schedule import halving_schedule
from scenarios.sweep.search.space import Search, require_in_range
from scenarios.sweep.validation import judge_within_training
from sites.data.source import DataSource


class NotTunable(ConsortiumError, ValueError, code="not-tunable"):
    """A scenario has no rounds by which trials could be judged before their end."""


@dataclass(frozen=True, kw_only=True)
class SweepOrder:
    """What the user asked for.

    Args:
        name: Of the scenario as it was typed: a name, or an absolute path.
        scenario: The scenario.
        config: The run config of all trials, but for what is searched.
        chosen: What the user set for all trials.
        searches: What is searched.
        trials: Number of trials.
        reduction: Of so many trials, one goes on at each rung.
        own_data: The user's own data, by site.
        lies: Which sites attack, and how.
        within_training: Whether trials are judged on a part of the training records, and nobody
            who is held out is read.
        rounds_after: Rounds of a run with the best values that is paid for with the sweep, if runs
            are private.
    """

    name: str
    scenario: Scenario
    config: RunConfig
    chosen: Mapping[str, Scalar]
    searches: tuple[Search, ...]
    trials: int
    reduction: int
    own_data: Mapping[str, DataSource] = field(default_factory=dict)
    lies: AttackAssignment = NOBODY
    within_training: bool = False
    rounds_after: int = 0

    @property
    def on_staged(self) -> Callable[[RunDirectory], None]:
        """What is done to the sites of a trial once they are staged."""
        if not self.within_training:
            return do_nothing
        return partial(judge_within_training, seed=self.config.seed)

    @property
    def plan(self) -> SweepPlan:
        """What is kept of it.

        Raises:
            BadSchedule, BadSearch: So many trials cannot be halved; a value is out of range.
            NotTunable: The scenario does not train by rounds.
        """
        if learner_of(self.scenario.charter, self.config).contribution.exact:
            raise NotTunable(
                f"{self.scenario.name} counts and does not train, so that no figure tells before "
                "its end how good it gets: choose a scenario that trains, or learner=gradient"
            )
        if self.config.evaluate_every > 1:
            raise NotTunable(
                f"evaluate-every={self.config.evaluate_every} leaves models unjudged that trials "
                "are compared by: leave it at 1 in a sweep"
            )
        if self.config.schedule.name != "synchronous":
            raise NotTunable(
                f"schedule={self.config.schedule.name} judges a model by those sites that trained "
                "in its round, so that two trials would be judged by different records: set "
                "schedule to synchronous in a sweep"
            )
        require_in_range(self.searches, self.config)
        headline, rounds = self.scenario.headline, self.config.num_server_rounds
        rungs = halving_schedule(self.trials, rounds, reduction=self.reduction)
        return SweepPlan(
            scenario=self.name,
            title=self.scenario.title,
            charter=self.scenario.charter.fingerprint,
            metric=headline.name,
            metric_title=headline.title,
            higher_is_better=headline.higher_is_better,
            searches=tuple(map(str, self.searches)),
            seed=self.config.seed,
            reduction=self.reduction,
            rungs=tuple(RungRecord(trials=one.trials, rounds=one.rounds) for one in rungs),
            chosen=dict(self.chosen),
            config=self.config.flat(),
            within_training=self.within_training,
            rounds_after=self.rounds_after,
        )
