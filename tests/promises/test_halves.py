"""No run goes on in two halves, each with a model of its own."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from privacy.protocol.envelope import Receipt
from privacy.wire.encrypted_messages import SealedReply
from tests.carrier import Carrier, staged
from tests.receipts import encode_receipts
from tests.small_consortium import (
    Consortium,
    Passing,
    Place,
    altered,
    forget_processes,
    read_reply,
    read_round,
    refusal,
)
from tests.tampering import added

DOUBLE = "centre"
FIRST, SECOND = ("east", "north"), ("south", "west")
ROUNDS = 2


@dataclass
class Splitter:
    """A coordinator that leads each half with the help of a member that signs for both.

    The member is itself in the first half; a copy of it is in the second.

    Args:
        consortium: Whom it leads apart.
        copy: Where the member's copy is.
        carrier: What it keeps.
        signed_twice: The copy's reply to the last round.
    """

    consortium: Consortium
    copy: Path
    carrier: Carrier = field(default_factory=Carrier)
    signed_twice: SealedReply = field(default_factory=SealedReply)

    def down(self, passing: Passing) -> RecordDict:
        """Show each half its own sums."""
        if (passing.kind, passing.number) == ("train", ROUNDS):
            if passing.site == DOUBLE:
                shutil.copytree(self.consortium.run.site(DOUBLE), self.copy)
                place = Place(self.copy, self.consortium.place(DOUBLE, **self.overrides).config)
                shown = self._trained_by(SECOND, passing.content)
                self.signed_twice = read_reply(place.ask("train", shown))
            return self._trained_by(SECOND if passing.site in SECOND else FIRST, passing.content)
        if passing.kind == "evaluate" and passing.site in SECOND:
            return self._last_of_the_second(passing.content)
        return passing.content

    @property
    def overrides(self) -> dict[str, Any]:
        """Of the run config."""
        return {"num_server_rounds": ROUNDS}

    def _trained_by(self, half: tuple[str, ...], content: RecordDict) -> RecordDict:
        place = self.consortium.place(FIRST[0], **self.overrides)
        placement = place.session(read_round(content)).terms.updates
        shown = self.carrier.showing(content, (*half, DOUBLE), ROUNDS - 1, placement)
        return altered(shown, report=True)

    def _last_of_the_second(self, content: RecordDict) -> RecordDict:
        replies = [self.carrier.replies[name, ROUNDS] for name in SECOND]
        together = [*replies, self.signed_twice]
        place = self.consortium.place(SECOND[0], **self.overrides)
        placement = place.session(read_round(content)).terms.updates
        return altered(
            content,
            state=replies[0].state,
            sums=added(placement, [one.upload for one in together]),
            receipts=encode_receipts([Receipt.decode(one.receipt) for one in together]),
        )


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="part K: more than half of sites and colluders together must sign a state",
)
def test_a_member_that_signs_two_states_does_not_lead_two_halves_apart(tmp_path: Path) -> None:
    """Of five sites one is in league: with it, each half of two is most of the run."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", sorted((DOUBLE, *FIRST, *SECOND)))
    splitter = Splitter(consortium, tmp_path / "copy")
    course = consortium.start(down=splitter.down, up=splitter.carrier.up, **splitter.overrides)
    staged(so=bool(splitter.signed_twice.receipt), what="nothing was signed twice")
    accepted = {
        asked.site: read_reply(answer).model
        for asked, answer in course.answers("evaluate")
        if not refusal(answer)
    }
    assert len(set(accepted.values())) <= 1
