"""The opening of a masked run: keys first, then the run, then a secret for each pair of sites."""

from collections.abc import Sequence
from dataclasses import dataclass

from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.pair_messages import join_pair_keys
from strategies.coordinator.encrypted.opening.run_opening import RunOpening, Tried
from strategies.coordinator.encrypted.refusals import left_out_at_opening
from strategies.coordinator.masked.opening.pairing import PairSetup
from strategies.coordinator.masked.parameters import MaskedTerms


@dataclass(frozen=True, kw_only=True)
class MaskedOpening(RunOpening):
    """Opens a run whose sites share a secret with each other; see `RunOpening`.

    A site without such secrets is left out, and the run is opened again without it.
    """

    terms: MaskedTerms

    @property
    def _pairs(self) -> PairSetup:
        return PairSetup(
            exchange=self.exchange,
            agreement=self.terms.agreement,
            suite=self.terms.suite,
            observe=self.observe,
        )

    def _ready_sites(self, sites: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
        # A key belongs to one run, so each opening asks for keys that no other one was shown.
        keys = self._pairs.collect_keys(self.roster, sites)
        there = tuple(site for site in sites if site in keys)
        if there != tuple(sites):
            there = self._draw_buckets(there)
        return there, join_pair_keys({site: keys[site] for site in there})

    def _try_opening(self, opening: Opening, encoded: bytes, listed: bytes) -> Tried:
        left_out = self._pairs.carry_secrets(self.roster, opening, encoded=encoded, listed=listed)
        if not left_out:
            return super()._try_opening(opening, encoded, listed)
        roster = opening.terms.roster
        for event in left_out_at_opening(left_out, opening.terms.opener, len(roster)):
            self.observe(event)
        return Tried(left_out, tuple(site for site in roster if site not in left_out))
