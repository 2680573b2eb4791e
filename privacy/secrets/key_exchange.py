"""Key exchange: how keys reach the members through a coordinator that must not learn them.

The member that makes an epoch secret seals it to each other member and signs it. A run's scheme
secret goes to all members of the epoch at once, wrapped under the epoch secret. Every message is
bound to the charter, so none can be used in another context.
"""

import secrets
from dataclasses import dataclass

from privacy import canonical
from privacy.errors import ConsortiumError, number_of
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


class NotAnOpener(ConsortiumError, ValueError, code="not-an-opener"):
    """A member that is not an opener in the charter made an epoch or opened a run."""


class WrongRecipient(ConsortiumError, ValueError, code="wrong-recipient"):
    """A delivery is addressed to another member, or to other keys of this member."""


class EpochTooFar(ConsortiumError, ValueError, code="epoch-too-far"):
    """An epoch number is so far ahead that it could use up all later numbers."""


class WrongEpoch(ConsortiumError, ValueError, code="wrong-epoch"):
    """A run was opened in another epoch than the site's, or with another secret of that epoch."""


class WrongDescriptor(ConsortiumError, ValueError, code="wrong-descriptor"):
    """A run was opened for another run descriptor than this site computed."""


LONGEST_STEP = 2**40  # the 63-bit numbers last for 2^23 such steps


@dataclass(frozen=True, kw_only=True)
class NewEpoch:
    """A new epoch secret, and its deliveries to the other members.

    Args:
        secret: The secret, for the member that made it.
        deliveries: A delivery for each other member of the agreement, by name.
    """

    secret: EpochSecret
    deliveries: dict[str, Delivery]


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """A run to be opened.

    Args:
        label: Name of the run for people, at most 63 characters.
        descriptor: Digest of the run descriptor.
        roster: The sites that take part.
        lineage: Run id of the first opening, if a burned or finished run is opened again.
    """

    label: str
    descriptor: bytes
    roster: tuple[str, ...]
    lineage: str | None = None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class OpenedRun(Secret):
    """The secrets of a run whose opening a site accepted.

    Args:
        run: The run id.
        roster: The sites that take part, in alphabetical order.
        keys: The keys derived from the epoch secret and the run id.
        scheme_secret: The run's own encryption key, as bytes, which the opener wrapped.
    """

    run: str
    roster: tuple[str, ...]
    keys: RunKeys
    scheme_secret: bytes

    def __repr__(self) -> str:
        return f"OpenedRun(run={self.run!r})"

    # A frozen dataclass with slots would define its own `__getstate__`.
    __getstate__ = Secret.__getstate__


def rotate_epoch(maker: Identity, *, agreement: Agreement, last_epoch: int) -> NewEpoch:
    """Make a new epoch secret for exactly the members of an agreement.

    This is done for the first epoch and whenever a member has joined or left. A member that left
    gets no delivery and can compute nothing of the new epoch. A member that joined gets one and
    can compute nothing of the old epoch. Rotate between runs only.

    Args:
        maker: Identity of the member that makes the secret.
        agreement: The current charter.
        last_epoch: Number of the last epoch; 0 before the first.

    Raises:
        NotAnOpener: The maker is not an opener in the charter.
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
    """Return the delivery of an epoch secret to one member, sealed and signed.

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
    # HPKE in base mode does not authenticate the sender. The signature over terms and ciphertext
    # does.
    sealed = secret.seal_to(recipient, context=terms.encode())
    return Delivery(terms=terms, sealed=sealed, signature=maker.sign(delivery_body(terms, sealed)))


def accept_delivery(
    delivery: Delivery, *, identity: Identity, agreement: Agreement, last_epoch: int
) -> EpochSecret:
    """Return the epoch secret that was delivered to this member.

    Guarantee: an opener of the charter made this secret, for this member's keys, under this
    charter, and the epoch is new. Call `epoch_files.keep_epoch` to make it the current epoch.

    Args:
        delivery: The delivery as it was received.
        identity: Identity of this member.
        agreement: The charter as this site knows it.
        last_epoch: Number of the last epoch that this site accepted; 0 before the first.

    Raises:
        WrongCharter: The delivery is bound to another charter.
        NotAMember, NotAnOpener: Its maker may not make an epoch secret.
        BadSignature: The maker did not sign it with the key in the charter.
        WrongRecipient: It is addressed to another member, or to other keys.
        StaleEpoch: Its epoch is not newer than the last one.
        EpochTooFar: Its epoch is newer by more than `LONGEST_STEP`.
        CannotOpen: The secret cannot be opened.
    """
    terms = delivery.terms
    _check_charter(terms.charter, agreement)
    _check_opener(terms.maker, agreement)
    # Every check comes before the secret is opened.
    delivery.verify(agreement.member(terms.maker))
    if terms.maker_fingerprint != agreement.member(terms.maker).fingerprint:
        raise WrongCharter(f"{terms.maker} names other keys of its own than the charter")
    recipient = (terms.recipient, terms.recipient_fingerprint)
    if recipient != (identity.name, identity.public.fingerprint):
        raise WrongRecipient(f"this is {identity.name}, the delivery is for {terms.recipient}")
    if terms.epoch <= last_epoch:
        raise StaleEpoch(
            f"an epoch after {last_epoch} was expected, got epoch {terms.epoch}",
            last=last_epoch,
            came=terms.epoch,
        )
    if terms.epoch > last_epoch + LONGEST_STEP:
        raise EpochTooFar(
            f"epoch {last_epoch} was the last one, epoch {terms.epoch} is too far ahead of it",
            last=last_epoch,
            came=terms.epoch,
        )
    content = identity.open(delivery.sealed, context=terms.encode())
    secret = EpochSecret(terms.epoch, content)
    # Every delivery commits to one fingerprint, so the maker cannot give two members two secrets.
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
    """Open a run: wrap its scheme secret for the members of the epoch, and sign.

    Guarantee: the run id holds the digest of everything that is signed, the wrapped key included.
    Two openings never share a wrapping key or a run id.

    Args:
        plan: The run to open.
        scheme_secret: The run's own encryption key, as bytes, made for this run alone.
        opener: Identity of the member that opens it.
        agreement: The charter.
        secret: Secret of the current epoch.

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
    """Check the opening of a run, and return the run's secrets.

    It is called for every message of a run. The same opening is accepted again, another is not,
    and none is accepted whose key is burned. The acceptance is on the disk before a key is
    returned.

    Args:
        opening: The opening as it was received.
        site: This site's name.
        descriptor: Digest of the run descriptor as this site computed it.
        agreement: The charter as this site knows it.
        secret: Secret of this site's current epoch.
        memory: Memory of this site.

    Raises:
        WrongCharter, NotAnOpener, NotAMember, TooFewOthers: The charter does not allow it.
        BadSignature: The opener did not sign it.
        WrongEpoch: It belongs to another epoch, or to another secret with the same number.
        NotInRoster: This site does not take part.
        WrongDescriptor: It was opened for another run descriptor.
        CannotOpen: The wrapped key cannot be opened.
        KeyBurned, OpeningAlreadyAccepted, TooManyOpenings: The site's memory forbids it.
    """
    terms = opening.terms
    _check_charter(terms.charter, agreement)
    _check_allowed(terms, agreement)
    opening.verify(agreement.member(terms.opener))
    if (terms.epoch, terms.epoch_fingerprint) != (secret.epoch, secret.fingerprint):
        raise WrongEpoch(
            f"this site is in epoch {secret.epoch}, the run was opened in epoch {terms.epoch} or "
            "with another secret",
            needed=secret.epoch,
            came=terms.epoch,
        )
    if site not in terms.roster:
        raise NotInRoster(
            f"{site} is not among the {number_of(len(terms.roster), 'site')} of this run"
        )
    if terms.descriptor != descriptor:
        raise WrongDescriptor(
            "the run was opened for another run descriptor than this site computed"
        )
    scheme_secret = secret.unwrap(opening.wrapped, terms=terms.encode())
    # The acceptance is stored only after every other check, so that a forged opening does not count
    # towards the lineage; and before any key is returned, so that no crash can make the site forget
    # an opening whose keys were used.
    memory.accept_opening(opening.run, opening.digest, lineage=terms.lineage)
    return OpenedRun(
        run=opening.run,
        roster=terms.roster,
        keys=secret.run_keys(charter=terms.charter, run=opening.run),
        scheme_secret=scheme_secret,
    )


def _check_charter(charter: bytes, agreement: Agreement) -> None:
    if charter != agreement.charter:
        raise WrongCharter(
            "the message is bound to another charter than the one that this site signed"
        )


def _check_opener(name: str, agreement: Agreement) -> None:
    agreement.member(name)
    if name not in agreement.openers:
        raise NotAnOpener(
            f"the charter names {', '.join(agreement.openers)} as openers, not {name}"
        )


def _check_allowed(terms: OpeningTerms, agreement: Agreement) -> None:
    _check_opener(terms.opener, agreement)
    agreement.roster(terms.roster)
    if len(terms.roster) <= agreement.min_others:
        raise TooFewOthers(
            f"a run needs {number_of(agreement.min_others + 1, 'site')}, the roster names "
            f"{len(terms.roster)}",
            needed=agreement.min_others + 1,
            came=len(terms.roster),
        )
