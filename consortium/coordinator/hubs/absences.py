"""Why a member behind a hub is missing: if its hub is away, that is the reason."""

from collections.abc import Callable, Collection
from dataclasses import replace

from strategies.coordinator.messaging.events import Observer, RunEvent, SiteQuarantined
from strategies.coordinator.messaging.reply_validation import HubAway, Silent
from strategies.coordinator.messaging.roster import NeverCame, NodeGone

# What a run says of a member from which nothing comes, whoever is at fault.
_NOTHING_CAME = frozenset({NeverCame.code, NodeGone.code, Silent.code})


def explaining(observe: Observer, away: Callable[[], Collection[str]]) -> Observer:
    """Return an observer that is told of a hub that is away, where a member behind it is missing.

    Args:
        observe: Receives every event.
        away: Returns the members whose hub is away.
    """

    def tell(event: RunEvent) -> None:
        if isinstance(event, SiteQuarantined) and event.code in _NOTHING_CAME:
            behind = event.site in away()
            event = replace(event, code=HubAway.code) if behind else event
        observe(event)

    return tell
