"""What sites were shown of a sum, as the questions prove that the coordinator signed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from consortium.audit.cross_check import SiteEvidence
from privacy.protocol.signed_question import PARTS

NOTHING = hashlib.sha256(b"").digest()  # of a part that is not in a question


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
        receipts, sums = (_signed_parts(evidence, opening, server_round, part) for part in parts)
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


def _signed_parts(
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
