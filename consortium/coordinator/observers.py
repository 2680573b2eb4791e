"""Who observes a run: each event of a strategy goes to all of them, in this order.

It is a module of its own so that whoever exports a run elsewhere, to a tracking server say, finds
one list to add to.
"""

from functools import partial

from consortium.coordinator.audit_trail import CoordinatorAuditTrail
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.reply_bound import note_layout
from strategies.coordinator.messaging.events import Observer, RunEvent


def observe_with(
    trail: CoordinatorAuditTrail, recorder: Recorder, *, tally_size: int = 0
) -> Observer:
    """Return one observer that tells all observers of a run.

    Args:
        trail: The audit log of the coordinator.
        recorder: It writes the run's directory.
        tally_size: Exact integers that a site sends in a round.
    """
    # the audit log comes first: what the run directory says must stand in the evidence
    observers: tuple[Observer, ...] = (
        trail.note_event,
        recorder,
        partial(note_layout, tally_size=tally_size),
    )

    def tell_all(event: RunEvent) -> None:
        for observe in observers:
            observe(event)

    return tell_all
