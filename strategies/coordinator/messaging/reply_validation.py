"""Validation of the sites' replies, before anything is computed from them.

All strategies share it. A reply that is not exactly as agreed is refused with a typed error, its
site is left out of the round, and the run goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from privacy.compression.update_form import UpdateForm
from privacy.contribution import LARGEST_ENTRY
from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally
from privacy.wire import flower_records as wire
from privacy.wire import messages
from strategies.coordinator.messaging.events import SiteQuarantined
from strategies.coordinator.messaging.exchange import HUB_AWAY, SILENT, UNREADABLE


class ReplyRefused(ConsortiumError, ValueError, code="reply-refused"):
    """A reply cannot be used. Its site is left out of the round."""


class Silent(ReplyRefused, code="silent"):
    """No reply came before the deadline."""


class Unreadable(ReplyRefused, code="unreadable"):
    """The bytes of a reply are not a Flower message."""


class NodeFailed(ReplyRefused, code="node-failed"):
    """Flower reports that the site's app or node failed."""


class HubAway(ReplyRefused, code="hub-away"):
    """The hub behind which the site stands is not there, or did not answer."""


class TallyOutOfRange(ReplyRefused, code="tally-out-of-range"):
    """A tally holds a count that no site can have."""


class SiteRefused(ReplyRefused, code="site-refused"):
    """The site itself refused, with a code and counts. Its message stays at the site.

    The `code` of the error is the site's own code with a prefix: `site-refused.bad-table`.
    """

    def __init__(self, site_code: str, counts: Mapping[str, int]) -> None:
        super().__init__(f"the site refused: {site_code}")
        self.counts = dict(counts)  # set here: the names are the site's, not safe as keywords
        self.site_code = site_code
        self.code = f"{SiteRefused.code}.{site_code}"


@dataclass(frozen=True)
class Quarantine:
    """Turns an error in one reply into an event, so that the other replies are not affected.

    Args:
        observe: Receives the event.
        server_round: The round for which the site is left out.
        site: Name of the site, or its node if no name is known.
    """

    observe: Callable[[SiteQuarantined], None]
    server_round: int
    site: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        # Only errors raised on purpose: a defect of ours must stop the run, not blame a site.
        if not isinstance(error, ConsortiumError):
            return False
        self.observe(
            SiteQuarantined(
                server_round=self.server_round,
                site=self.site,
                code=error.code,
                counts=error.counts,
            )
        )
        return True


def reply_content(reply: Message) -> RecordDict:
    """Return the content of a reply that is neither an error nor a refusal.

    Raises:
        Silent: No reply came before the deadline.
        Unreadable: The bytes of the reply are not a message.
        HubAway: The site stands behind a hub that is not there.
        NodeFailed: Flower reports that the site failed.
        SiteRefused: The site refused.
        MalformedRecord: The reply does not have an agreed form.
    """
    if reply.has_error():
        if reply.error.code == SILENT:
            raise Silent("no reply before the deadline")
        if reply.error.code == UNREADABLE:
            raise Unreadable("the bytes of the reply are not a Flower message")
        if reply.error.code == HUB_AWAY:
            raise HubAway("the hub of the site is not there")
        raise NodeFailed("the site's app or node failed", flower_code=reply.error.code)
    refusal = wire.read_refusal(reply.content)
    if refusal is not None:
        raise SiteRefused(*refusal)
    return reply.content


def checked_contribution(
    reply: Message,
    *,
    layout: Layout,
    tally_size: int,
    max_examples: int,
    summed_size: int = 0,
    form: UpdateForm | None = None,
) -> messages.Contribution:
    """Return a site's reply to `train`, checked for form, shape and range.

    The values of the update are checked later, in the pass that aggregates them.

    Raises:
        ReplyRefused: The site is silent, failed, refused, or a value is out of range.
        MalformedRecord: The form, type, shape or length is not the agreed one.
        BadCompression: The bytes of a compressed update are none.
    """
    sent = messages.read_contribution(
        reply_content(reply),
        dim=layout.dim,
        tally_size=tally_size,
        max_examples=max_examples,
        summed_size=summed_size,
        form=form,
    )
    _check_range(sent.tally)
    return sent


def checked_counts(reply: Message, *, tally_size: int) -> messages.Counts:
    """Return a site's reply that holds a tally only, checked for form and range.

    Raises:
        ReplyRefused: The site is silent, failed, refused, or a count is out of range.
        MalformedRecord: The form, type, shape or length is not the agreed one.
    """
    sent = messages.read_counts(reply_content(reply), tally_size=tally_size)
    _check_range(sent.tally)
    return sent


def _check_range(tally: Tally) -> None:
    if tally.size and not -LARGEST_ENTRY < tally.min() <= tally.max() < LARGEST_ENTRY:
        raise TallyOutOfRange(f"every entry of a tally must be below {LARGEST_ENTRY} in size")
