"""What a site seals and says, each place in a run once: asked again, the same bytes."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from consortium.client.encrypted.session_parameters import SiteTerms
from consortium.client.encrypted.verification import ExactCounts
from consortium.protocol.parameters import planes, upload_header
from privacy import canonical
from privacy.canonical import Reader
from privacy.encryption.parameters import Placement
from privacy.encryption.quantisation import Scales, quantise, saturated_values
from privacy.layout import Tally
from privacy.protocol.envelope import (
    EVALUATION,
    NO_STATE,
    STATISTICS,
    TRAINING,
    Receipt,
    Slot,
    UploadLabel,
)
from privacy.protocol.grouping import COUNTED, WITHHELD
from privacy.protocol.upload import upload_digest
from privacy.secrets.answer_memory import Answer
from privacy.secrets.linear_mac import upload_pad
from privacy.secrets.masks.mask_streams import Masks
from privacy.secrets.roster_memory import CountedData, Start
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.messages import Contribution

_WORTH_SHARING = 64  # ciphertexts, about a million values: 0.1 s of sealing
_ANSWER_TAG = b"consortium.kept-answer/1\n"
_MASKED_ANSWER_TAG = b"consortium.kept-masked-answer/1\n"
_NO_LEVELS = np.zeros(0, np.int32)
_NO_TALLY = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An upload with the receipt for it, and in a masked run the terms and shares of its mask."""

    upload: bytes
    receipt: bytes
    terms: bytes = b""
    bundle: bytes = field(default=b"", repr=False)


NOTHING_SENT = Sent(upload=b"", receipt=b"")  # in the place of counts that were not asked for


@dataclass(frozen=True, kw_only=True)
class UploadCover:
    """What is fixed about an upload before it is sealed. Without masks that is its label.

    Args:
        label: Which upload it is.
        masks: What is added to every coefficient before encryption; None without masks.
        terms: The mask terms that the label's nonce is the digest of, encoded.
        bundle: The shares of the site's own mask, sealed to the witnesses, encoded.
        own_share: The site's own share, if it is a witness.
    """

    label: UploadLabel
    masks: Masks | None = None
    terms: bytes = b""
    bundle: bytes = field(default=b"", repr=False)
    own_share: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of one site in one run.

    Args:
        terms: Of the run, at this site.
    """

    terms: SiteTerms

    def seal_counts(
        self, request: SealedRound, purpose: str, tally: Tally | None, state: bytes = NO_STATE
    ) -> Sent:
        """Return a sealed tally, the same bytes whenever it is asked again; None is withheld."""
        made = self._counts(request, purpose, tally, state)
        return _parse_sent(self.terms.member.memory.answers.remember_reply(made))

    def seal_training(
        self,
        request: SealedRound,
        state: bytes,
        scales: Scales,
        given: Contribution,
        *,
        evaluated: bool,
    ) -> tuple[Sent, Sent]:
        """Return what training gave, sealed: the update, and the counts if the round asks for them.

        Guarantee: update, counts and the contribution they are made of are kept in one commit
        before any of them is returned, and are the same bytes whenever they are asked for
        again; every attempt at a round seals the contribution that was kept first.

        Args:
            request: What was asked.
            state: Digest of the sealed state it was trained from.
            scales: By which an update from that state is rounded.
            given: What training gave, and the counts of the evaluation.
            evaluated: Whether these counts are sealed, or withheld.
        """
        memory = self.terms.member.memory.answers
        while True:
            sealed = [self._update(request, state, scales, given)]
            if self.terms.asks_for_counts(request.server_round):
                counts = self._round_counts(request, scales, given) if evaluated else None
                sealed.append(self._counts(request, EVALUATION, counts, state))
            # One commit for all three: after a death in between, the round would be trained again,
            # or its counts would be missing.
            kept = memory.remember_round(self._slot(request), given.encode(), sealed)
            if kept is not None:
                update, *counted = map(_parse_sent, kept)
                return update, counted[0] if counted else NOTHING_SENT
            given = self.contribution(request) or given  # another process was faster

    def require_start(self) -> None:
        """Check that updates from the start of this run may be sealed for its roster and buckets.

        Raises:
            OtherSites: They have no noise, and were sealed for another roster before.
            OtherBuckets: As before, for other buckets of the same sites.
            OtherSettings: As before, with other settings.
        """
        if self._repeats:
            rosters, config = self.terms.member.memory.rosters, self.terms.site.run_config
            buckets = self.terms.sites_by_bucket
            # What goes on from another run begins from a state of which no sum was made.
            if not config.continues:
                rosters.require_other_start(self._start, buckets, config.update_settings)
            rosters.claim_start(self._start, buckets)
            rosters.claim_settings(self._start, config.update_settings)

    def claim_opened(self, server_round: int, buckets: Iterable[Sequence[Receipt]]) -> None:
        """Remember whose updates of a round are opened together.

        Raises:
            OtherSites: They have no noise, and a run from the same start had other sums here.
        """
        if self._repeats:
            named = [[one.label.site for one in bucket] for bucket in buckets]
            self.terms.member.memory.rosters.claim_opened(self._start, server_round, named)

    @property
    def _repeats(self) -> bool:
        """Whether a run from the same start gives the same updates: noise makes them others."""
        exact = self.terms.contribution.exact
        return not exact and self.terms.site.run_config.privacy.offered is None

    @property
    def _start(self) -> Start:
        site = self.terms.site
        counted = CountedData(charter=site.fingerprint, data_set=site.config.data_set)
        return Start(counted=counted, seed=site.run_config.seed)

    def recall(self, request: SealedRound, purpose: str) -> Sent | None:
        """Return what this site answered to this request before, if it did."""
        slot = self.terms.slot(purpose, request.server_round, request.attempt)
        kept = self.terms.member.memory.answers.recall_reply(slot, request.digest)
        return None if kept is None else _parse_sent(kept)

    def contribution(self, request: SealedRound) -> Contribution | None:
        """Return what training gave in this round, if it was done: it is not done again."""
        kept = self.terms.member.memory.answers.recall_update(self._slot(request))
        return None if kept is None else Contribution.decode(kept)

    def _slot(self, request: SealedRound) -> Slot:
        return self.terms.slot(TRAINING, request.server_round, request.attempt)

    def _round_counts(self, request: SealedRound, scales: Scales, given: Contribution) -> Tally:
        """Return the evaluation counts with what is counted beside them."""
        terms, saturated = self.terms, 0
        if terms.round_counts.saturation:
            saturated = saturated_values(
                np.asarray(given.update, np.float64),
                weight_class=terms.weight_class(given.num_examples),
                scales=scales,
                parameters=terms.updates.parameters,
                planes=planes(terms.site.run_config, request.server_round),
            )
        return terms.joined_counts(given.tally, saturated=saturated)

    def _update(
        self, request: SealedRound, state: bytes, scales: Scales, given: Contribution
    ) -> Answer:
        share = self.terms.weight_class(given.num_examples)
        placement = self.terms.updates_in(request.server_round)
        cover = self._cover(TRAINING, request, share, state)
        if self.terms.contribution.exact:
            return self._answer(request, cover, placement, _NO_LEVELS, given.summed)
        levels = quantise(
            np.asarray(given.update, np.float64),
            weight_class=share,
            scales=scales,
            parameters=placement.parameters,
            planes=planes(self.terms.site.run_config, request.server_round),
            # The same draws in every attempt: rounded anew, two attempts would show two roundings
            # of one update.
            rng=self.terms.site.rng(request.server_round),
        )
        return self._answer(request, cover, placement, levels, _NO_TALLY)

    def _counts(
        self, request: SealedRound, purpose: str, tally: Tally | None, state: bytes
    ) -> Answer:
        placement = self.terms.counts(purpose)
        # The receipt says that zeros stand in the place of a tally: with them, a sum would be one
        # over fewer sites than its roster, so every site refuses to open it.
        exact = ExactCounts(terms=self.terms)
        held = exact.statistics_class if purpose == STATISTICS else COUNTED
        cover = self._cover(purpose, request, WITHHELD if tally is None else held, state)
        counted = np.zeros(placement.tally_size, np.int64) if tally is None else tally
        return self._answer(request, cover, placement, _NO_LEVELS, counted)

    def _cover(self, purpose: str, request: SealedRound, share: int, state: bytes) -> UploadCover:
        name = self.terms.site.config.name
        label = UploadLabel(
            slot=self.terms.slot(purpose, request.server_round, request.attempt),
            site=name,
            # Counts are over the whole roster, so they have one bucket.
            bucket=self.terms.buckets[name] if purpose == TRAINING else 0,
            weight_class=share,
            # The fresh nonce makes the label unique, and with it the pad of the checksum.
            nonce=secrets.token_bytes(canonical.DIGEST_SIZE),
            state=state,
        )
        return UploadCover(label=label)

    def _answer(
        self,
        request: SealedRound,
        cover: UploadCover,
        placement: Placement,
        levels: NDArray[np.int32],
        tally: Tally,
    ) -> Answer:
        terms, label = self.terms, cover.label
        sealer = terms.sealer(label.slot.purpose, label.slot.server_round, placement)
        upload = sealer.seal(
            levels,
            tally,
            # The tag is inside the upload, so its pad can depend on all of the label and not on the
            # upload's digest. The receipt signs both.
            pad=upload_pad(terms.opened.keys.pad, label.encode()),
            masks=cover.masks,
            processes=self._processes(placement),
        )
        header = upload_header(label, terms.site.run_config, terms.site.task.layout, placement)
        digest = upload_digest(header, [upload])
        receipt = Receipt.sign(label, upload=digest, sign=terms.member.identity.sign).encode()
        return Answer(
            slot=label.slot,
            request=request.digest,
            state=label.state,
            receipt=receipt,
            reply=_encode_sent(upload, receipt, cover),
            own_share=cover.own_share,
        )

    def _processes(self, placement: Placement) -> int:
        """Return how many processes seal: more than one only where starting them pays."""
        large = placement.num_ciphertexts >= _WORTH_SHARING
        return self.terms.site.config.sealing_processes if large else 1


def _encode_sent(upload: bytes, receipt: bytes, cover: UploadCover) -> bytes:
    if cover.masks is None:
        return _ANSWER_TAG + canonical.blob(receipt) + upload
    parts = (receipt, cover.terms, cover.bundle)
    return _MASKED_ANSWER_TAG + b"".join(canonical.blob(part) for part in parts) + upload


def _parse_sent(kept: bytes) -> Sent:
    masked = kept.startswith(_MASKED_ANSWER_TAG)
    reader = Reader(kept, tag=_MASKED_ANSWER_TAG if masked else _ANSWER_TAG)
    receipt, terms, bundle = (
        reader.blob(at_most=len(kept)) if part == 0 or masked else b"" for part in range(3)
    )
    upload = reader.rest(at_most=len(kept))
    return Sent(upload=upload, receipt=receipt, terms=terms, bundle=bundle)
