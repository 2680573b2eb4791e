"""Streams: what each upload is the sum of, and which masks those in league can make themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeAlias

from consortium.audit.league.holdings import HeldSet, HeldUpload, MemberHoldings
from privacy.errors import ConsortiumError
from privacy.protocol.announcements import decode_named
from privacy.protocol.envelope import EVALUATION, TRAINING, Slot
from privacy.protocol.masks.bundles import MAX_BUNDLE_BYTES, Deal, ShareBundle
from privacy.protocol.masks.groups import confirmations_needed, neighbours, witnesses
from privacy.secrets.keys import RunKeys
from privacy.secrets.masks.mask_streams import MaskPlace, OwnMask
from privacy.secrets.masks.share_bundles import join_own_mask, open_entry, open_shares


@dataclass(frozen=True)
class Value:
    """What a site sealed in a round: the same in all attempts."""

    purpose: str
    server_round: int
    site: str


@dataclass(frozen=True)
class OwnStream:
    """The stream of a site's own mask in one upload."""

    slot: Slot
    site: str


@dataclass(frozen=True)
class PairStream:
    """The stream that two sites share in one sum; the first of them adds it."""

    place: bytes
    first: str
    second: str


Symbol: TypeAlias = Value | OwnStream | PairStream
Shares: TypeAlias = dict[tuple[str, str], dict[str, int]]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class League:
    """The coordinator and members in league with it, in one run.

    Args:
        run: The run id.
        roster: The sites of the run.
        members: Those in league, one at least.
        keys: Of the run.
        masked: Whether the run has masks.
        colluders: How many members the charter expects in league.
    """

    run: str
    roster: tuple[str, ...]
    members: tuple[MemberHoldings, ...]
    keys: RunKeys
    masked: bool
    colluders: int

    @property
    def names(self) -> frozenset[str]:
        """The members in league."""
        return frozenset(one.name for one in self.members)

    @cached_property
    def witnesses(self) -> tuple[str, ...]:
        """Who confirms the sums of the run."""
        return witnesses(self.roster)

    @property
    def needed(self) -> int:
        """How many of them must confirm, and how many shares join to a mask."""
        return confirmations_needed(len(self.witnesses), self.colluders)

    def equation(self, upload: HeldUpload) -> dict[Symbol, int]:
        """Return what an upload is the sum of, once it is decrypted."""
        label, site = upload.receipt.label, upload.site
        parts: dict[Symbol, int] = {
            Value(label.slot.purpose, label.slot.server_round, site): 1,
        }
        if self.masked:
            parts[OwnStream(label.slot, site)] = 1
        if upload.of is not None:
            place = MaskPlace.of(label, upload.of.chosen.cohort).digest
            for other in self._neighbours(upload):
                first, second = sorted((site, other))
                parts[PairStream(place, first, second)] = 1 if site == first else -1
        return parts

    def seeds(self, uploads: Sequence[HeldUpload]) -> dict[Symbol, bytes]:
        """Return the seed of each stream that those in league can make, as far as is kept."""
        seeds: dict[Symbol, bytes] = {}
        for of, group in groupby(uploads, key=lambda one: one.of):
            if of is None:
                continue
            masks = self._joined_masks(of, mine := list(group))
            for upload in mine:
                label = upload.receipt.label
                place = MaskPlace.of(label, of.chosen.cohort)
                if upload in masks:
                    seeds[OwnStream(label.slot, upload.site)] = masks[upload].seed(place)
                seeds.update(self._pair_seeds(place, upload.site))
        return seeds

    def could_know(self, symbol: Symbol) -> bool:
        """Return whether a member in league knew this, and may have kept what it then deleted."""
        match symbol:
            case PairStream():
                return not self.names.isdisjoint((symbol.first, symbol.second))
            case _:
                return symbol.site in self.names

    def _neighbours(self, upload: HeldUpload) -> tuple[str, ...]:
        if upload.of is None or upload.receipt.label.slot.purpose != TRAINING:
            return neighbours(upload.site, self.roster)
        buckets = self.members[0].buckets
        asked = upload.of.chosen.cohort
        return neighbours(
            upload.site, [one for one in asked if buckets[one] == buckets[upload.site]]
        )

    def _pair_seeds(self, place: MaskPlace, site: str) -> dict[Symbol, bytes]:
        found: dict[Symbol, bytes] = {}
        for member in self.members:
            for other, secret in member.pairs.items():
                if site in (member.name, other):
                    first, second = sorted((member.name, other))
                    seed = secret.seed(place.digest, first, second)
                    found[PairStream(place.digest, first, second)] = seed
        return found

    def _joined_masks(
        self, of: HeldSet, uploads: Iterable[HeldUpload]
    ) -> dict[HeldUpload, OwnMask]:
        revealed, masks = self._revealed_shares(of), {}
        for upload in uploads:
            slot, terms = upload.receipt.label.slot, upload.terms
            if terms is None:
                continue
            deal = Deal(
                slot=slot,
                site=upload.site,
                witnesses=self.witnesses,
                threshold=self.needed,
                commitment=terms.commitment,
            )
            held = {**revealed[slot.purpose, upload.site], **self._dealt_shares(of, deal)}
            try:
                masks[upload] = join_own_mask(held, deal)[0]
            except ConsortiumError:
                continue  # too few shares: that is what the quorum is for
        return masks

    def _dealt_shares(self, of: HeldSet, deal: Deal) -> dict[str, int]:
        """Return the shares of one own mask that were dealt to those in league."""
        joined = of.chosen.bundles if deal.slot.purpose == TRAINING else of.chosen.count_bundles
        bundles = decode_named(joined, at_most=MAX_BUNDLE_BYTES) if joined else {}
        held: dict[str, int] = {}
        for member in self.members:
            if member.name == deal.site and deal.slot in member.own_shares:
                held[member.name] = member.own_shares[deal.slot]
            secret = member.pairs.get(deal.site)
            if secret is None or deal.site not in bundles or member.name not in deal.witnesses:
                continue
            try:
                entry = ShareBundle.decode(bundles[deal.site]).entry(deal, member.name)
                held[member.name] = open_entry(entry, deal, witness=member.name, secret=secret)
            except ConsortiumError:
                continue
        return held

    def _revealed_shares(self, of: HeldSet) -> Shares:
        """Return the shares in the confirmations of a set, by purpose and dealer.

        They are sealed to all sites of the run, so each member can read them.
        """
        slot, (updates, counts) = of.chosen.sum_set.slot, of.terms
        of_counts = EVALUATION if slot.purpose == TRAINING else slot.purpose
        places = [*((TRAINING, site) for site in updates), *((of_counts, site) for site in counts)]
        shares: Shares = {place: {} for place in places}
        for confirmation in of.confirmations:
            witness = confirmation.witness
            try:
                held = open_shares(
                    confirmation.shares,
                    count=len(places),
                    key=self.keys.reveal,
                    set_digest=of.chosen.sum_set.digest,
                    witness=witness,
                )
            except ConsortiumError:
                continue
            for place, share in zip(places, held, strict=True):
                if share is not None:
                    shares[place][witness] = share
        return shares
