"""Who observes a run: each event of a strategy goes to all of them, in this order.

It is a module of its own so that there is one list. Programs that follow runs stand behind one of
its entries: `consortium/coordinator/tracking/registry.py` names them.
"""

from functools import partial

from consortium.coordinator.audit_trail import CoordinatorAuditTrail
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.reply_bound import note_layout
from consortium.coordinator.tracking.trackers import Trackers
from strategies.coordinator.messaging.events import Observer, RunEvent


def observe_with(
    trail: CoordinatorAuditTrail, recorder: Recorder, trackers: Trackers, *, tally_size: int = 0
) -> Observer:
    """Return one observer that tells all observers of a run.

    Args:
        trail: The audit log of the coordinator.
        recorder: It writes the run's directory.
        trackers: Programs that follow the run.
        tally_size: Exact integers that a site sends in a round.
    """
    # the audit log comes first: what the run directory says must stand in the evidence
    observers: tuple[Observer, ...] = (
        trail.note_event,
        recorder,
        partial(note_layout, tally_size=tally_size),
        trackers.note_event,  # last: nothing of the run waits for them
    )

    def tell_all(event: RunEvent) -> None:
        for observe in observers:
            observe(event)

    return tell_all
