"""What came of one attempt at a masked round: which buckets are complete, and who is asked next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """

    asked: Sequence[str]
    came: Mapping[str, int]
    buckets: Mapping[str, int]
    floor: int

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Who was asked and did not answer, or not as agreed; in the order asked."""
        return tuple(site for site in self.asked if site not in self.came)

    @cached_property
    def complete(self) -> tuple[int, ...]:
        """The buckets that hold all of their sites that were asked, and enough; in order."""
        # Sites tell their bucket with their answer only. Of a site that never answered it is not
        # known, so that it may be missing in any bucket.
        if any(site not in self.buckets for site in self.missing):
            return ()
        broken = {self.buckets[site] for site in self.missing}
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
