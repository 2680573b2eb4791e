"""A site small enough to reason about: it speaks `privacy.wire.messages` and learns nothing.

Its update is a function of its name, the round and the state it received, so that a run with
it is compared bit for bit with a run without it. What it sends can be spoiled before it leaves.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from flwr.app import Context, Message, RecordDict
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Field, Layout, Tally
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp
from strategies import model_state
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import (
    RoundFinished,
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
)
from strategies.coordinator.plaintext.aggregation_buffer import Gather
from strategies.coordinator.plaintext.parameters import Progress, Terms
from strategies.coordinator.plaintext.strategy import Synchronous
from strategies.model_state import OptimizerStep
from strategies.rules.mean import StreamingMean
from strategies.score_bins import BinSteps
from strategies.server_optimizer import OptimizerOptions, sgd

CHARTER = "c" * 64
LAYOUT = Layout(fields=(Field("weight", (2, 3)), Field("bias", (2,))))
STATISTICS_SIZE = 3
EVALUATION_SIZE = 4
MAX_EXAMPLES = 10_000
NAMES = ("east", "north", "south", "west")
MEAN = Gather(begin=lambda state: StreamingMean(state.vector.size))

Spoil: TypeAlias = Callable[[RecordDict], RecordDict]


class ImpossibleTally(ConsortiumError, ValueError, code="impossible-tally"):
    """A tally that no records can have: here, one with a negative entry."""


def check(tally: Tally) -> None:
    """Raise for a tally that no records can have."""
    if np.any(tally < 0):
        raise ImpossibleTally("no count is negative")


TERMS = Terms(
    charter=CHARTER,
    run="run-1",
    attempts=1,
    statistics_size=STATISTICS_SIZE,
    evaluation_size=EVALUATION_SIZE,
    max_examples=MAX_EXAMPLES,
    weigh=float,
    check_statistics=check,
    bins=BinSteps(check=lambda _bins, tally: check(tally)),
)


@dataclass(frozen=True, kw_only=True)
class SmallSite:
    """One institution; an app for `InProcessGrid`.

    Args:
        name: What it says it is called.
        num_examples: What it says it has.
        charter: What it says it signed.
        layout: What it says it would train.
        released: Whether it releases its own figures.
        spoil: What is done to its answers, by kind of message.
    """

    name: str
    num_examples: int = 100
    charter: str = CHARTER
    layout: Layout = LAYOUT
    released: bool = True
    spoil: Mapping[str, Spoil] = field(default_factory=dict)

    def __call__(self, message: Message, _context: Context) -> Message:
        """Answer as a ClientApp would."""
        kind = message.metadata.message_type
        answer = self.answer(kind, message.content)
        spoiled = self.spoil[kind](answer) if kind in self.spoil else answer
        return Message(spoiled, reply_to=message)

    def answer(self, kind: str, content: RecordDict) -> RecordDict:
        """Return the unspoiled content of an answer."""
        if kind == messages.HELLO:
            said = messages.Introduction(
                site=self.name,
                charter=self.charter,
                layout=self.layout,
                num_examples=self.num_examples,
            )
            return messages.introduction(said)
        if kind == messages.STATISTICS:
            tally = np.full(STATISTICS_SIZE, self.num_examples, np.int64)
            return messages.counts(messages.Counts(tally=tally, released=self.released))
        stands = messages.read_position(content, dim=LAYOUT.dim, statistics_size=STATISTICS_SIZE)
        tally = np.full(EVALUATION_SIZE, stands.server_round, np.int64)
        if kind == messages.EVALUATE:
            return messages.counts(messages.Counts(tally=tally, released=self.released))
        return messages.contribution(
            messages.Contribution(
                update=update_of(self.name, stands.server_round, stands.state),
                num_examples=self.num_examples,
                tally=tally,
                released=self.released,
            )
        )


def update_of(name: str, server_round: int, state: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return what a site of this name sends in a round in which it received this state."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), server_round])
    return (rng.normal(size=state.shape) - 0.1 * state).astype(np.float32)


@dataclass
class Outcome:
    """What a run left behind, whether it ended well or not."""

    events: list[RunEvent] = field(default_factory=list)
    kept: list[Progress] = field(default_factory=list)

    @property
    def model(self) -> bytes:
        """The last state that was kept, as bytes."""
        return model_state.encode(self.kept[-1].state)

    @property
    def quarantined(self) -> set[tuple[str, str]]:
        """Site and code of each quarantine."""
        return {(e.site, e.code) for e in self.events if isinstance(e, SiteQuarantined)}

    @property
    def rounds(self) -> list[RoundFinished]:
        """The rounds that were finished, the final evaluation included."""
        return [event for event in self.events if isinstance(event, RoundFinished)]

    def released(self, server_round: int) -> dict[str, list[int]]:
        """What each site released in a round; round 0 is the statistics."""
        answers = [event for event in self.events if isinstance(event, SiteAnswered)]
        return {
            answer.site: answer.released.tolist()
            for answer in answers
            if answer.server_round == server_round and answer.released is not None
        }


def grid_of(sites: Sequence[SiteApp]) -> InProcessGrid:
    """Return a bus with a node for each site, in their order."""
    return InProcessGrid(dict(enumerate(sites)), len(sites), {})


def cohort_of(members: Iterable[str] = NAMES, *, quorum: int = 1, fraction: float = 1.0) -> Cohort:
    """Return a cohort that waits for nobody: sites of one process answer when asked, or never."""
    return Cohort(
        members=tuple(members),
        quorum=quorum,
        fraction=fraction,
        deadline_s=0.0,
        join_deadline_s=0.0,
        seed=7,
    )


def strategy_of(
    outcome: Outcome,
    *,
    cohort: Cohort | None = None,
    gather: Gather = MEAN,
    terms: Terms = TERMS,
    needs_memory: bool = False,
) -> Synchronous:
    """Return FedAvg, whose events and states go to the outcome."""
    return Synchronous(
        gather=gather,
        step=OptimizerStep(optimizer=sgd(OptimizerOptions()), needs_memory=needs_memory),
        cohort=cohort or cohort_of(),
        terms=terms,
        observe=outcome.events.append,
        keep=outcome.kept.append,
    )


def run(sites: Sequence[SiteApp], *, cohort: Cohort | None = None, rounds: int = 2) -> Outcome:
    """Run FedAvg over the sites; return what came of it."""
    outcome = Outcome()
    strategy_of(outcome, cohort=cohort).start(grid_of(sites), rounds)
    return outcome


def honest(names: Iterable[str] = NAMES) -> list[SmallSite]:
    """Return well-behaved sites of these names, each with its own number of examples."""
    return [SmallSite(name=name, num_examples=100 + 10 * len(name)) for name in names]
