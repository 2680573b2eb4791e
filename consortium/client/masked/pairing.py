"""How the pairs of sites of a masked run come to share secrets, before anything is sealed.

Each site offers a signed key; their list goes into the run id; each site signs a secret sealed to
each later name, and the coordinator carries them. Every step gives the same bytes again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

from consortium.client.encrypted.opening import make_run_opening, run_descriptor
from consortium.client.encrypted.session_parameters import SiteTerms
from consortium.client.masked.run_masks import PairSecretsMissing
from consortium.site.key_ring import KeyRing, member_at
from consortium.site.site import Site
from privacy.errors import abbreviated_names
from privacy.protocol.envelope import Slot
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.groups import partners
from privacy.protocol.masks.pair_messages import (
    ForeignPairSecret,
    OwnPairKeyMissing,
    PairCiphertext,
    PairTerms,
    TwoPairSecrets,
    UnreadablePairSecret,
    check_pair_keys,
    decode_ciphertexts,
    decode_pair_keys,
    join_ciphertexts,
    key_list_digest,
    masked_descriptor,
)
from privacy.secrets.answer_memory import Answer
from privacy.secrets.masked_runs.pair_memory import KeptPairKey, KeptPairSecret
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key
from privacy.secrets.masks.pair_secrets import accept_pair_secret, make_pair_secret

_PAIRING = "pairing"  # the purpose under which a site remembers the key list of a run

_LOG = logging.getLogger(__name__)


def offer_pair_key(site: Site) -> bytes:
    """Return this site's signed key for the next run; the same until a run takes it."""
    member = _member(site)
    kept = member.memory.pairs.unused_key(site.fingerprint)
    if kept is None:
        private = PairPrivateKey.generate()
        signed = sign_pair_key(
            private,
            identity=member.identity,
            charter=bytes.fromhex(site.fingerprint),
            suite=site.charter.pair_suite.lower(),
        )
        made = KeptPairKey(offer=signed.encode(), material=private.material())
        kept = member.memory.pairs.keep_unused_key(site.fingerprint, made)
    return kept.offer


def open_with_keys(site: Site, asked: tuple[str, str, Sequence[str], str], keys: bytes) -> bytes:
    """Open a run that is bound to the list of its sites' keys; return the encoded opening.

    Args:
        site: The site that opens it.
        asked: Charter, label, roster and lineage, as the coordinator asked for them.
        keys: The list, joined.

    Raises:
        WrongPairKeys, OwnPairKeyMissing, BadSignature: The list is not that of the roster.
        ConsortiumError: The charter does not allow the run.
    """
    site.require_charter(asked[0])
    _checked_offer(site, asked[2], keys)
    described = masked_descriptor(run_descriptor(site), key_list_digest(keys))
    return make_run_opening(site, asked, described)


def begin_pairs(site: Site, encoded: bytes, keys: bytes) -> bytes:
    """Give the run its key, and return this site's secrets for later names, joined and sealed.

    Guarantee: they are on the disk before they leave, and the same bytes whenever this is asked.

    Args:
        site: This site.
        encoded: The run's opening.
        keys: The list of its sites' keys, joined.

    Raises:
        WrongDescriptor: The opening was made for another list.
        OwnPairKeyMissing, PairKeyUsed: This site's key is not in it, or has another run.
        ConsortiumError: The opening or the list is not right.
    """
    member, opening = _member(site), Opening.decode(encoded)
    key_list = key_list_digest(keys)
    terms = _accepted(site, member, opening, key_list)
    offer = _checked_offer(site, terms.opened.roster, keys)
    pairs, run = member.memory.pairs, terms.opened.run
    _forget_old_runs(site, member, run)
    pairs.begin_run(site.fingerprint, run, offer=offer, day=_today())
    kept, public = pairs.pair_secrets(run), decode_pair_keys(keys)
    made = []
    for recipient in _partners(terms):
        if recipient < site.config.name:
            continue
        held = kept.get(recipient)
        if held is None:
            place = _place(site, run, key_list, (site.config.name, recipient))
            ciphertext, secret = make_pair_secret(
                place, public[recipient], identity=member.identity
            )
            held = pairs.keep_made_secret(
                run,
                recipient,
                KeptPairSecret(ciphertext=ciphertext.encode(), secret=secret.material()),
            )
        made.append(PairCiphertext.decode(held.ciphertext))
    return _remembered(member, run, key_list, join_ciphertexts(made))


def accept_pairs(site: Site, encoded: bytes, joined: bytes) -> None:
    """Keep the secrets that earlier names sealed to this site; then its private key is deleted.

    Args:
        site: This site.
        encoded: The run's opening.
        joined: Their signed ciphertexts for this site, joined.

    Raises:
        ForeignPairSecret: A sender did not sign one for this place; the coordinator is to blame.
        UnreadablePairSecret, TwoPairSecrets: A sender signed what does not open, or two of them.
        PairSecretsMissing: One is missing.
        ConsortiumError: The opening is not right.
    """
    member, opening = _member(site), Opening.decode(encoded)
    run, own = opening.run, site.config.name
    key_list = key_list_of(member, run)
    terms = _accepted(site, member, opening, key_list)
    pairs = member.memory.pairs
    came = {one.terms.sender: one for one in decode_ciphertexts(joined)}
    needed = [name for name in _partners(terms) if name < own]
    if not {*came} <= {*needed}:
        raise ForeignPairSecret("a ciphertext is from a site with which this one shares no secret")
    kept = pairs.pair_secrets(run)
    missing = [name for name in needed if name not in came and name not in kept]
    if missing:
        raise PairSecretsMissing(
            f"no ciphertext of {abbreviated_names(missing)} came for this site: ask them again",
            missing=len(missing),
        )
    # Made once: to make it from its seed takes longer than to open a secret with it.
    private = cache(lambda: PairPrivateKey(pairs.run_key(run).material))
    for sender, ciphertext in came.items():
        place = _place(site, run, key_list, (sender, own))
        # The coordinator cannot see whose secret does not open: it is told by its place.
        at = terms.opened.roster.index(sender)
        try:
            _accept_secret(terms, kept.get(sender), ciphertext, place, private=private)
        except TwoPairSecrets as error:
            raise TwoPairSecrets(str(error), sender=at) from error
        except UnreadablePairSecret as error:
            raise UnreadablePairSecret(str(error), sender=at) from error
    pairs.drop_private_key(run)


def _accept_secret(
    terms: SiteTerms,
    kept: KeptPairSecret | None,
    ciphertext: PairCiphertext,
    place: PairTerms,
    *,
    private: Callable[[], PairPrivateKey],
) -> None:
    run, pairs, sender = terms.opened.run, terms.member.memory.pairs, place.sender
    if kept is not None:
        ciphertext.require(place, terms.roster[sender])
        PairCiphertext.decode(kept.ciphertext).require_same(ciphertext)
        return
    secret = accept_pair_secret(ciphertext, private(), terms=place, sender=terms.roster[sender])
    received = KeptPairSecret(ciphertext=ciphertext.encode(), secret=secret.material())
    pairs.keep_received_secret(run, sender, received)


def key_list_of(member: KeyRing, run: str) -> bytes:
    """Return L: the digest of the list of keys that this site was shown for a run.

    Raises:
        PairSecretsMissing: It was shown none.
    """
    last = member.memory.answers.last_state(run, purpose=_PAIRING)
    if last is None:
        raise PairSecretsMissing(
            "this site was not shown the keys of this run's sites: show them (`query.pair`) first"
        )
    return last.state


def _remembered(member: KeyRing, run: str, key_list: bytes, made: bytes) -> bytes:
    slot = Slot(run=run, purpose=_PAIRING, server_round=0, attempt=1)
    # The run id holds the list, so there is one list for a run.
    answer = Answer(slot=slot, request=key_list, state=key_list, receipt=b"", reply=made)
    return member.memory.answers.remember_reply(answer)


def _accepted(site: Site, member: KeyRing, opening: Opening, key_list: bytes) -> SiteTerms:
    described = masked_descriptor(run_descriptor(site), key_list)
    opened = member.accept_run(opening, descriptor=described)
    return SiteTerms(site=site, member=member, opened=opened)


def _checked_offer(site: Site, roster: Sequence[str], keys: bytes) -> bytes:
    """Return this site's own signed key from a list that is the roster's.

    Raises:
        WrongPairKeys, BadSignature, MalformedEnvelope: The list is not that of the roster.
        OwnPairKeyMissing: This site did not make the key in its name.
    """
    listed = decode_pair_keys(keys)
    check_pair_keys(
        listed,
        agreement=site.charter.agreement,
        roster=roster,
        suite=site.charter.pair_suite.lower(),
    )
    own = listed.get(site.config.name)
    if own is None:
        raise OwnPairKeyMissing("the list of keys holds none of this site")
    return own.encode()


def _partners(terms: SiteTerms) -> tuple[str, ...]:
    return partners(terms.site.config.name, roster=terms.opened.roster, buckets=terms.buckets)


def _place(site: Site, run: str, key_list: bytes, names: tuple[str, str]) -> PairTerms:
    sender, recipient = names
    return PairTerms(
        charter=bytes.fromhex(site.fingerprint),
        run=run,
        key_list=key_list,
        sender=sender,
        recipient=recipient,
    )


def _forget_old_runs(site: Site, member: KeyRing, run: str) -> None:
    pairs = member.memory.pairs
    old = pairs.forget_runs_before(_today() - site.config.keep_keys_days)
    burned = pairs.run_to_burn(site.fingerprint, run)
    for one in (*old, *([burned] if burned else [])):
        _LOG.warning("the secrets of run %s are deleted: it cannot be taken up again here", one)


def _today() -> int:
    return datetime.now(UTC).date().toordinal()


def _member(site: Site) -> KeyRing:
    return member_at(site.directory, site.config.name, site.charter)
