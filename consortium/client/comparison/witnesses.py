"""What members tell each other of their ledgers before a run, and what a site does without it.

docs/protocol.md, "A restored copy".
"""

import logging
import time
from collections.abc import Mapping, Sequence

from consortium.client.site_ledger import shared_ledger
from consortium.protocol.parameters import compares_ledgers
from consortium.site.directory import SiteDirectory
from consortium.site.key_ring import member_at
from consortium.site.site import Site
from privacy.differential.announced_ledger import AnnouncedLedger, Held, Lost
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, BadSignature, PublicIdentity
from privacy.protocol.announcements import (
    MOST_SHOWN,
    Announcement,
    Attestation,
    verify_announcement,
)
from privacy.protocol.envelope import WrongRun
from privacy.secrets.keys import Identity
from privacy.secrets.roster_memory import CountedData

_LOG = logging.getLogger(__name__)


def attest_others(site: Site, announced: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what this site held of each other member; it holds what they announce from now on.

    Args:
        site: This site.
        announced: The encoded announcements by member, as the coordinator carries them.

    Raises:
        BadSignature: A member did not sign what it is said to announce.
        MalformedEnvelope: It is no announcement.
        NotAMember: Somebody else announces something.
    """
    name, agreement = site.config.name, site.charter.agreement
    member = member_at(site.directory, name, site.charter)
    counted = CountedData(charter=site.fingerprint, data_set=site.config.data_set)
    roster = member.memory.rosters.claimed_roster(counted)
    ledger, made = shared_ledger(site.directory), {}
    now_held: list[Held] = []
    for subject in sorted(set(announced) - {name}):
        came = Announcement.decode(announced[subject])
        verify_announcement(agreement.member(subject), announced[subject])
        made[subject] = Attestation(
            charter=agreement.charter,
            witness=name,
            subject=subject,
            answers=came.digest,
            roster=roster,
            held=_held_before(ledger, came, agreement.member(subject)),
        )
        now_held.append(
            Held(
                member=subject,
                number=came.number,
                digest=came.digest,
                encoded=announced[subject],
            )
        )
    # Together, and before anything is said of them: each commit waits for the disk.
    ledger.hold(now_held)
    return {
        subject: one.with_signature(member.identity.sign).encode() for subject, one in made.items()
    }


def _held_before(
    ledger: AnnouncedLedger, came: Announcement, subject: PublicIdentity
) -> tuple[bytes, ...]:
    """Return what is held of a member from before an announcement."""
    held = []
    for encoded in ledger.held(came.site, came.since):
        try:
            verify_announcement(subject, encoded)
        except BadSignature:
            continue  # made with keys that the member has no more, and cannot open
        if Announcement.decode(encoded).digest != came.digest:
            held.append(encoded)
    return tuple(held[-MOST_SHOWN:])


def compare_ledger(site: Site, shown: Mapping[str, bytes]) -> None:
    """Compare what other members held of this site with what its ledger knows.

    Guarantee: what a member showed, and this ledger does not know, is on the disk when it raises,
    and stays there until `consortium site ledger --enter-gap`.

    Args:
        site: This site.
        shown: The encoded attestations by witness, as the coordinator carries them.

    Raises:
        LedgerRestored: A member held what this ledger does not know.
    """
    now, ledger = time.time(), shared_ledger(site.directory)
    agreement = site.charter.agreement
    own = Identity.read(SiteDirectory(site.directory).identity, name=site.config.name).public
    answered: dict[bytes, set[str]] = {}
    for witness, encoded in sorted(shown.items()):
        try:
            said = _read_attestation(site, agreement, witness, encoded)
            if not ledger.is_fresh(said.answers, at=now):
                raise WrongRun("it answers nothing that this site announced within the hour")
            ledger.note_lost(_unknown(site, ledger, own, said))
        except ConsortiumError as error:
            # Whoever says nothing that can be believed has said nothing.
            _LOG.warning("what %s says of this site's ledger is left out: %s", witness, error)
        else:
            answered.setdefault(said.answers, set()).add(witness)
    ledger.require_nothing_lost()
    for digest, witnesses in answered.items():
        ledger.note_passed(digest, witnesses, at=now)


def require_compared(site: Site, run: str, *, roster: Sequence[str] = ()) -> None:
    """Check, before an answer that costs privacy, that the others know no more than this ledger.

    Needed are the answers of all other sites of an encrypted run. In the clear, where a site does
    not know who takes part, those of more than half of the other members are.

    Args:
        site: This site.
        run: The start of the run.
        roster: The sites of the run; empty if that is not known.

    Raises:
        LedgerRestored: A member held what this ledger does not know.
        LedgerNotCompared: Too few said what they hold.
    """
    if not compares_ledgers(site.run_config, site.charter):
        return
    others = sorted({*(roster or site.charter.names)} - {site.config.name})
    needed = len(others) if roster else len(others) // 2 + 1
    shared_ledger(site.directory).require_compared(
        run, settings=site.config_digest, others=others, needed=needed, at=time.time()
    )


def _read_attestation(
    site: Site, agreement: Agreement, witness: str, encoded: bytes
) -> Attestation:
    said = Attestation.decode(encoded)
    said.verify(agreement.member(witness))
    if (said.charter, said.subject) != (agreement.charter, site.config.name):
        raise WrongRun("it is about another site, or under another charter")
    return said


def _unknown(
    site: Site, ledger: AnnouncedLedger, own: PublicIdentity, said: Attestation
) -> list[Lost]:
    """Return what a member held of this site that its ledger does not know."""
    lost = []
    for encoded in said.held:
        verify_announcement(own, encoded)  # nobody can invent one
        one = Announcement.decode(encoded)
        if not ledger.knows(one.number, one.digest):
            lost.append(
                Lost(
                    number=one.number,
                    digest=one.digest,
                    encoded=encoded,
                    charter=site.fingerprint,
                    roster=said.roster,
                )
            )
    return lost
