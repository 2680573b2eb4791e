"""What came of one attempt at a masked round: which buckets are complete, and who is asked next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The sites that were asked together, and those that answered as agreed.

    The masks of a bucket cancel over exactly its sites among those asked. So a bucket counts whole
    or not at all, and what came of an incomplete one stays noise.

    Args:
        asked: The sites that were asked together, V.
        came: The bucket of each that answered from the state that most of them signed.
        buckets: The bucket of each site, as far as it ever told it in this run.
        floor: Fewest sites in a sum.
        sizes: How many sites of the run each bucket holds.
    """

    asked: Sequence[str]
    came: Mapping[str, int]
    buckets: Mapping[str, int]
    floor: int
    sizes: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Who was asked and did not answer, or not as agreed; in the order asked."""
        return tuple(site for site in self.asked if site not in self.came)

    @cached_property
    def complete(self) -> tuple[int, ...]:
        """The buckets that hold all of their sites that were asked, and enough; in order."""
        broken = {self.buckets[site] for site in self.missing if site in self.buckets}
        # Sites tell their bucket with their answer only. One that never answered may be missing in
        # any bucket, but for those of which every site is known.
        if any(site not in self.buckets for site in self.missing):
            known = Counter(self.buckets.values())
            broken |= {one for one in known if known[one] != self.sizes.get(one)}
        return tuple(one for one in self._large_enough if one not in broken)

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The sites of the complete buckets, sorted."""
        return self._sites_of(self.complete)

    @cached_property
    def remaining(self) -> tuple[str, ...]:
        """Whom to ask next: without the missing, and without buckets that are too small then."""
        return self._sites_of(self._large_enough)

    @cached_property
    def _large_enough(self) -> tuple[int, ...]:
        sizes = Counter(self.came.values())
        return tuple(sorted(bucket for bucket, size in sizes.items() if size >= self.floor))

    def _sites_of(self, buckets: Sequence[int]) -> tuple[str, ...]:
        return tuple(sorted(site for site, one in self.came.items() if one in buckets))
