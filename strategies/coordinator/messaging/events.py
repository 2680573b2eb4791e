"""What happens in a run, as values: for the progress display, the run directory and the report.

Guarantee: an event holds identities, counts, decisions and pooled figures; a value of one site
stands in it only where that site released it. `SitesCompared` is the exception: it is about
updates, which the coordinator of a run in the clear reads, and a liar would not release it.

The `kind` of an event names it in `events.jsonl`: it is published, and stays when the class gets
another name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from privacy.layout import Tally


@dataclass(frozen=True, kw_only=True)
class SitesJoined:
    """The members that answered at the start, with what they said of themselves."""

    kind: ClassVar[str] = "sites-joined"

    sites: tuple[str, ...]
    absent: tuple[str, ...]
    weights: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class StatisticsPooled:
    """The federated statistics, before the first round."""

    kind: ClassVar[str] = "statistics-pooled"

    pooled: Tally


@dataclass(frozen=True, kw_only=True)
class RoundStarted:
    """A cohort was asked; round 0 is the statistics, the round after the last one evaluates."""

    kind: ClassVar[str] = "round-started"

    server_round: int
    cohort: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SiteAnswered:
    """A site's reply was accepted; with what it counted, where the site released that."""

    kind: ClassVar[str] = "site-answered"

    server_round: int
    site: str
    released: Tally | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class SiteQuarantined:
    """A site's reply was refused, or it refused, or it was silent: left out of this round."""

    kind: ClassVar[str] = "site-quarantined"

    server_round: int
    site: str
    code: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RoundFinished:
    """A round moved the model; evaluation counts are of the state the sites received."""

    kind: ClassVar[str] = "round-finished"

    server_round: int
    answered: tuple[str, ...]
    evaluation: Tally
    bytes_down: int
    bytes_up: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SitesCompared:
    """How each site's update lies to the aggregate; in the clear, where a rule sees all at once."""

    kind: ClassVar[str] = "sites-compared"

    server_round: int
    sites: tuple[str, ...]
    norms: tuple[float, ...]
    distances: tuple[float, ...]
    cosines: tuple[float, ...]


RunEvent: TypeAlias = (
    SitesJoined
    | StatisticsPooled
    | RoundStarted
    | SiteAnswered
    | SiteQuarantined
    | SitesCompared
    | RoundFinished
)
Observer: TypeAlias = Callable[[RunEvent], None]
