"""How keys reach the members through a coordinator that must not have them.

An epoch secret goes from the member that made it to each other member, sealed to it and
signed; a run's scheme secret goes to all members of the epoch at once, wrapped under the
epoch secret. Everything is bound to the charter, so nothing can be shown out of place.
"""

import secrets
from dataclasses import dataclass

from privacy import canonical
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement
from privacy.protocol.envelope import WrongCharter
from privacy.protocol.key_messages import (
    Delivery,
    DeliveryTerms,
    Opening,
    OpeningTerms,
    delivery_body,
    opening_body,
)
from privacy.protocol.receipts import NotInRoster, TooFewOthers
from privacy.secrets.keys import SECRET_SIZE, CannotOpen, EpochSecret, Identity, RunKeys, Secret
from privacy.secrets.replay_guard import SiteMemory, StaleEpoch


class NotAnOpener(ConsortiumError, ValueError):
    """A member made an epoch or opened a run, and the charter does not name it for that."""

    code = "not-an-opener"


class WrongRecipient(ConsortiumError, ValueError):
    """A delivery is meant for another member, or for other keys of this one."""

    code = "wrong-recipient"


class EpochTooFar(ConsortiumError, ValueError):
    """An epoch's number is so far ahead that whoever made it would leave none for the next."""

    code = "epoch-too-far"


class WrongEpoch(ConsortiumError, ValueError):
    """A run was opened in another epoch than the site's, or under another secret of it."""

    code = "wrong-epoch"


class WrongDescriptor(ConsortiumError, ValueError):
    """A run was opened for another run descriptor than the one shown."""

    code = "wrong-descriptor"


LONGEST_STEP = 2**40  # numbers last for 2^23 such steps


@dataclass(frozen=True, kw_only=True)
class NewEpoch:
    """A fresh epoch secret and what brings it to the other members.

    Args:
        secret: For the member that made it.
        deliveries: One for each other member of the agreement, by name.
    """

    secret: EpochSecret
    deliveries: dict[str, Delivery]


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What an opener opens a run for.

    Args:
        label: What people call the run, at most 63 characters.
        descriptor: Digest of the run descriptor.
        roster: The sites that take part.
        lineage: Run id of the first opening, when a burned or finished run is opened again.
    """

    label: str
    descriptor: bytes
    roster: tuple[str, ...]
    lineage: str | None = None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class OpenedRun(Secret):
    """What a site holds of a run whose opening it accepted.

    Args:
        run: The run id.
        roster: The sites that take part, in alphabetical order.
        keys: What the epoch secret and the run id give.
        scheme_secret: What the opener wrapped: the run's own encryption key, as bytes.
    """

    run: str
    roster: tuple[str, ...]
    keys: RunKeys
    scheme_secret: bytes

    def __repr__(self) -> str:
        return f"OpenedRun(run={self.run!r})"

    # A frozen dataclass with slots would bring its own.
    __getstate__ = Secret.__getstate__


def rotate_epoch(maker: Identity, *, agreement: Agreement, last_epoch: int) -> NewEpoch:
    """Make a fresh epoch secret for exactly the members of an agreement.

    The first epoch, and every one after a member joined or left: who left gets no delivery
    and can compute nothing of the new epoch; who joined gets one and can compute nothing of
    the old. Between runs only.

    Args:
        maker: Identity of the member that makes it.
        agreement: The charter as it is now.
        last_epoch: Number of the last epoch; 0 before the first.

    Raises:
        NotAnOpener: The charter does not name the maker for this.
    """
    _check_opener(maker.name, agreement)
    secret = EpochSecret(last_epoch + 1, secrets.token_bytes(SECRET_SIZE))
    others = [member.name for member in agreement.members if member.name != maker.name]
    return NewEpoch(
        secret=secret,
        deliveries={
            name: deliver_epoch(secret, maker, to=name, agreement=agreement) for name in others
        },
    )


def deliver_epoch(
    secret: EpochSecret, maker: Identity, *, to: str, agreement: Agreement
) -> Delivery:
    """Return an epoch secret on its way to one member, sealed and signed.

    Raises:
        NotAMember: There is no such member.
    """
    recipient = agreement.member(to)
    terms = DeliveryTerms(
        charter=agreement.charter,
        epoch=secret.epoch,
        epoch_fingerprint=secret.fingerprint,
        maker=maker.name,
        maker_fingerprint=maker.public.fingerprint,
        recipient=recipient.name,
        recipient_fingerprint=recipient.fingerprint,
    )
    sealed = secret.seal_to(recipient, context=terms.encode())
    return Delivery(terms=terms, sealed=sealed, signature=maker.sign(delivery_body(terms, sealed)))


def accept_delivery(
    delivery: Delivery, *, identity: Identity, agreement: Agreement, last_epoch: int
) -> EpochSecret:
    """Return the epoch secret that was delivered to this member.

    Guarantee: a member that the charter names for it made this secret, for this member's
    keys, under this charter, and the epoch is new. `epochs.keep_epoch` makes the site go by it.

    Args:
        delivery: As it came.
        identity: This member's.
        agreement: The charter as this site knows it.
        last_epoch: Number of the last epoch this site accepted; 0 before the first.

    Raises:
        WrongCharter: It is bound to another charter.
        NotAMember, NotAnOpener: Its maker may not make one.
        BadSignature: The maker did not sign it, or not with the keys in the charter.
        WrongRecipient: It is for somebody else.
        StaleEpoch: Its epoch is not newer than the last.
        EpochTooFar: It is newer by more than `LONGEST_STEP`.
        CannotOpen: The secret does not open.
    """
    terms = delivery.terms
    _check_charter(terms.charter, agreement)
    _check_opener(terms.maker, agreement)
    delivery.verify(agreement.member(terms.maker))
    if terms.maker_fingerprint != agreement.member(terms.maker).fingerprint:
        raise WrongCharter(f"{terms.maker} signed under other keys than the charter gives it")
    recipient = (terms.recipient, terms.recipient_fingerprint)
    if recipient != (identity.name, identity.public.fingerprint):
        raise WrongRecipient(f"this is {identity.name}, the delivery is for {terms.recipient}")
    if terms.epoch <= last_epoch:
        raise StaleEpoch(
            f"epoch {last_epoch} was accepted, epoch {terms.epoch} is not newer",
            last=last_epoch,
            came=terms.epoch,
        )
    if terms.epoch > last_epoch + LONGEST_STEP:
        raise EpochTooFar(
            f"epoch {last_epoch} was accepted, epoch {terms.epoch} is too far ahead of it",
            last=last_epoch,
            came=terms.epoch,
        )
    content = identity.open(delivery.sealed, context=terms.encode())
    secret = EpochSecret(terms.epoch, content)
    if secret.fingerprint != terms.epoch_fingerprint:
        raise CannotOpen
    return secret


def make_opening(
    plan: RunPlan,
    scheme_secret: bytes,
    *,
    opener: Identity,
    agreement: Agreement,
    secret: EpochSecret,
) -> Opening:
    """Open a run: wrap its fresh scheme secret for the members of the epoch, and sign.

    Guarantee: the run id is the digest of all that is signed, the wrapped key included; two
    openings never share a wrapping key, nor a run id.

    Args:
        plan: What the run is for.
        scheme_secret: The run's own encryption key, as bytes, made for this run alone.
        opener: Identity of the member that opens it.
        agreement: The charter.
        secret: Of the current epoch.

    Raises:
        NotAnOpener, NotAMember, TooFewOthers: The charter does not allow it.
    """
    terms = OpeningTerms(
        label=plan.label,
        descriptor=plan.descriptor,
        charter=agreement.charter,
        epoch=secret.epoch,
        epoch_fingerprint=secret.fingerprint,
        opener=opener.name,
        roster=tuple(sorted(plan.roster)),
        lineage=plan.lineage,
        salt=secrets.token_bytes(canonical.DIGEST_SIZE),
    )
    _check_allowed(terms, agreement)
    wrapped = secret.wrap(scheme_secret, terms=terms.encode())
    return Opening(
        terms=terms, wrapped=wrapped, signature=opener.sign(opening_body(terms, wrapped))
    )


def accept_opening(
    opening: Opening,
    *,
    site: str,
    descriptor: bytes,
    agreement: Agreement,
    secret: EpochSecret,
    memory: SiteMemory,
) -> OpenedRun:
    """Return what this site holds of a run, once everything about its opening is right.

    Called for every message of a run: the same opening is accepted again, another is not, and
    none under a burned key. The acceptance is on the disk before a key is handed out.

    Args:
        opening: As it came.
        site: This site's name.
        descriptor: Digest of the run descriptor as this site computed it.
        agreement: The charter as this site knows it.
        secret: Of the epoch this site goes by.
        memory: Of this site.

    Raises:
        WrongCharter, NotAnOpener, NotAMember, TooFewOthers: The charter does not allow it.
        BadSignature: The opener did not sign it.
        WrongEpoch: It belongs to another epoch, or to another secret under its number.
        NotInRoster: This site does not take part.
        WrongDescriptor: It was opened for another run descriptor.
        CannotOpen: The wrapped key does not open.
        KeyBurned, OpeningAlreadyAccepted, TooManyOpenings: The site remembers otherwise.
    """
    terms = opening.terms
    _check_charter(terms.charter, agreement)
    _check_allowed(terms, agreement)
    opening.verify(agreement.member(terms.opener))
    if (terms.epoch, terms.epoch_fingerprint) != (secret.epoch, secret.fingerprint):
        raise WrongEpoch(
            f"this site goes by epoch {secret.epoch}, the run was opened in {terms.epoch} or under "
            "another secret",
            needed=secret.epoch,
            came=terms.epoch,
        )
    if site not in terms.roster:
        raise NotInRoster(f"{site} has no place in this run of {len(terms.roster)} sites")
    if terms.descriptor != descriptor:
        raise WrongDescriptor("the run was opened for another run descriptor than the one shown")
    scheme_secret = secret.unwrap(opening.wrapped, terms=terms.encode())
    memory.accept_opening(opening.run, opening.digest, lineage=terms.lineage)
    return OpenedRun(
        run=opening.run,
        roster=terms.roster,
        keys=secret.run_keys(charter=terms.charter, run=opening.run),
        scheme_secret=scheme_secret,
    )


def _check_charter(charter: bytes, agreement: Agreement) -> None:
    if charter != agreement.charter:
        raise WrongCharter("this is bound to another charter than the one this site signed")


def _check_opener(name: str, agreement: Agreement) -> None:
    agreement.member(name)
    if name not in agreement.openers:
        raise NotAnOpener(f"the charter names {', '.join(agreement.openers)} for this, not {name}")


def _check_allowed(terms: OpeningTerms, agreement: Agreement) -> None:
    _check_opener(terms.opener, agreement)
    agreement.roster(terms.roster)
    if len(terms.roster) <= agreement.min_others:
        raise TooFewOthers(
            f"a run needs {agreement.min_others + 1} sites, the roster names {len(terms.roster)}",
            needed=agreement.min_others + 1,
            came=len(terms.roster),
        )
