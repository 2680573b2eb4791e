"""What a site does in a masked run: all that it does in an encrypted one, and what masks ask."""

from collections.abc import Mapping
from typing import ClassVar

from flwr.app import Context, Message, RecordDict

from consortium.charter.document import Charter
from consortium.client.egress_schema import ReplyForm, Sizes
from consortium.client.encrypted.answers import EncryptedAtSite
from consortium.client.encrypted.session import Session, accepted_session, session_of
from consortium.client.encrypted_forms import key_forms, sealed_forms
from consortium.client.masked.forms import masked_forms
from consortium.client.masked.pairing import (
    accept_pairs,
    begin_pairs,
    offer_pair_key,
    open_with_keys,
)
from consortium.client.masked.session import MaskedSession
from consortium.config import RunConfig
from consortium.site.site import Site, site_of
from privacy.wire import mask_messages
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.mask_messages import ConfirmationRequest

_SET_UP = frozenset(
    {
        mask_messages.PAIR_KEYS,
        mask_messages.PAIR,
        mask_messages.PAIR_SECRETS,
        mask_messages.CONFIRM,
    }
)


class MaskedAtSite(EncryptedAtSite):
    """The site's half of a masked run."""

    # Keys and confirmations travel signed or sealed by themselves.
    without_records: ClassVar[frozenset[str]] = EncryptedAtSite.without_records | _SET_UP
    synced_once: ClassVar[frozenset[str]] = EncryptedAtSite.synced_once | _SET_UP

    def reply_forms(
        self, charter: Charter, config: RunConfig, sizes: Sizes
    ) -> Mapping[str, ReplyForm]:
        """Return what may leave, by kind of question."""
        sealed = sealed_forms(charter, config, sizes)
        return {**key_forms(charter), **masked_forms(charter, sealed)}

    def largest_bytes(self, charter: Charter, config: RunConfig, sizes: Sizes) -> int:
        """Return the bytes of the largest sealed answer."""
        sealed = sealed_forms(charter, config, sizes)
        forms = masked_forms(charter, sealed)
        return max(forms[kind].most_bytes for kind in sealed)

    def session(self, site: Site, request: SealedRound) -> Session:
        """Return the site's session in the run that a question belongs to."""
        return session_of(site, request, MaskedSession)

    def open_run(self, site: Site, content: RecordDict) -> bytes:
        """Open a run that is bound to the keys of its sites; return the encoded opening."""
        return open_with_keys(site, *mask_messages.read_masked_opening_request(content))


def offer_key(message: Message, context: Context) -> Message:
    """Offer this site's key for the pair secrets of the next run."""
    site = site_of(context)
    site.require_charter(mask_messages.read_pair_key_request(message.content))
    return Message(mask_messages.pair_key(offer_pair_key(site)), reply_to=message)


def pair(message: Message, context: Context) -> Message:
    """Seal a secret to each later name of the run that needs one with this site."""
    site = site_of(context)
    charter, opening, keys = mask_messages.read_pair_request(message.content)
    site.require_charter(charter)
    made = begin_pairs(site, opening, keys)
    return Message(mask_messages.pair_ciphertexts(made), reply_to=message)


def accept_secrets(message: Message, context: Context) -> Message:
    """Keep the secrets that earlier names sealed to this site."""
    site = site_of(context)
    charter, opening, ciphertexts = mask_messages.read_pair_secrets(message.content)
    site.require_charter(charter)
    accept_pairs(site, opening, ciphertexts)
    return Message(mask_messages.pair_confirmation(), reply_to=message)


def confirm(message: Message, context: Context) -> Message:
    """Confirm one set of uploads and its sums, and no other of its round."""
    site = site_of(context)
    asked = ConfirmationRequest.read(message.content)
    site.require_charter(asked.charter)
    confirmed = accepted_session(site, asked.opening, MaskedSession).confirm(asked)
    return Message(mask_messages.confirmation(confirmed.encode()), reply_to=message)
