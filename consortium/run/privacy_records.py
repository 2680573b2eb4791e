"""The records in `privacy.json`: the cost of privacy, and runs until the budget is exhausted."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PrivacyPoint(_Recorded):
    """The headline metric at one epsilon.

    Args:
        epsilon: Over all planned rounds, for each person; None for no privacy.
        value: Mean over the repeated runs.
        low: Lower end of the 95 % interval, over resampled records and repeated runs.
        high: Upper end.
        values: Of each run.
        noise_multiplier: Least and greatest over the sites; empty for no privacy.
    """

    epsilon: float | None
    value: float
    low: float
    high: float
    values: tuple[float, ...]
    noise_multiplier: tuple[float, ...] = ()


class LedgerLine(_Recorded):
    """What one site's ledger says after a run.

    Args:
        site: The site.
        spent: Epsilon of all that it counted, at its own delta.
        allowed: Its operator's ceiling.
        refused: Code of its refusal; empty if it took part.
        asked: Epsilon that the refused run asked for, as the coordinator is told; None if not.
        left: Epsilon that was left for it, likewise.
    """

    site: str
    spent: float
    allowed: float
    refused: str = ""
    asked: float | None = None
    left: float | None = None


class CampaignRun(_Recorded):
    """One of several runs on the same records.

    Args:
        number: Counted from 1.
        epsilon: What it asked for.
        finished: Whether enough sites took part.
        value: The headline metric, if it finished.
        sites: What each site's ledger says after it.
    """

    number: int
    epsilon: float
    finished: bool
    value: float | None
    sites: tuple[LedgerLine, ...]


class ReceiptLine(_Recorded):
    """What was found when the logs of a run were held against each other.

    Args:
        what: Which run, in words.
        page: The receipt, from the run directory on.
        logs: Of the coordinator and the sites; each is whole.
        entries: In all of them.
        differences: What contradicts what, in sentences; nothing if nothing does.
    """

    what: str
    page: str
    logs: int
    entries: int
    differences: tuple[str, ...] = ()


class PrivacyCost(_Recorded):
    """The file `privacy.json` of a run directory.

    Args:
        metric: Name of the headline metric.
        metric_title: For people.
        higher_is_better: Direction.
        unit: Who is protected.
        delta: Greatest over the sites.
        held_out: Records that everything is measured on.
        points: No privacy first, then falling epsilon.
        campaign: Runs on the same records, until the ledgers refuse.
        receipts: Of the run itself and of those of the campaign.
        seconds: That all of it took.
    """

    version: Literal[1] = 1
    metric: str
    metric_title: str
    higher_is_better: bool
    unit: str
    delta: float
    held_out: int
    points: tuple[PrivacyPoint, ...]
    campaign: tuple[CampaignRun, ...]
    receipts: tuple[ReceiptLine, ...] = ()
    seconds: float
