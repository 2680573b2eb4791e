"""The sealed state that one site reports for all: the one most of them signed, or none."""

from dataclasses import replace

from privacy.protocol.envelope import TRAINING, SealedState
from privacy.wire import messages
from strategies.coordinator.encrypted.parameters import RoundVoid, StateDisputed
from strategies.coordinator.encrypted.request import Question
from strategies.coordinator.messaging.events import SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import Quarantine


def reported(question: Question, exchange: Exchange, *, floor: int) -> bytes:
    """Return the sealed state most sites signed, from the first site that has it.

    Guarantee: a site that signed another state, or sends another than it signed, is reported as
    such and changes nothing.

    Args:
        question: Of a round of training, with its replies.
        exchange: The message bus: a site may be asked again, for its state.
        floor: Fewest sites in a sum.

    Raises:
        RoundVoid: No site sent it.
    """
    added = question.sums[TRAINING].added
    agreed = question.sums[TRAINING].agreed_state(floor=floor)
    server_round = question.request.server_round
    honest = [site for site, one in sorted(added.items()) if one.state == agreed]
    for site in sorted(set(added) - set(honest)):
        question.observe(
            SiteQuarantined(server_round=server_round, site=site, code=StateDisputed.code)
        )
    for site in honest:
        sent = question.replies[site].state or _asked_again(question, exchange, site)
        with Quarantine(question.observe, server_round, site):
            if sent and SealedState.decode(sent).digest == agreed:
                return sent
            raise StateDisputed("the state it sent is not the one it signed")
    raise RoundVoid(
        f"no site sent the state that most of them signed in round {server_round}",
        came=len(added),
    )


def _asked_again(question: Question, exchange: Exchange, site: str) -> bytes:
    request = replace(question.request, report=True)
    group = str(request.server_round)
    message = exchange.message(messages.TRAIN, question.nodes[site], request.content(), group=group)
    state = b""
    for reply in exchange.replies([message]):
        with Quarantine(question.observe, request.server_round, site):
            state = question.read(reply).state
    return state
