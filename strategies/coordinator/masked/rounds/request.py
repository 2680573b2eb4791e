"""Questions of a masked run: with each upload come its mask terms and the shares of its mask."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flwr.app import Message

from privacy.errors import number_of
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, Receipt
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.bundles import ShareBundle, WrongBundle
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.protocol.masks.set_checks import AnotherCohort, TermsAltered
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.parameters import NothingSent
from strategies.coordinator.encrypted.rounds.ciphertext_sums import UploadForm
from strategies.coordinator.encrypted.rounds.questions import Questions
from strategies.coordinator.encrypted.rounds.request import SealedRequest, nodes_of
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.messaging.exchange import Exchange


@dataclass(frozen=True, kw_only=True)
class UploadMasks:
    """What came beside one upload.

    Args:
        terms: Its mask terms.
        bundle: The shares of its mask, sealed to the witnesses.
    """

    terms: MaskTerms
    bundle: ShareBundle


@dataclass
class MaskedRequest(SealedRequest):
    """A question of a masked run, and what came beside the uploads.

    Guarantee: the mask terms of an upload that is added are those that its receipt signs, are of
    the sites that were asked, and name the bundle that came, which has an entry for each witness.

    Args:
        num_witnesses: Of the run.
        masks: What came beside the uploads that were added, by purpose and site.
    """

    num_witnesses: int = 0
    masks: dict[str, dict[str, UploadMasks]] = field(default_factory=dict)
    _beside: dict[str, dict[str, UploadMasks]] = field(default_factory=dict, repr=False)

    def messages_again(
        self, kind: str, exchange: Exchange, nodes: Mapping[str, int]
    ) -> Iterator[Message]:
        """Return the messages that put the same question to some of the sites once more.

        Args:
            kind: Flower's message type.
            exchange: The message exchange.
            nodes: The nodes of these sites, which may be others than before.
        """
        self.nodes = dict(sorted({**self.nodes, **nodes}.items()))
        content, group = self.request.content(), str(self.request.server_round)
        return (exchange.message(kind, node, content, group=group) for node in nodes.values())

    def _take(self, site: str, sent: SealedReply) -> None:
        self._read_beside(site, sent)
        if site in self.replies:
            return  # asked twice, it answers the same: an upload is added once
        super()._take(site, sent)

    def _check_signed(self, site: str, sent: SealedReply) -> dict[str, Receipt]:
        self._read_beside(site, sent)
        return super()._check_signed(site, sent)

    def _note(self, site: str, sent: SealedReply) -> None:
        super()._note(site, sent)
        for purpose, one in self._beside.pop(site).items():
            self.masks.setdefault(purpose, {})[site] = one
        self.left_out.pop(site, None)  # it was asked once more

    def _read_beside(self, site: str, sent: SealedReply) -> None:
        """Read what came beside the uploads of a site, which is kept once they are added."""
        parts = {
            TRAINING: (sent.receipt, sent.terms, sent.bundle),
            EVALUATION: (sent.count_receipt, sent.count_terms, sent.count_bundle),
            STATISTICS: (sent.count_receipt, sent.count_terms, sent.count_bundle),
        }
        self._beside[site] = {purpose: self._read_masks(*parts[purpose]) for purpose in self.sums}

    @cached_property
    def _cohort(self) -> bytes:
        return cohort_digest(self.request.mask_part.asked)

    def _read_masks(self, receipt: bytes, terms: bytes, bundle: bytes) -> UploadMasks:
        if not (receipt and terms and bundle):
            raise NothingSent("a receipt, its mask terms or the shares of its mask are missing")
        read = UploadMasks(terms=MaskTerms.decode(terms), bundle=ShareBundle.decode(bundle))
        if read.terms.nonce != Receipt.decode(receipt).label.nonce:
            raise TermsAltered("the mask terms are not those that the receipt signs")
        if read.terms.cohort != self._cohort:
            raise AnotherCohort("the masks are of other sites than those that were asked together")
        if read.terms.bundle != read.bundle.digest:
            raise WrongBundle("the shares are not those that the mask terms name")
        if len(read.bundle.entries) != self.num_witnesses:
            raise WrongBundle(
                f"a mask is shared among {number_of(self.num_witnesses, 'witness')}, the bundle "
                f"has {number_of(len(read.bundle.entries), 'entry')}",
                needed=self.num_witnesses,
                came=len(read.bundle.entries),
            )
        return read


@dataclass(frozen=True, kw_only=True)
class MaskedQuestions(Questions):
    """Makes questions of a masked run."""

    terms: MaskedTerms

    def put(
        self, request: SealedRound, sites: Sequence[str], forms: Mapping[str, UploadForm]
    ) -> MaskedRequest:
        """Return a question as it is sent; see `Questions.put`."""
        opening = Opening.decode(request.opening)
        return MaskedRequest(
            request=self.terms.sign_question(request),
            nodes=nodes_of(self.roster, sites),
            sums=self.sums(request, forms),
            read=lambda content: self.read(content, request.server_round),
            observe=self.observe,
            hubs=self.terms.hubs,
            num_witnesses=len(self.terms.witnesses(opening.terms.roster)),
        )
