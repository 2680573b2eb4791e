"""Who observes a run: each event of a strategy goes to all of them, in this order.

It is a module of its own so that whoever exports a run elsewhere, to a tracking server say, finds
one list to add to.
"""

from consortium.coordinator.audit_trail import CoordinatorAuditTrail
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.reply_bound import note_layout
from strategies.coordinator.messaging.events import Observer, RunEvent


def observe_with(trail: CoordinatorAuditTrail, recorder: Recorder) -> Observer:
    """Return one observer that tells all observers of a run."""
    # the audit log comes first: what the run directory says must stand in the evidence
    observers: tuple[Observer, ...] = (trail.note_event, recorder, note_layout)

    def tell_all(event: RunEvent) -> None:
        for observe in observers:
            observe(event)

    return tell_all
