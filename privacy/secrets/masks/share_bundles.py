"""Shares of own masks: sealed to the witnesses, opened, confirmed, and joined again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from privacy import canonical
from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError, number_of
from privacy.protocol.masks.bundles import SHARE_SIZE, Deal, Entry, ShareBundle
from privacy.protocol.masks.groups import MOST_TRIES
from privacy.secrets.keys import SECRET_SIZE, CannotOpen
from privacy.secrets.masks.mask_streams import OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.masks.shares import PRIME, deal_shares, value_at

_NO_SHARE = b"\xff" * SHARE_SIZE  # no element of the field starts like this
_REVEAL_TAG = b"consortium.revealed-shares/1\n"


class UnreadableShare(ConsortiumError, ValueError, code="unreadable-share"):
    """A witness's entry does not open, or holds another share than it commits to."""


class MaskNotJoined(ConsortiumError, ValueError, code="mask-not-joined"):
    """The shares that came do not join to the mask that its site committed to."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Who is to blame where shares do not join, as far as the bundle proves it.

    Args:
        witnesses: Those whose share is not the one that the bundle commits to.
        dealer: Whether enough shares are, and still do not join.
    """

    witnesses: tuple[str, ...]
    dealer: bool


def seal_bundle(
    own: OwnMask, deal: Deal, *, secrets: Mapping[str, PairSecret]
) -> tuple[ShareBundle, int | None]:
    """Deal a mask to the witnesses.

    Args:
        own: The mask, which `deal.commitment` commits to.
        deal: What is public about it.
        secrets: The dealer's secret with each other witness.

    Returns:
        The bundle, and the dealer's own share if it is a witness: its site keeps it.
    """
    dealt = deal_shares(own.number, num_shares=len(deal.witnesses), threshold=deal.threshold)
    shares = dict(zip(deal.witnesses, dealt, strict=True))
    entries = [
        Entry(commitment=deal.share_commitment(witness, share), sealed=b"")
        if witness == deal.site
        else _sealed_entry(share, deal, witness, secrets[witness])
        for witness, share in shares.items()
    ]
    return ShareBundle(entries=tuple(entries)), shares.get(deal.site)


def open_entry(entry: Entry, deal: Deal, *, witness: str, secret: PairSecret) -> int:
    """Return the share that was sealed to a witness.

    Args:
        entry: The witness's entry of the bundle.
        deal: What is public about the mask.
        witness: This site; it is not the dealer.
        secret: Its secret with the dealer.

    Raises:
        UnreadableShare: It does not open, or is not the share that the entry commits to.
    """
    cipher = AESSIV(secret.share_key(deal.site, witness))
    try:
        opened = cipher.decrypt(entry.sealed, [deal.context(witness), entry.commitment])
    except (InvalidTag, ValueError) as error:
        raise UnreadableShare(
            f"the share of {deal.site} for {witness} does not open: its dealer or the coordinator "
            "altered it"
        ) from error
    share = int.from_bytes(opened, "big")
    # The dealer sealed share and commitment together, so the coordinator cannot have done this.
    if share >= PRIME or deal.share_commitment(witness, share) != entry.commitment:
        raise UnreadableShare(f"{deal.site} sealed another share to {witness} than it committed to")
    return share


def seal_shares(
    shares: Sequence[int | None], *, key: bytes, set_digest: bytes, witness: str
) -> bytes:
    """Return X_w: the shares of a witness, sealed to the members of the epoch.

    Args:
        shares: Its share of each own mask of the set, in an order that the set gives; None where
            its entry did not open. There is one at least.
        key: `RunKeys.reveal`.
        set_digest: D.
        witness: This site.
    """
    parts = [_NO_SHARE if one is None else one.to_bytes(SHARE_SIZE, "big") for one in shares]
    return AESSIV(key).encrypt(b"".join(parts), [_revealed_in(set_digest, witness)])


def open_shares(
    sealed: bytes, *, count: int, key: bytes, set_digest: bytes, witness: str
) -> tuple[int | None, ...]:
    """Return the shares that a witness sealed by `seal_shares`.

    Args:
        sealed: X_w, from a confirmation whose signature was checked.
        count: How many there must be.
        key: `RunKeys.reveal`.
        set_digest: D.
        witness: Who sealed them.

    Raises:
        CannotOpen: They were sealed by another or for another set, or altered.
        MalformedEnvelope: They are not so many shares.
    """
    try:
        opened = AESSIV(key).decrypt(sealed, [_revealed_in(set_digest, witness)])
    except (InvalidTag, ValueError):
        # `from None`: the cause would tell which check failed.
        raise CannotOpen from None
    if len(opened) != count * SHARE_SIZE:
        raise MalformedEnvelope(f"{witness} must confirm {number_of(count, 'share')}", needed=count)
    parts = (opened[start : start + SHARE_SIZE] for start in range(0, len(opened), SHARE_SIZE))
    return tuple(None if one == _NO_SHARE else _read_share(one, witness) for one in parts)


def join_own_mask(shares: Mapping[str, int], deal: Deal) -> tuple[OwnMask, tuple[str, ...]]:
    """Return an own mask from the witnesses' shares, and who holds another share than fits.

    The first shares are tried, as many as the threshold; then those that are left without one
    witness, without two, and so on: up to three wrong shares are always found among 32.

    Args:
        shares: The shares that came, by witness; those whom the caller trusts less come last.
        deal: What is public about the mask.

    Returns:
        The mask that the dealer committed to, and the witnesses whose share is not on the
        polynomial that gave it. They are looked for only if the first shares do not join, and are
        for a log: liars can make honest witnesses look so. The bundle proves who is to blame, see
        `judge_shares`.

    Raises:
        MaskNotJoined: There are too few shares, or too many wrong ones.
        NotInRoster: A share is of no witness.
    """
    if len(shares) < deal.threshold:
        raise MaskNotJoined(
            f"{number_of(deal.threshold, 'share')} of the mask of {deal.site} are needed, "
            f"{len(shares)} came: wait for more witnesses",
            needed=deal.threshold,
            came=len(shares),
        )
    by_point = {deal.point(witness): share for witness, share in shares.items()}
    for trusted in _subsets(tuple(by_point), deal.threshold):
        held = {point: by_point[point] for point in trusted}
        own = _committed_mask(value_at(held), deal)
        if own is not None:
            first = trusted == tuple(by_point)[: deal.threshold]
            return own, () if first else _off(shares, held, deal)
    raise MaskNotJoined(
        f"{number_of(len(shares), 'share')} of the mask of {deal.site} came, and no "
        f"{deal.threshold} of them join to what it committed to: it dealt others, or witnesses "
        "altered theirs; the bundles tell which",
        needed=deal.threshold,
        came=len(shares),
    )


def join_own_masks(
    dealt: Iterable[tuple[Mapping[str, int], Deal]],
) -> Iterator[tuple[OwnMask, tuple[str, ...]]]:
    """Yield what `join_own_mask` returns for each of several masks, of one set of witnesses.

    A witness whose share of one mask did not fit is trusted last for the masks that follow. So
    members that spoil their shares of all masks are looked for once, and not for each.

    Args:
        dealt: The shares that came of each mask, by witness, and what is public about it.

    Raises:
        MaskNotJoined, NotInRoster: As `join_own_mask`.
    """
    doubted = set[str]()
    for shares, deal in dealt:
        ordered = {one: shares[one] for one in sorted(shares, key=doubted.__contains__)}
        own, wrong = join_own_mask(ordered, deal)
        doubted.update(wrong)
        yield own, wrong


def judge_shares(shares: Mapping[str, int], deal: Deal, bundle: ShareBundle) -> Judgement:
    """Return who is to blame, with the bundle that the dealer signed as proof.

    Args:
        shares: The shares that witnesses confirmed.
        deal: What is public about the mask.
        bundle: The bundle whose digest the dealer signed.

    Raises:
        WrongBundle: The bundle does not hold one entry for each witness.
    """
    wrong = tuple(
        witness
        for witness, share in shares.items()
        if deal.share_commitment(witness, share) != bundle.entry(deal, witness).commitment
    )
    dealt = {witness: share for witness, share in shares.items() if witness not in wrong}
    if len(dealt) < deal.threshold:
        return Judgement(witnesses=wrong, dealer=False)
    held = {deal.point(witness): dealt[witness] for witness in [*dealt][: deal.threshold]}
    fits = _committed_mask(value_at(held), deal) is not None and not _off(dealt, held, deal)
    return Judgement(witnesses=wrong, dealer=not fits)


def _sealed_entry(share: int, deal: Deal, witness: str, secret: PairSecret) -> Entry:
    commitment = deal.share_commitment(witness, share)
    cipher = AESSIV(secret.share_key(deal.site, witness))
    encoded = share.to_bytes(SHARE_SIZE, "big")
    sealed = cipher.encrypt(encoded, [deal.context(witness), commitment])
    return Entry(commitment=commitment, sealed=sealed)


def _revealed_in(set_digest: bytes, witness: str) -> bytes:
    return _REVEAL_TAG + set_digest + canonical.text(witness)


def _read_share(encoded: bytes, witness: str) -> int:
    share = int.from_bytes(encoded, "big")
    if share >= PRIME:
        raise MalformedEnvelope(f"{witness} confirmed a share that is no element of the field")
    return share


def _subsets(points: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    """Yield sets of points to be trusted: without ever more suspects, each set once."""
    tried = set()
    for num_suspects in range(len(points) - size + 1):
        for suspects in combinations(points, num_suspects):
            trusted = tuple(point for point in points if point not in suspects)[:size]
            if trusted not in tried:
                tried.add(trusted)
                yield trusted
            if len(tried) > MOST_TRIES:
                return


def _committed_mask(value: int, deal: Deal) -> OwnMask | None:
    """Return the mask that is this number, if it is the one that the dealer committed to."""
    if value.bit_length() > 8 * SECRET_SIZE:
        return None
    own = OwnMask(value.to_bytes(SECRET_SIZE, "big"))
    return own if own.commitment(deal.slot, deal.site) == deal.commitment else None


def _off(shares: Mapping[str, int], held: Mapping[int, int], deal: Deal) -> tuple[str, ...]:
    """Return the witnesses whose share is not on the polynomial through the shares held."""
    return tuple(
        witness for witness, share in shares.items() if value_at(held, deal.point(witness)) != share
    )
