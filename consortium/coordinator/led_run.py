"""A run as the process that leads it has it, and how far it has come."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flwr.serverapp import Grid

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.audit_trail import CoordinatorAuditTrail
from consortium.coordinator.hubs.absences import explaining
from consortium.coordinator.observers import observe_with
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.tracking.trackers import Trackers
from consortium.protocol.evaluation_bins import evaluation_of
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from privacy.layout import Layout
from strategies.coordinator.messaging.events import Observer


@dataclass(frozen=True)
class Ending:
    """What a run came to, as far as the coordinator can know it.

    Args:
        layout: Of the federated vector; None if the run did not come so far.
        rounds: Rounds that moved the model.
        model_digest: Of the model after them, hexadecimal; empty if it is not known here.
    """

    layout: Layout | None = None
    rounds: int = 0
    model_digest: str = ""


@dataclass(eq=False, kw_only=True)
class LedRun:
    """A run that this process leads.

    Args:
        grid: Flower's message bus, every message of which is written down.
        config: The coordinator's choices.
        charter: What the members agreed on.
        recorder: Writes what happens to the run's directory.
        trail: Writes the coordinator's audit log.
        trackers: Programs that follow the run.
        ending: What is kept of the run so far; a mode sets it as soon as it has kept more.
        away: Returns the members whose hub is away.
    """

    grid: Grid
    config: RunConfig
    charter: Charter
    recorder: Recorder
    trail: CoordinatorAuditTrail
    trackers: Trackers
    ending: Ending = Ending()
    away: Callable[[], Collection[str]] = tuple

    @property
    def observe(self) -> Observer:
        """Tells everybody who observes the run."""
        most = most_counted(self.config, self.charter)
        observe = observe_with(self.trail, self.recorder, self.trackers, tally_size=most)
        return explaining(observe, self.away)

    @property
    def directory(self) -> RunDirectory:
        """Where everything about the run is kept."""
        return self.recorder.run


def most_counted(config: RunConfig, charter: Charter) -> int:
    """Return the most exact integers that a site sends in answer to one question of a run."""
    sent = learner_of(charter, config).contribution
    return max(sent.tally_size, evaluation_of(config, charter).layout.size)
