"""Announcements: what a site tells the others before a run, so that it cannot forget that it ran.

A site whose directory was put back from an older copy does not know what it spent since. The
others do: before each run that costs privacy every site announces itself under the next number,
signed, and every other site keeps that and signs what it held of this site before. An announcement
that its own maker does not know was made after the copy. docs/protocol.md, "A restored copy".
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from privacy import canonical
from privacy.canonical import Reader
from privacy.identity.public_identity import SIGNATURE_SIZE, PublicIdentity

MAX_NOTE_BYTES = 2_048
MAX_ANNOUNCEMENT_BYTES = MAX_NOTE_BYTES + 512
MOST_SHOWN = 256
MAX_ATTESTATION_BYTES = 2**20

_ANNOUNCEMENT_TAG = b"consortium.announcement/1\n"
_ATTESTATION_TAG = b"consortium.attestation/1\n"
_LIST_TAG = b"consortium.named-parts/1\n"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A site is about to take part in a run that costs privacy.

    It tells the others that the site has begun `number` runs of that kind, and nothing of what they
    cost: the note is sealed to the site itself.

    Args:
        site: The site's name.
        number: One more than that of the last run that it began.
        since: The first number from which on it wants to be shown what others hold.
        salt: 32 fresh random bytes; so the digest is a challenge that nobody could answer before.
        note: What the run is planned to cost, sealed to the site's own key.
        signature: The site's.
    """

    site: str
    number: int
    since: int
    salt: bytes
    note: bytes = field(repr=False)
    signature: bytes = bytes(SIGNATURE_SIZE)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all that is signed."""
        return hashlib.sha256(self._body()).digest()

    def with_signature(self, sign: Callable[[bytes], bytes]) -> "Announcement":
        """Return the announcement, signed."""
        return replace(self, signature=sign(self._body()))

    def verify(self, site: PublicIdentity) -> None:
        """Check that this member signed it.

        Raises:
            BadSignature: The signature is not valid.
            MalformedEnvelope: It names another member.
        """
        if self.site != site.name:
            raise canonical.MalformedEnvelope("an announcement names another member")
        site.verify(self._body(), self.signature)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self._body() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Announcement":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_ANNOUNCEMENT_TAG)
        read = cls(
            site=reader.text(),
            number=reader.number(),
            since=reader.number(),
            salt=reader.digest(),
            note=reader.blob(at_most=MAX_NOTE_BYTES),
            signature=reader.fixed_bytes(SIGNATURE_SIZE),
        )
        reader.end()
        canonical.require_name("a site", read.site)
        canonical.require_number("an announcement", read.number, low=1)
        canonical.require_number("the first one asked for", read.since, low=1)
        return read

    def _body(self) -> bytes:
        return (
            _ANNOUNCEMENT_TAG
            + canonical.text(self.site)
            + canonical.number(self.number)
            + canonical.number(self.since)
            + self.salt
            + canonical.blob(self.note)
        )


def verify_announcement(member: PublicIdentity, encoded: bytes) -> None:
    """Check that a member signed an encoded announcement.

    Raises:
        BadSignature: The signature is not valid.
        MalformedEnvelope: It is none, or names another member.
    """
    Announcement.decode(encoded).verify(member)


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """What one member holds of another, in answer to an announcement, which it holds from now on.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        witness: Who says it.
        subject: Of whom.
        answers: Digest of the announcement that it answers.
        roster: For which sites together the witness counts exactly under this charter, sorted;
            empty if it has not counted yet.
        held: Earlier announcements of the subject, encoded: those from the number that it asked
            for, and the last one before.
        signature: The witness's.
    """

    charter: bytes
    witness: str
    subject: str
    answers: bytes
    roster: tuple[str, ...]
    held: tuple[bytes, ...] = field(repr=False)
    signature: bytes = bytes(SIGNATURE_SIZE)

    def with_signature(self, sign: Callable[[bytes], bytes]) -> "Attestation":
        """Return the attestation, signed."""
        return replace(self, signature=sign(self._body()))

    def verify(self, witness: PublicIdentity) -> None:
        """Check that this member signed it.

        Raises:
            BadSignature: The signature is not valid.
            MalformedEnvelope: It names another member.
        """
        if self.witness != witness.name:
            raise canonical.MalformedEnvelope("an attestation names another witness")
        witness.verify(self._body(), self.signature)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self._body() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Attestation":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_ATTESTATION_TAG)
        charter, witness, subject = reader.digest(), reader.text(), reader.text()
        answers, roster, count = reader.digest(), reader.names(), reader.number()
        if count > MOST_SHOWN:
            raise canonical.MalformedEnvelope("an attestation shows too many announcements")
        held = tuple(reader.blob(at_most=MAX_ANNOUNCEMENT_BYTES) for _ in range(count))
        signature = reader.fixed_bytes(SIGNATURE_SIZE)
        reader.end()
        canonical.require_names("a roster", roster)
        return cls(
            charter=charter,
            witness=witness,
            subject=subject,
            answers=answers,
            roster=roster,
            held=held,
            signature=signature,
        )

    def _body(self) -> bytes:
        return (
            _ATTESTATION_TAG
            + self.charter
            + canonical.text(self.witness)
            + canonical.text(self.subject)
            + self.answers
            + canonical.names(self.roster)
            + canonical.number(len(self.held))
            + b"".join(canonical.blob(one) for one in self.held)
        )


def encode_named(parts: Mapping[str, bytes]) -> bytes:
    """Return the canonical bytes of one part for each of several members."""
    names = sorted(parts)
    return (
        _LIST_TAG + canonical.names(names) + b"".join(canonical.blob(parts[one]) for one in names)
    )


def decode_named(data: bytes, *, at_most: int) -> dict[str, bytes]:
    """Parse what `encode_named` wrote; raise MalformedEnvelope for anything else.

    Args:
        data: The bytes, not trusted.
        at_most: Most bytes of one part.
    """
    reader = Reader(data, tag=_LIST_TAG)
    names = reader.names()
    canonical.require_names("the members", names)
    parts = {name: reader.blob(at_most=at_most) for name in names}
    reader.end()
    return parts
