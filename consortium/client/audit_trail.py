"""The evidence of a site: every question and every answer, on the disk before the answer leaves."""

import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import ArrayRecord, Message, RecordDict

from consortium.audit import journal as audit
from consortium.audit.journal import (
    Journal,
    content_digest,
    link_digest,
    open_journal,
)
from consortium.audit.program import package_digest
from consortium.client.site_ledger import shared_ledger
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from consortium.site.tails import complete_tails
from privacy.audit.signed_head import Anchor
from privacy.differential.ledger_entries import utc_timestamp
from privacy.identity.log_signing_key import SigningKey
from privacy.policy.document import Policy
from privacy.policy.rate_limits import RateLimits
from privacy.policy.refusal_windows import RefusedTogether
from privacy.protocol.envelope import Receipt, Slot
from privacy.protocol.masks.sum_set import SumSet
from privacy.secrets.keys import Identity
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound

_LOG = logging.getLogger(__name__)
_RECEIPTS: Mapping[str, str] = {"receipt": "update", "count-receipt": "counts"}
_CACHED_SITES = 1_024
_LINK_PURPOSE = b"consortium.link/1\n"
_JOURNALS: Cache[Path, Journal] = SITE_PROCESS.cache(
    "journals", most=_CACHED_SITES, close=lambda journal: journal.chain.close()
)
_LINKS: Cache[tuple[Path, str], bytes] = SITE_PROCESS.cache("link keys", most=_CACHED_SITES)
# Where each ledger ended when its site's log saw it last.
_LEDGER_ENDS: Cache[Path, bytes] = SITE_PROCESS.cache("ledger ends", most=_CACHED_SITES)


@dataclass(frozen=True, eq=False)
class SiteAuditTrail:
    """The evidence of one site in one run.

    Args:
        site: The site.
        run: Flower's id of the run.
        journal: Its log.
        link: Key of the digests by which both logs name the messages of this run.
    """

    site: Site
    run: str
    journal: Journal
    link: bytes = field(repr=False)

    def note_question(self, message: Message) -> None:
        """Note a question."""
        kind, content = message.metadata.message_type, message.content
        # The first question comes before the coordinator knows the key; it holds nothing.
        link = b"" if kind == messages.HELLO else self.link
        self.journal.note(
            audit.RECEIVED,
            run=self.run,
            kind=kind,
            bytes=wire.num_bytes(content),
            digest=link_digest(link, content_digest(kind, content)),
        )

    def note_refused_together(self, refused: RefusedTogether) -> None:
        """Note questions that were refused at the door and have no entries of their own."""
        self.journal.note(
            audit.REFUSED_TOGETHER,
            times=refused.times,
            first=utc_timestamp(datetime.fromtimestamp(refused.first, UTC)),
            last=utc_timestamp(datetime.fromtimestamp(refused.last, UTC)),
        )

    def began(self, policy: Policy, traffic: RateLimits) -> None:
        """Note what a run goes by, once for each charter, config, policy and map of the records."""
        site = self.site
        terms = (self.run, site.fingerprint, site.config_digest, policy.digest)
        # Remembered on disk: at a deployed site every message may have a process of its own.
        if traffic.is_new("/".join((*terms, *site.map_facts.values()))):
            self.journal.note(
                audit.RUN,
                run=self.run,
                charter=terms[1],
                config=terms[2],
                policy=terms[3],
                program=package_digest(),
                aggregation=site.run_config.aggregation,
                privacy=site.run_config.privacy.label,
                **site.run_config.audit_facts,
                **site.map_facts,
            )

    def note_answer(self, kind: str, content: RecordDict) -> RecordDict:
        """Write down an answer; return it as it may leave, once it is on the disk.

        In an introduction the coordinator is told where the evidence of this site stands.
        """
        refused = wire.read_refusal(content)
        if refused is not None:
            self.journal.note(audit.REFUSED, run=self.run, kind=kind, code=refused[0])
        # Signed when the site joins: a log or a ledger that is put back later contradicts it.
        elif kind == messages.HELLO:
            content = messages.introduction_with_anchor(content, self._anchor().encode())
        else:
            self._note_uploads(kind, content)
        self._ledger()
        self.journal.note(
            audit.SENT,
            run=self.run,
            kind=kind,
            bytes=wire.num_bytes(content),
            digest=link_digest(self.link, content_digest(kind, content)),
        )
        # On disk before the answer leaves. The other end may note any answer that it gets, and this
        # log must hold it.
        self.journal.commit()
        return content

    def _anchor(self) -> Anchor:
        chain = self.journal.chain
        anchor = Anchor(
            key=chain.key,
            head=chain.head(),
            ledger=ledger_end(self.site.directory),
            link=self.link,
        )
        return anchor.with_signature(chain.sign)

    def _ledger(self) -> None:
        """Note where the ledger of privacy ends, if it moved since this log saw it."""
        ended = ledger_end(self.site.directory)
        if ended and _LEDGER_ENDS.find(self.site.directory) != ended:
            _LEDGER_ENDS.put(self.site.directory, ended)
            self.journal.note(audit.LEDGER, run=self.run, ledger=ended.hex())

    def _note_uploads(self, kind: str, content: RecordDict) -> None:
        """Note what was sealed: digests of ciphertext, which the receipts tell everybody."""
        arrays = content.get(wire.ARRAYS)
        if not isinstance(arrays, ArrayRecord):
            return
        for key, what in _RECEIPTS.items():
            if key not in arrays or not arrays[key].data:
                continue
            # The receipt signs the digest of the upload, so the ciphertext is not hashed again.
            receipt = Receipt.decode(arrays[key].data)
            label = receipt.label
            self.journal.note(
                audit.SEALED,
                run=self.run,
                kind=kind,
                what=what,
                round=label.slot.server_round,
                attempt=label.slot.attempt,
                upload=receipt.upload.hex(),
                state=label.state.hex(),
            )


def ledger_end(directory: Path) -> bytes:
    """Return where a site's ledger of privacy ends; nothing if it has no entry."""
    folder = SiteDirectory(directory).ledger
    if not folder.exists():
        return b""
    head = shared_ledger(directory).head()
    return head.entries.to_bytes(8, "big") + head.digest if head.entries else b""


def evidence_of(site: Site, run: str) -> SiteAuditTrail:
    """Return the evidence of a site in a run.

    Raises:
        AuditLogUnavailable: Its log cannot be opened.
        ExposedSecret: Its keys are open to others.
    """
    journal = journal_of(site.directory, site.config.name)
    directory = site.directory
    link = _LINKS.get((directory, run), lambda: _link(directory, run))
    return SiteAuditTrail(site, run, journal, link)


def _link(directory: Path, run: str) -> bytes:
    """Return the key of a run's digests, the same in every process of the site."""
    secret = SigningKey.at(SiteDirectory(directory).audit_link_key)
    # Ed25519 signatures are deterministic and secret here, so one serves as the key: nothing more
    # needs to be stored or agreed between processes.
    return hmac.digest(secret.sign(_LINK_PURPOSE), run.encode(), "sha256")


def journal_of(directory: Path, name: str) -> Journal:
    """Return the journal of a site; one object a process.

    Signed with the site's identity, if it has one; else with a key of the log's own.
    """
    return _JOURNALS.get(directory, lambda: _opened_journal(directory, name))


def _opened_journal(directory: Path, name: str) -> Journal:
    complete_tails(directory)
    paths = SiteDirectory(directory)
    if paths.identity.exists():
        keys = Identity.read(paths.identity, name=name)
        return open_journal(directory, owner=name, key=keys.public.signing, sign=keys.sign)
    key = SigningKey.at(paths.audit_signing_key)
    return open_journal(directory, owner=name, key=key.public, sign=key.sign)


def keep_question(site: Site, request: SealedRound) -> None:
    """Check that the coordinator signed a question, and keep its signature in the audit log.

    Guarantee: nothing of a question is opened before its signature is checked, and what a site
    answers, a refusal included, leaves after the signature is on the disk. Where the charter
    names no key of the coordinator, nothing is checked and nothing kept.

    Raises:
        BadSignature: The coordinator did not sign this question.
    """
    key = site.charter.coordinator_key
    if not key:
        return
    digests = request.digests
    digests.verify(bytes.fromhex(key), request.signature)
    shown = {name: part.hex() for name, part in digests.named.items()}
    journal_of(site.directory, site.config.name).note(
        audit.SHOWN,
        round=digests.server_round,
        attempt=digests.attempt,
        signed=request.signature.hex(),
        **shown,
    )


def note_asked_to_confirm(site: Site, sum_set: SumSet, signature: bytes) -> None:
    """Note a set that this site is asked to confirm, with the coordinator's signature of it.

    Two of these for one round, of different sets, prove that the coordinator asked for both. What
    is signed is the digest of the whole set, so no site can say that it was of another round.
    """
    slot = sum_set.slot
    journal_of(site.directory, site.config.name).note(
        audit.CONFIRMED,
        purpose=slot.purpose,
        round=slot.server_round,
        attempt=slot.attempt,
        set=sum_set.encode().hex(),
        signed=signature.hex(),
    )


def note_left_out(site: Site, slot: Slot) -> None:
    """Note that this site answered in a round, and what is opened of it is without this site."""
    journal_of(site.directory, site.config.name).note(
        audit.LEFT_OUT, purpose=slot.purpose, round=slot.server_round, attempt=slot.attempt
    )
    _LOG.warning(
        "round %d is opened without this site's answer: it came too late, or was left out",
        slot.server_round,
    )


def note_changed_statistics(site: Site, recounted: Sequence[str]) -> None:
    """Note that pooled statistics are not those of before, and whose operators had it so."""
    who = ",".join(recounted)
    journal_of(site.directory, site.config.name).note(audit.STATISTICS_CHANGED, recounted=who)
    _LOG.warning(
        "the pooled statistics are not those of an earlier run under this charter; counted again "
        "by the word of the operators of: %s",
        who,
    )


def keep_failed_sum(site: Site, digest: str) -> None:
    """Keep the SHA-256 of a sum whose checksum failed here, in the audit log."""
    journal_of(site.directory, site.config.name).note(audit.SPOILED, sum=digest)
