"""All later periods of a model as a CSV file, in plain numbers, for other programs."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from consortium.report.monitoring.counted_periods import CountedPeriod
from sites.evaluation.periods import PeriodFigures
from sites.statistics.drift import Stability

COLUMNS = (
    "period",
    "records",
    "what",
    "before",
    "now",
    "low",
    "high",
    "stability_index",
    "by_chance",
    "reading",
    "missing_before",
    "missing_now",
)


def written_periods(periods: Sequence[CountedPeriod]) -> str:
    """Return all periods as a CSV file: a line for each quantity and each feature of a period.

    `before` and `now` are empty of features, `low` and `high` are the 95 % interval of the AUC.
    """
    file = StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for period in periods:
        if period.figures is not None:
            named = {"period": period.name, "records": period.figures.records}
            writer.writerows({**named, **line} for line in _lines(period.figures))
    return file.getvalue()


def _lines(figures: PeriodFigures) -> Iterator[Mapping[str, object]]:
    before, now = figures.before, figures.now
    if figures.scores is not None:
        yield {"what": "scores", **_drift(figures.scores)}
    shares = {
        "positives predicted": (before.share_predicted, now.share_predicted),
        "positives observed": (before.share_observed, now.share_observed),
        "calibration ratio": (before.calibration_ratio, now.calibration_ratio),
    }
    for what, (earlier, later) in shares.items():
        if later is not None:
            yield {"what": what, "now": later, **({} if earlier is None else {"before": earlier})}
    for name, metric in now.metrics.items():
        line: dict[str, object] = {"what": name, "now": metric.value}
        if name in before.metrics:
            line["before"] = before.metrics[name].value
        if name == "roc_auc" and now.auc_interval is not None:
            line["low"], line["high"] = now.auc_interval
        yield line
    for one in figures.columns:
        missing = {"missing_before": one.missing_before, "missing_now": one.missing_now}
        yield {"what": one.name, **_drift(one.stability), **missing}


def _drift(found: Stability) -> Mapping[str, object]:
    return {
        "stability_index": found.index,
        "by_chance": found.by_chance,
        "reading": found.level,
    }
