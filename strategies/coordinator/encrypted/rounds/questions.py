"""How a question of an encrypted run is made: what is asked, whom, and what is added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flwr.app import RecordDict

from privacy.protocol.envelope import Slot
from privacy.protocol.key_messages import Opening
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.parameters import SealedTerms
from strategies.coordinator.encrypted.rounds.ciphertext_sums import (
    CiphertextSums,
    Keep,
    UploadForm,
)
from strategies.coordinator.encrypted.rounds.request import SealedRequest, nodes_of
from strategies.coordinator.messaging.events import Observer
from strategies.coordinator.messaging.roster import Roster


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Makes questions of a run.

    Args:
        terms: The agreed parameters against which every reply is checked.
        roster: Who is present.
        keep: Stores a file of the coordinator durably, before the run acts on its content.
        observe: Receives the events.
    """

    terms: SealedTerms
    roster: Roster
    keep: Keep
    observe: Observer

    def put(
        self, request: SealedRound, sites: Sequence[str], forms: Mapping[str, UploadForm]
    ) -> SealedRequest:
        """Return a question as it is sent.

        Args:
            request: What is asked, with the opening of the run.
            sites: Who is asked; those that are not present are not.
            forms: The forms of the uploads that are asked for, by purpose.
        """
        return SealedRequest(
            request=self.terms.sign_question(request),
            nodes=nodes_of(self.roster, sites),
            sums=self.sums(request, forms),
            read=lambda content: self.read(content, request.server_round),
            observe=self.observe,
            hubs=self.terms.hubs,
        )

    def sums(
        self, request: SealedRound, forms: Mapping[str, UploadForm]
    ) -> dict[str, CiphertextSums]:
        """Return the empty sums of a question, by purpose."""
        opening = Opening.decode(request.opening)
        members = self.terms.agreement.roster(opening.terms.roster)
        return {
            purpose: CiphertextSums(
                form=form,
                slot=Slot(
                    run=opening.run,
                    purpose=purpose,
                    server_round=request.server_round,
                    attempt=request.attempt,
                ),
                roster=members,
                keep=self.keep,
            )
            for purpose, form in forms.items()
        }

    def read(self, content: RecordDict, server_round: int) -> SealedReply:
        """Return the content of a reply, read with the agreed bounds.

        Raises:
            MalformedRecord: The form is not the agreed one.
        """
        terms, layout = self.terms, self.roster.layout
        return SealedReply.read(
            content,
            upload_bytes=terms.updates(layout, server_round).upload_bytes,
            count_bytes=max(terms.evaluation.upload_bytes, terms.statistics.upload_bytes),
            tally_size=terms.evaluation.tally_size,
        )
