"""What one site knows and holds of the masks of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from consortium.client.encrypted.session_parameters import SiteTerms
from privacy.errors import ConsortiumError, abbreviated_names
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import TRAINING, Slot, UploadLabel
from privacy.protocol.masks.bundles import Deal
from privacy.protocol.masks.groups import (
    confirmations_needed,
    neighbours,
    smallest_sum,
    witnesses,
)
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.replay_guard import SiteMemory


class PairSecretsMissing(ConsortiumError, LookupError, code="pair-secrets-missing"):
    """This site does not yet share a secret with every site that it needs one with."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunMasks:
    """The masks of one run at one site.

    Args:
        terms: Of the run, at this site.
    """

    terms: SiteTerms

    @property
    def memory(self) -> SiteMemory:
        """What the site remembers."""
        return self.terms.member.memory

    @property
    def site(self) -> str:
        """The site's name."""
        return self.terms.site.config.name

    @cached_property
    def witnesses(self) -> dict[str, PublicIdentity]:
        """The public keys of the sites that confirm the sums of the run, in order of names."""
        confirming = witnesses(self.terms.opened.roster)
        return {name: self.terms.roster[name] for name in confirming}

    @cached_property
    def confirmations_needed(self) -> int:
        """How many of them must confirm a set before it is opened."""
        return confirmations_needed(len(self.witnesses), self.terms.site.charter.num_colluders)

    @property
    def smallest_sum(self) -> int:
        """How many sites each sum must hold at least."""
        site = self.terms.site
        return smallest_sum(site.charter.num_colluders, site.min_others)

    @property
    def sums_one_set(self) -> bool:
        """Whether a bucket sums one set of sites, in all rounds of the run."""
        noise = self.terms.site.run_config.privacy.offered is not None
        return self.terms.site.charter.sums_one_set(noise=noise)

    @cached_property
    def settings(self) -> bytes:
        """The digest of the run's settings by which updates are made and weighed."""
        return bytes.fromhex(self.terms.site.run_config.update_settings)

    @cached_property
    def everyone(self) -> Mapping[str, int]:
        """The one bucket of counts."""
        return dict.fromkeys(self.terms.opened.roster, 0)

    def neighbours(self, label: UploadLabel, asked: Iterable[str]) -> tuple[str, ...]:
        """Return the sites with which this one shares masks in an upload.

        Args:
            label: Of the upload.
            asked: The sites that are asked for it.
        """
        # Counts open over the whole roster only, whoever is asked.
        if label.slot.purpose != TRAINING:
            return neighbours(self.site, self.everyone)
        buckets = self.terms.buckets
        return neighbours(self.site, [one for one in asked if buckets[one] == label.bucket])

    def pair_secrets(self, partners: Iterable[str]) -> dict[str, PairSecret]:
        """Return the secrets that this site shares with others, by name.

        Raises:
            PairSecretsMissing: There is none with one of them.
            RunForgotten: The secrets of this run were deleted.
        """
        needed = set(partners) - {self.site}
        kept = self.memory.pairs.pair_secrets(self.terms.opened.run)
        missing = sorted(needed - set(kept))
        if missing:
            raise PairSecretsMissing(
                f"this site has no secret with {abbreviated_names(missing)} in this run: bring it "
                "their signed ciphertexts (`query.pair_secrets`) before anything is sealed",
                missing=len(missing),
            )
        return {name: PairSecret(kept[name].secret) for name in sorted(needed)}

    def deal(self, slot: Slot, site: str, commitment: bytes) -> Deal:
        """Return what is public about the own mask that a site dealt for an upload."""
        return Deal(
            slot=slot,
            site=site,
            witnesses=tuple(self.witnesses),
            threshold=self.confirmations_needed,
            commitment=commitment,
        )
