"""What a site answers when the sites of a run draw their buckets: it commits, reveals, draws."""

from flwr.app import Context, Message

from consortium.site.key_ring import member_at
from consortium.site.site import Site, site_of
from privacy.secrets.bucket_draws import SiteDraws
from privacy.wire import draw_messages


def commit(message: Message, context: Context) -> Message:
    """Commit to this site's share of the draw of a roster."""
    charter, roster = draw_messages.read_commitment_request(message.content)
    made, held = _draws(site_of(context), charter).commit(roster)
    return Message(draw_messages.commitment_answer(made, drawn=held), reply_to=message)


def reveal(message: Message, context: Context) -> Message:
    """Reveal this site's share, once it is shown what every site committed to."""
    charter, commitments = draw_messages.read_commitments(message.content)
    share = _draws(site_of(context), charter).reveal(commitments)
    return Message(draw_messages.revealed_share(share), reply_to=message)


def draw(message: Message, context: Context) -> Message:
    """Keep what the shares of all sites draw."""
    charter, shares = draw_messages.read_shares(message.content)
    _draws(site_of(context), charter).draw(shares)
    return Message(draw_messages.draw_confirmation(), reply_to=message)


def _draws(site: Site, charter: str) -> SiteDraws:
    site.require_charter(charter)
    return member_at(site.directory, site.config.name, site.charter).draws
