"""What a site checks before a run goes on, without members that left, from the state it reached.

docs/protocol.md, "Without a site that is gone".
"""

from dataclasses import replace

from consortium.client.encrypted.session import RunPosition
from consortium.client.encrypted.verification import RosterIncomplete
from consortium.client.masked.run_masks import RunMasks
from consortium.protocol.run_state import BadRunState, RunState
from privacy.secrets.masked_runs.reached_states import ReachedState
from privacy.secrets.roster_memory import OtherSettings


def keep_reached(masks: RunMasks, server_round: int, standing: RunPosition) -> None:
    """Keep the state from which a round is answered: its run can go on without who is missing."""
    reached = ReachedState(
        state=standing.sealed.digest,
        settings=bytes.fromhex(masks.terms.site.run_config.update_settings),
        roster=tuple(sorted(masks.terms.opened.roster)),
        needed=masks.confirmations_needed,
        content=standing.state.encode(),
    )
    masks.memory.reached.keep(masks.terms.opened.run, server_round, reached)


def continued_start(masks: RunMasks) -> RunState:
    """Return S(0) of a run that goes on from another one, which ends at this site.

    It has the model, the moments, the scales and the statistics of the state that was reached.
    Rounds are counted anew, and so are the scores, in the bins of every start.

    Raises:
        StateNotHeld: This site did not reach the state that the charter names.
        RosterIncomplete: Not all members of the charter take part.
        TooFewRemain: Too few of the sites of then do.
        OtherSettings: The run learns in another way than the one that goes on.
        RunWentOn: This site confirmed a sum that was made from the state.
        ContinuedElsewhere: The run goes on under another charter.
    """
    charter, memory = masks.terms.site.charter, masks.memory
    if {*masks.terms.opened.roster} != {*charter.names}:
        raise RosterIncomplete(
            "all members of the charter signed that they go on together, and not all of them take "
            "part",
            needed=len(charter.names),
            came=len(masks.terms.opened.roster),
        )
    state, reached = _reached_state(masks)
    memory.reached.claim(charter.continues, charter.fingerprint, reached)
    # Its secrets open nothing that is needed any more. Said again after a death here.
    memory.pairs.forget_run(charter.continues)
    return state


def require_continued_start(masks: RunMasks, state: RunState) -> None:
    """Check that a state is S(0) as this site made it from what it reached itself.

    Raises:
        BadRunState: It is another one.
        ConsortiumError: As `continued_start`.
    """
    expected, _ = _reached_state(masks)
    # Bytes are compared, because -0.0 and 0.0 are equal numbers and different states.
    if state.encode() != expected.encode():
        raise BadRunState("the run does not go on from the state that this site reached")


def _reached_state(masks: RunMasks) -> tuple[RunState, ReachedState]:
    terms, charter = masks.terms, masks.terms.site.charter
    reached = masks.memory.reached.held(charter.continues, bytes.fromhex(charter.continues_from))
    reached.require_enough(terms.opened.roster)
    if reached.settings.hex() != terms.site.run_config.update_settings:
        raise OtherSettings(
            "a run goes on with the seed and the settings with which it began: what makes or "
            "weighs an update stays as it was"
        )
    task, first = terms.site.task, terms.bins.first
    held = RunState.decode(
        reached.content,
        layout=task.layout,
        statistics_size=task.statistics.layout.size,
        bins_size=len(first),
    )
    start = replace(
        terms.step.start(held.statistics),
        model=replace(held.model, server_round=0),
        scales=held.scales,
    )
    return start, reached
