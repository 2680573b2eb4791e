"""The records in `privacy.json`: the cost of privacy, and runs until the budget is exhausted."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PrivacyPoint(_Recorded):
    """The headline metric at one epsilon.

    Args:
        epsilon: Epsilon of each person over all planned rounds; None without privacy.
        value: Mean over the repeated runs.
        low: Lower end of the 95 % interval over resampled records and repeated runs.
        high: Upper end.
        values: The metric of each run.
        noise_multiplier: Smallest and largest over the sites; empty without privacy.
    """

    epsilon: float | None
    value: float
    low: float
    high: float
    values: tuple[float, ...]
    noise_multiplier: tuple[float, ...] = ()


class LedgerLine(_Recorded):
    """The state of one site's ledger after a run.

    Args:
        site: The site's name.
        spent: Epsilon of everything in the ledger, at the site's own delta.
        allowed: The budget that its operator allows.
        refused: Code of the site's refusal; empty if it took part.
        asked: Epsilon that the refused run asked for; None if the coordinator was not told.
        left: Epsilon that was left for that run; None if the coordinator was not told.
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
        epsilon: Epsilon that the run asked for.
        finished: Whether enough sites took part for the run to finish.
        value: The headline metric, if it finished.
        sites: The state of each site's ledger after the run.
    """

    number: int
    epsilon: float
    finished: bool
    value: float | None
    sites: tuple[LedgerLine, ...]


class ReceiptLine(_Recorded):
    """The result of cross-checking the audit logs of a run.

    Args:
        what: The run, in words.
        page: Path of the receipt, relative to the run directory.
        logs: Number of logs, of the coordinator and the sites; each is intact.
        entries: Number of entries in all logs.
        differences: The contradictions between logs, one sentence each; empty if there are none.
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
        metric_title: Its title for readers.
        higher_is_better: Whether a higher value is better.
        unit: The unit of privacy.
        delta: Largest delta over the sites.
        held_out: Number of held-out records that every metric is measured on.
        points: Measured points: first without privacy, then by decreasing epsilon.
        campaign: Runs on the same records, until the ledgers refuse one.
        receipts: Audit receipts of the run itself and of the runs on the same records.
        seconds: Wall time of all measurements.
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
