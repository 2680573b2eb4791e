"""What sites were shown, from their audit logs: questions that the coordinator signed.

A site cannot invent a question in the coordinator's name, so this convicts the coordinator of what
it showed. That a checksum failed is only the site's own word.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.cross_check import ReadLog, find_logs, read_log
from consortium.charter.document import Charter
from privacy.audit.hash_chain import Entry
from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import BadSignature
from privacy.protocol.signed_question import PARTS, QuestionDigests

NOTHING = hashlib.sha256(b"").digest()  # of a part that is not in a question


@dataclass(frozen=True, kw_only=True)
class SiteEvidence:
    """What one site kept of the questions it was asked.

    Args:
        site: The site's name; its log was signed with its key in the charter.
        questions: The questions that it was shown, each signed by the coordinator.
        failed: SHA-256 of each sum whose checksum failed there, hexadecimal, as the site says.
    """

    site: str
    questions: tuple[QuestionDigests, ...]
    failed: frozenset[str]


def gather_evidence(places: Iterable[Path], charter: Charter) -> tuple[SiteEvidence, ...]:
    """Return the evidence of the members whose logs are in these places, by name.

    Args:
        places: Logs, or directories of sites or of a run.
        charter: Names the members' keys, and the coordinator's.

    Raises:
        NoLog: A place holds no audit log.
        AuditChainBroken: An entry was altered, removed or not signed by the owner.
    """
    logs = [read_log(path, charter) for place in places for path in find_logs(place)]
    of_members = [log for log in logs if log.key_from_charter]
    return tuple(
        _evidence_in(log, charter) for log in sorted(of_members, key=lambda log: log.owner)
    )


def _evidence_in(log: ReadLog, charter: Charter) -> SiteEvidence:
    shown = (_question(entry, charter) for entry in log.entries_of(audit.SHOWN))
    return SiteEvidence(
        site=log.owner,
        questions=tuple(question for question in shown if question),
        failed=frozenset(
            str(entry.event.facts.get("sum", "")) for entry in log.entries_of(audit.SPOILED)
        ),
    )


def _question(entry: Entry, charter: Charter) -> QuestionDigests | None:
    """Return the question of an entry; None if the coordinator did not sign it."""
    facts = entry.event.facts
    try:
        question = QuestionDigests(
            charter=bytes.fromhex(charter.fingerprint),
            server_round=int(facts["round"]),
            attempt=int(facts["attempt"]),
            parts=tuple(bytes.fromhex(str(facts[name])) for name in PARTS),
        )
        question.verify(bytes.fromhex(charter.coordinator_key), bytes.fromhex(str(facts["signed"])))
    except (LookupError, ValueError, MalformedEnvelope, BadSignature):
        # Of an earlier charter, or the invention of a site: no evidence against anybody.
        return None
    return question


@dataclass(frozen=True, kw_only=True)
class ShownSum:
    """What sites were shown of one sum, as the coordinator's signatures prove.

    Args:
        right: Sites that were shown the sum of the signed uploads.
        other_sum: Sites that were shown another one.
        other_receipts: Sites that were shown other receipts than those that were kept.
    """

    right: tuple[str, ...]
    other_sum: tuple[str, ...]
    other_receipts: tuple[str, ...]

    @classmethod
    def found(
        cls,
        evidence: Sequence[SiteEvidence],
        *,
        opening: bytes,
        server_round: int,
        parts: tuple[str, str],
        kept: tuple[bytes, bytes],
    ) -> "ShownSum":
        """Compare what sites were shown with what is right.

        Args:
            evidence: Of the sites.
            opening: SHA-256 of the run's opening.
            server_round: The round of the questions.
            parts: Names of the receipts and of the sums among `PARTS`.
            kept: The receipts that were kept, and the sums of the uploads that they sign.
        """
        receipts, sums = (_shown_part(evidence, opening, server_round, part) for part in parts)
        of_receipts, of_sums = (hashlib.sha256(one).digest() for one in kept)
        return cls(
            right=tuple(site for site, digests in sums.items() if of_sums in digests),
            other_sum=tuple(site for site, digests in sums.items() if digests - {of_sums}),
            other_receipts=tuple(
                site for site, digests in receipts.items() if digests - {of_receipts}
            ),
        )

    def deviation(self) -> str:
        """Return what the coordinator is convicted of, in words; empty if nothing."""
        if self.other_sum:
            return (
                f"the coordinator signed another sum for {', '.join(self.other_sum)} than that of "
                "the signed uploads"
            )
        if self.other_receipts:
            return (
                f"the coordinator signed other receipts for {', '.join(self.other_receipts)} than "
                "those that it kept"
            )
        return ""


def _shown_part(
    evidence: Sequence[SiteEvidence], opening: bytes, server_round: int, part: str
) -> dict[str, frozenset[bytes]]:
    """Return the digests of a part that the coordinator signed for each site, if it sent it."""
    at = PARTS.index(part)
    return {
        one.site: frozenset(
            question.parts[at]
            for question in one.questions
            if (question.parts[0], question.server_round) == (opening, server_round)
        )
        - {NOTHING}
        for one in evidence
    }
