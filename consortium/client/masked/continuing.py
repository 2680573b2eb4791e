"""What a site checks before a run goes on, without members that left, from the state it reached.

docs/protocol.md, "Without a site that is gone".
"""

from collections.abc import Sequence
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
        settings=masks.settings,
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
        RosterIncomplete: Not all members of the charter take part.
        StateNotHeld: This site did not reach the state that the charter names.
        TooFewRemain: Too few of the sites of then take part.
        OtherSettings: The run learns in another way than the one that goes on.
        RunWentOn: This site confirmed a sum that was made from the state.
        ContinuedElsewhere: The run goes on under another charter.
    """
    terms, memory, charter = masks.terms, masks.memory, masks.terms.site.charter
    _require_everyone(terms.opened.roster, charter.names)
    reached = memory.reached.held(charter.continues, bytes.fromhex(charter.continues_from))
    reached.require_enough(terms.opened.roster)
    if reached.settings != masks.settings:
        raise OtherSettings(
            "a run goes on with the seed and the settings with which it began: what makes or "
            "weighs an update stays as it was"
        )
    start = _start_from(masks, reached)
    memory.reached.claim(charter.continues, charter.fingerprint, reached)
    # Its secrets open nothing that is needed any more. Said again after a death here.
    memory.pairs.forget_run(charter.continues)
    return start


def require_continued_start(masks: RunMasks, state: RunState) -> None:
    """Check that a state is S(0) as this site makes it from what it reached itself.

    A site that was not asked for the start is bound by it from here on, as the others are.

    Raises:
        BadRunState: It is another one.
        ConsortiumError: As `continued_start`.
    """
    # Bytes are compared, because -0.0 and 0.0 are equal numbers and different states.
    if state.encode() != continued_start(masks).encode():
        raise BadRunState("the run does not go on from the state that this site reached")


def _require_everyone(roster: Sequence[str], members: Sequence[str]) -> None:
    if {*roster} != {*members}:
        raise RosterIncomplete(
            "all members of the charter signed that they go on together, and not all of them take "
            "part",
            needed=len(members),
            came=len(roster),
        )


def _start_from(masks: RunMasks, reached: ReachedState) -> RunState:
    terms, task = masks.terms, masks.terms.site.task
    held = RunState.decode(
        reached.content,
        layout=task.layout,
        statistics_size=task.statistics.layout.size,
        bins_size=len(terms.bins.first),
    )
    return replace(
        terms.step.start(held.statistics),
        model=replace(held.model, server_round=0),
        scales=held.scales,
    )
