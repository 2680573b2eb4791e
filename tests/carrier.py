"""A coordinator that keeps all it carries, leaves sites out, and adds what it likes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from flwr.app import RecordDict

from privacy.encryption.parameters import Placement
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt
from privacy.wire.encrypted_messages import SealedReply
from scenarios.engines.in_process import Vanished
from tests.receipts import encode_receipts
from tests.small_consortium import (
    SEALED,
    Course,
    Hook,
    Passing,
    altered,
    read_reply,
    refusal,
)
from tests.tampering import added


@dataclass
class Carrier:
    """Keeps the last message of each kind to each site, and every update that was sealed.

    Args:
        asked: Messages, by site and kind.
        replies: Replies to training, by site and round.
    """

    asked: dict[tuple[str, str], RecordDict] = field(default_factory=dict)
    replies: dict[tuple[str, int], SealedReply] = field(default_factory=dict)

    def down(self, passing: Passing) -> RecordDict:
        """Keep a message."""
        if passing.kind in SEALED:
            self.asked[passing.site, passing.kind] = passing.content
        return passing.content

    def up(self, passing: Passing) -> RecordDict:
        """Keep a reply to training."""
        if passing.kind == "train" and not refusal(passing.content):
            self.replies[passing.site, passing.number] = read_reply(passing.content)
        return passing.content

    def showing(
        self, content: RecordDict, names: Iterable[str], server_round: int, placement: Placement
    ) -> RecordDict:
        """Return a message that shows the sum of some sites' updates only, with their receipts."""
        of_round = [self.replies[name, server_round] for name in names]
        return altered(
            content,
            sums=added(placement, [one.upload for one in of_round]),
            receipts=encode_receipts([Receipt.decode(one.receipt) for one in of_round]),
        )


def away(site: str) -> Hook:
    """Return a hook by which a site is not there: no message reaches it."""

    def hook(passing: Passing) -> RecordDict:
        if passing.site == site:
            raise Vanished
        return passing.content

    return hook


def released_tallies(course: Course) -> list[Tally]:
    """Return the pooled evaluations that were opened for the coordinator, round by round."""
    return [one.evaluation for one in course.rounds if one.evaluation.any()]


def staged(*, so: bool, what: str) -> None:
    """Fail a test, otherwise than by an assertion, unless its attack could be carried out.

    A test that waits for a mend fails by an assertion; it shall not wait for anything else.
    """
    if not so:
        pytest.fail(f"the attack was not carried out: {what}")
