"""Triggered rounds in the clear: a site may say that it has nothing new, and trains nothing.

Event-triggered communication in the manner of LAG (Chen et al. 2018, arXiv:1805.09965), with a rule
at the site that looks at a loss and not at an update, so that it is known before any training.
"""

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid

from privacy.wire import messages
from strategies.coordinator.messaging.events import SiteUnchanged
from strategies.coordinator.messaging.reply_validation import SiteRefused
from strategies.coordinator.plaintext.aggregation_buffer import Gathering
from strategies.coordinator.plaintext.strategy import Synchronous, train_content
from strategies.model_state import stood_still
from strategies.schedule import NOTHING_NEW


class Triggered(Synchronous):
    """Rounds in which "nothing new" stands for an update of zero.

    Guarantee: a site that says so is neither left out nor at fault, and weighs what it said on
    joining. The model moves only by the updates of as many sites as the quorum asks for, so that
    nobody reads the update of one site from two models: where fewer have something new, the others
    are asked once more, and then train. Where none has, the model stands for this round. If all
    sites always have something new, the bits are those of `Synchronous`.
    """

    def _train(self, grid: Grid, server_round: int) -> None:
        state, exchange = self._progress.state, self._exchange(grid)
        gathering = self._gather.begin(state)
        asked = self.configure_train(server_round, *self._position(server_round), grid)
        self._take_all(exchange.replies(asked), gathering)
        there = self._round
        if 0 < len(there.answered) < self._cohort.quorum:
            self._take_all(exchange.replies(self._ask_once_more(grid)), gathering)
        self._cohort.require_quorum([*there.answered, *there.unchanged])
        if not there.answered:
            self._finish_round(stood_still(state))
            return
        self._cohort.require_quorum(there.answered)
        for site in there.unchanged:
            examples = self._roster.present[site].num_examples
            gathering.add(np.zeros(state.vector.size, np.float32), self._terms.weigh(examples))
        self._move(gathering)

    def _ask_once_more(self, grid: Grid) -> list[Message]:
        """Return questions to those who have nothing new, which they are to answer all the same."""
        number, sites = self._round.number, self._round.unchanged
        self._round.unchanged = []
        content = train_content(*self._position(number, insists=True))
        exchange, nodes = self._exchange(grid), [self._roster.present[one].node for one in sites]
        group = str(number)
        return [exchange.message(messages.TRAIN, node, content, group=group) for node in nodes]

    def _take_update(self, reply: Message, gathering: Gathering) -> None:
        try:
            super()._take_update(reply, gathering)
        except SiteRefused as said:
            if said.site_code != NOTHING_NEW:
                raise
            site = self._site_of(reply)
            self._round.unchanged.append(site)
            self._observe(SiteUnchanged(server_round=self._round.number, site=site))
