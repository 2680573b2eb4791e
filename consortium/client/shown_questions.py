"""What a site keeps of what the coordinator showed it: signed, and so evidence for an auditor."""

from consortium.audit import journal as audit
from consortium.client.audit_trail import journal_of
from consortium.site.site import Site
from privacy.protocol.signed_question import PARTS
from privacy.wire.encrypted_messages import SealedRound


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
    shown = {name: part.hex() for name, part in zip(PARTS, digests.parts, strict=True)}
    journal_of(site.directory, site.config.name).note(
        audit.SHOWN,
        round=digests.server_round,
        attempt=digests.attempt,
        signed=request.signature.hex(),
        **shown,
    )


def keep_failed_sum(site: Site, digest: str) -> None:
    """Keep the SHA-256 of a sum whose checksum failed here, in the audit log."""
    journal_of(site.directory, site.config.name).note(audit.SPOILED, sum=digest)
