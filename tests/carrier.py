"""A coordinator that keeps all it carries, leaves sites out, and adds what it likes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from flwr.app import RecordDict

from privacy.encryption.parameters import Placement
from privacy.layout import Tally
from privacy.protocol.envelope import Receipt
from privacy.wire.encrypted_messages import SealedReply
from scenarios.engines.in_process import Vanished
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.roster import Present, Roster
from tests.receipts import encode_receipts
from tests.small_consortium import (
    NAMES,
    SEALED,
    Consortium,
    Course,
    Hook,
    Passing,
    altered,
    as_it_is,
    configured,
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


_FIRST_NODE = 1001  # of the bus; the members' nodes follow one another in the charter's order


def roster_of(
    consortium: Consortium,
    sites: Iterable[str] = NAMES,
    announcements: Mapping[str, bytes] | None = None,
) -> Roster:
    """Return a roster of these sites, as a coordinator has it that met them.

    Args:
        consortium: Theirs.
        sites: Who is present.
        announcements: What each announced of its ledger.
    """
    nodes = {name: _FIRST_NODE + index for index, name in enumerate(consortium.charter.names)}
    said = announcements or {}
    return Roster(
        layout=consortium.place("east").site.task.layout,
        present={
            name: Present(node=nodes[name], num_examples=0, announcement=said.get(name, b""))
            for name in sites
        },
        asked=frozenset(),
    )


def exchange_with(
    consortium: Consortium, course: Course, *, down: Hook = as_it_is, up: Hook = as_it_is
) -> Exchange:
    """Return a coordinator's exchange with the real sites; the course sees all that passes."""
    return Exchange(grid=consortium.bus(course, configured({}), down=down, up=up), deadline_s=0.0)


def answering(site: str, kind: str, answer: Callable[[], RecordDict]) -> Hook:
    """Return a hook with which a site answers one kind of question with something else."""

    def hook(passing: Passing) -> RecordDict:
        return answer() if (passing.site, passing.kind) == (site, kind) else passing.content

    return hook
