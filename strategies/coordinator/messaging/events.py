"""Run events, for the progress display, the run directory and the report.

Guarantee: an event holds identities, counts, decisions and pooled figures. It holds a value of one
site only if that site released it. The exception is `SitesCompared`: it describes updates, which
the coordinator of a run in the clear reads anyway, and which a liar would not release.

The `kind` of an event is its name in `events.jsonl`. It is a published name: it stays when the
class is renamed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from privacy.layout import Tally


@dataclass(frozen=True, kw_only=True)
class SitesJoined:
    """The members that joined at the start, the weight of each, and the size of their vector."""

    kind: ClassVar[str] = "sites-joined"

    sites: tuple[str, ...]
    absent: tuple[str, ...]
    weights: Mapping[str, int]
    dim: int


@dataclass(frozen=True, kw_only=True)
class StatisticsPooled:
    """The federated statistics were pooled, before the first round."""

    kind: ClassVar[str] = "statistics-pooled"

    pooled: Tally


@dataclass(frozen=True, kw_only=True)
class RoundStarted:
    """A cohort was asked. Round 0 pools statistics; the round after the last one evaluates."""

    kind: ClassVar[str] = "round-started"

    server_round: int
    cohort: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SiteAnswered:
    """A site's reply was accepted; holds its counts, if the site released them.

    In a buffered run `asked_in` is the round whose question it answered: the round that uses the
    update may be a later one.
    """

    kind: ClassVar[str] = "site-answered"

    server_round: int
    site: str
    asked_in: int | None = None
    released: Tally | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class SiteUnchanged:
    """A site said that it has nothing new to send in this round, which is no fault of it."""

    kind: ClassVar[str] = "site-unchanged"

    server_round: int
    site: str


@dataclass(frozen=True, kw_only=True)
class SiteQuarantined:
    """A site is left out of this round: it refused, was silent or gone, or it was refused."""

    kind: ClassVar[str] = "site-quarantined"

    server_round: int
    site: str
    code: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BucketRefused:
    """Most sites refused the sum of a bucket's updates: its checksum failed.

    If the coordinator added rightly, which `audit-sum` can tell, one of these sites spoiled its
    part.

    Args:
        server_round: The round of the updates.
        bucket: The bucket, from 0.
        sites: Who is in the sum.
    """

    kind: ClassVar[str] = "bucket-refused"

    server_round: int
    bucket: int
    sites: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoundFinished:
    """A round moved the model. The evaluation counts describe the state that the sites received.

    `saturated` says how many values of the updates were beyond the scale, over all sites; None if
    that is not known. `pairs` are the entries of the pairs of records within sites; None if they
    are not known. `score_bins` are the bins of the counts; empty for those of equal width.
    `asked_in` says of each site in `answered` whose round's question it answered; empty where it is
    that of this round. `unchanged` are the sites that said that they have nothing new. If
    `counted` is false, the round asked for no counts, or the run stopped before any could be
    released: `evaluation` holds zeros that say nothing.
    """

    kind: ClassVar[str] = "round-finished"

    server_round: int
    answered: tuple[str, ...]
    evaluation: Tally
    bytes_down: int
    bytes_up: int
    seconds: float
    saturated: int | None = None
    pairs: Tally | None = None
    score_bins: bytes = b""
    asked_in: tuple[int, ...] = ()
    unchanged: tuple[str, ...] = ()
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class SumConfirmed:
    """Enough witnesses of a masked run confirmed one set and its sums: they can be opened now.

    Args:
        server_round: The round of the uploads.
        purpose: Training, statistics or evaluation.
        digest: D, the digest of the set, hexadecimal.
        confirmed_by: The witnesses whose confirmations the sites are shown, sorted.
        needed: How many were needed.
        refused: Who was asked and did not confirm, with the code of the reason.
        exchanges: How many times witnesses were asked.
        bytes_down: Bytes sent to them.
        bytes_up: Bytes that came back.
        seconds: How long it took.
        not_awaited: Who was asked and not waited for: enough others had confirmed, and the next
            question was on its way while these still answered.
    """

    kind: ClassVar[str] = "sum-confirmed"

    server_round: int
    purpose: str
    digest: str
    confirmed_by: tuple[str, ...]
    needed: int
    refused: Mapping[str, str]
    exchanges: int
    bytes_down: int
    bytes_up: int
    seconds: float
    not_awaited: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationWithheld:
    """Sites withheld the evaluation counts of a round: they count exactly for other sites."""

    kind: ClassVar[str] = "evaluation-withheld"

    server_round: int
    withheld_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StatisticsRecounted:
    """Sites say that their operators had their training records counted again under the charter."""

    kind: ClassVar[str] = "statistics-recounted"

    recounted_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SitesCompared:
    """Norm, distance and cosine of each site's update to the aggregate; only in the clear."""

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
    | SiteUnchanged
    | SiteQuarantined
    | BucketRefused
    | EvaluationWithheld
    | StatisticsRecounted
    | SitesCompared
    | SumConfirmed
    | RoundFinished
)
Observer: TypeAlias = Callable[[RunEvent], None]
