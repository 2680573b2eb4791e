"""Confirmations: what a witness signs about a sum set, once for each round of a run.

A confirmation holds the witness's shares of the masks, sealed to the sites. So a sum becomes
readable with a quorum of confirmations of one set, and not before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from privacy import canonical
from privacy.canonical import Reader
from privacy.errors import ConsortiumError, abbreviated_names, number_of
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.records import SignedRecord, blob, fixed_bytes, name, names

MAX_WITNESSES = 32
MAX_SHARES_BYTES = 2**18  # of both doors of 1,024 sites
MAX_CONFIRMATION_BYTES = MAX_SHARES_BYTES + canonical.MAX_NAMES * 129 + 4096

_TAG = b"consortium.confirmations/1\n"


class NotAWitness(ConsortiumError, LookupError, code="not-a-witness"):
    """A member confirmed a set that is no witness of this run."""


class ConfirmedTwice(ConsortiumError, ValueError, code="confirmed-twice"):
    """A witness appears twice among the confirmations of one set."""


class AnotherSetConfirmed(ConsortiumError, ValueError, code="another-set-confirmed"):
    """A confirmation is of another set than the one that is shown."""


class TooFewConfirmations(ConsortiumError, ValueError, code="too-few-confirmations"):
    """So few witnesses confirmed a set that another one may be opened beside it."""


@dataclass(frozen=True, kw_only=True)
class Confirmation(SignedRecord, tag=b"consortium.confirmation/1\n"):
    """A witness's signed statement that it confirms one set, and no other, in its round.

    Args:
        set_digest: D, the digest of the set.
        witness: Who confirms.
        shares: Its shares of the masks of all sites in the set, sealed to the sites of the run.
        unreadable: The sites of the set whose share did not open, sorted.
    """

    set_digest: Annotated[bytes, fixed_bytes("the digest of a set")]
    witness: Annotated[str, name("a witness")]
    shares: Annotated[bytes, blob("shares", low=0, high=MAX_SHARES_BYTES)] = field(repr=False)
    unreadable: Annotated[tuple[str, ...], names("sites whose share did not open")]

    @classmethod
    def sign(
        cls,
        set_digest: bytes,
        *,
        witness: str,
        shares: bytes,
        unreadable: Sequence[str] = (),
        sign: Callable[[bytes], bytes],
    ) -> "Confirmation":
        """Return the confirmation of a set; `sign` is the `Identity.sign` of the witness."""
        named = tuple(sorted(unreadable))
        said = cls.body_of(set_digest=set_digest, witness=witness, shares=shares, unreadable=named)
        return cls(
            set_digest=set_digest,
            witness=witness,
            shares=shares,
            unreadable=named,
            signature=sign(said),
        )


def check_confirmation(
    confirmation: Confirmation, *, set_digest: bytes, witnesses: Mapping[str, PublicIdentity]
) -> None:
    """Check that a witness of the run confirmed exactly this set.

    Raises:
        NotAWitness: Its maker is none.
        AnotherSetConfirmed: It is of another set.
        BadSignature: The witness did not sign it.
    """
    who = confirmation.witness
    if who not in witnesses:
        raise NotAWitness(
            f"{who} is none of the {number_of(len(witnesses), 'witness')} of this run, and its "
            "confirmation counts for nothing"
        )
    if confirmation.set_digest != set_digest:
        raise AnotherSetConfirmed(f"{who} confirmed another set than the one that is shown")
    confirmation.verify(witnesses[who])


def check_confirmations(
    confirmations: Sequence[Confirmation],
    *,
    set_digest: bytes,
    witnesses: Mapping[str, PublicIdentity],
    needed: int,
) -> dict[str, Confirmation]:
    """Return the confirmations of a set by witness, in order of names.

    Guarantee: each is signed by another witness of the run, for exactly this set, and there are
    at least `needed`. One that is wrong is never left out in silence: the coordinator took it.

    Args:
        confirmations: As they were shown.
        set_digest: D.
        witnesses: Public identities of the witnesses of the run, by name.
        needed: Fewest confirmations: q, from `groups.confirmations_needed`.

    Raises:
        ConfirmedTwice: A witness is among them twice.
        NotAWitness, AnotherSetConfirmed, BadSignature: As in `check_confirmation`.
        TooFewConfirmations: There are fewer.
    """
    by_witness = {one.witness: one for one in confirmations}
    if len(by_witness) != len(confirmations):
        repeated = len(confirmations) - len(by_witness)
        raise ConfirmedTwice(
            f"a witness may confirm a set once; {repeated} confirmations repeat one",
            repeated=repeated,
        )
    for one in confirmations:
        check_confirmation(one, set_digest=set_digest, witnesses=witnesses)
    if len(by_witness) < needed:
        missing = sorted(set(witnesses) - set(by_witness))
        raise TooFewConfirmations(
            f"{number_of(needed, 'witness')} must confirm a set before it is opened, "
            f"{len(by_witness)} did: wait for {abbreviated_names(missing)}",
            needed=needed,
            came=len(by_witness),
        )
    return {who: by_witness[who] for who in sorted(by_witness)}


def join_confirmations(confirmations: Sequence[Confirmation]) -> bytes:
    """Return the canonical bytes of at most `MAX_WITNESSES` confirmations, in the given order.

    Raises:
        MalformedEnvelope: There are more.
    """
    canonical.require_number("the number of confirmations", len(confirmations), high=MAX_WITNESSES)
    parts = (canonical.blob(one.encode()) for one in confirmations)
    return _TAG + canonical.number(len(confirmations)) + b"".join(parts)


def decode_confirmations(data: bytes) -> tuple[Confirmation, ...]:
    """Parse what `join_confirmations` wrote; raise MalformedEnvelope for anything else."""
    reader = Reader(data, tag=_TAG)
    count = reader.number()
    canonical.require_number("the number of confirmations", count, high=MAX_WITNESSES)
    read = tuple(
        Confirmation.decode(reader.blob(at_most=MAX_CONFIRMATION_BYTES)) for _ in range(count)
    )
    reader.end()
    return read
