"""How the bins by which scores are counted follow one another in a run, at either end."""

from collections.abc import Callable
from dataclasses import dataclass

from privacy.layout import Tally


def _keep(bins: bytes, tally: Tally) -> bytes:
    return bins


def _accept(bins: bytes, tally: Tally) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class BinSteps:
    """The bins of a run's evaluations, as bytes: only the evaluation itself reads them.

    Args:
        first: Those of the first evaluation; empty where bins are the same in every round.
        after: Returns the bins of the next evaluation from those of the last one and its pooled
            tally; the same bytes on every machine.
        check: Raises for a tally that no records have in these bins.
    """

    first: bytes = b""
    after: Callable[[bytes, Tally], bytes] = _keep
    check: Callable[[bytes, Tally], None] = _accept
