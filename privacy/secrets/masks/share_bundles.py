"""Shares of own masks: sealed to the witnesses, opened, confirmed, and joined again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privacy.errors import ConsortiumError
from privacy.protocol.masks.bundles import Deal, ShareBundle
from privacy.secrets.masks.mask_streams import OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret


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
        The bundle, and the dealer's own share, if it is a witness: its site keeps it.
    """
    raise NotImplementedError


def open_entry(bundle: ShareBundle, deal: Deal, *, witness: str, secret: PairSecret) -> int:
    """Return the share that was sealed to a witness.

    Args:
        bundle: The bundle, whose digest the dealer signed.
        deal: What is public about it.
        witness: This site; it is not the dealer.
        secret: Its secret with the dealer.

    Raises:
        UnreadableShare: It does not open, or is not the share that the bundle commits to; the
            dealer is to blame.
        WrongBundle: The bundle does not hold one entry for each witness.
    """
    raise NotImplementedError


def seal_shares(
    shares: Sequence[int | None], *, key: bytes, set_digest: bytes, witness: str
) -> bytes:
    """Return X_w: the shares of a witness, sealed to the members of the epoch.

    Args:
        shares: Its share of each own mask of the set, in an order that the set gives; None where
            its entry did not open.
        key: `RunKeys.reveal`.
        set_digest: D.
        witness: This site.
    """
    raise NotImplementedError


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
    raise NotImplementedError


def join_own_mask(shares: Mapping[str, int], deal: Deal) -> tuple[OwnMask, tuple[str, ...]]:
    """Return an own mask from the witnesses' shares, and who holds another share than fits.

    The first shares are tried, as many as the threshold; then fewer and fewer of them are trusted.

    Args:
        shares: The shares that came, by witness.
        deal: What is public about the mask.

    Returns:
        The mask that the dealer committed to, and the witnesses whose share is not on its
        polynomial. They are looked for only if the first shares do not join. Whether such a witness
        or the dealer is to blame follows from the bundle: see `judge_shares`.

    Raises:
        MaskNotJoined: There are too few shares, or too many wrong ones.
    """
    raise NotImplementedError


def judge_shares(shares: Mapping[str, int], deal: Deal, bundle: ShareBundle) -> Judgement:
    """Return who is to blame, with the bundle that the dealer signed as proof."""
    raise NotImplementedError
