"""A later period as rows of a table, on the terminal and on the page."""

from collections.abc import Iterator

from consortium.report.monitoring.counted_periods import CountedPeriod, counted_periods
from consortium.run.directory import RunDirectory
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from sites.evaluation.periods import PeriodFigures
from sites.statistics.drift import Stability

HEADINGS = ("what", "before", "now", "stability index", "by chance", "reading")
_SHOWN = ("roc_auc", "brier", "log_loss", "rmse", "r2", "macro_f1", "concordance")


def period_rows(figures: PeriodFigures) -> Iterator[tuple[str, ...]]:
    """Yield a row for the scores, for the outcomes, for each metric, and for each feature."""
    if figures.scores is not None:
        yield "scores", "", "", *_drift(figures.scores)
    predicted, observed = figures.now.share_predicted, figures.now.share_observed
    ratio = figures.now.calibration_ratio
    if predicted is not None and observed is not None:
        yield (
            "positives: expected, observed",
            words.percent(predicted),
            words.percent(observed),
            "",
            "",
            "" if ratio is None else f"{ratio:.2f} times as many as predicted",
        )
    yield from _metric_rows(figures)
    for one in figures.columns:
        missing = (words.percent(share) for share in (one.missing_before, one.missing_now))
        yield one.name, *(f"{share} missing" for share in missing), *_drift(one.stability)


def period_lines(run: RunDirectory, name: str) -> Iterator[str]:
    """Yield a period of a run as lines of text: who is not in the count, and what moved.

    Raises:
        BadRunDirectory: A file is missing or invalid.
    """
    for period in counted_periods(run):
        if period.name == name:
            yield from missing_sentences(period)
            yield from plain_lines(period.figures) if period.figures else ()


def plain_lines(figures: PeriodFigures) -> Iterator[str]:
    """Yield the rows of a period as lines of plain text, for a terminal."""
    for row in period_rows(figures):
        yield "  ".join(part for part in row if part).replace(words.SPACE, " ")


def missing_sentences(period: CountedPeriod) -> Iterator[str]:
    """Yield who is not in the count of a period, a sentence each."""
    if period.figures is None:
        yield "Nothing was released of this period: the members or their policies withheld it."
    elif period.figures.now.records_without_label:
        waiting = words.count_with_noun(period.figures.now.records_without_label, "record")
        yield f"{waiting} had no label yet: they are in the scores and features, and in no metric."
    if period.waiting:
        names = words.name_list(period.waiting)
        yield f"Too few new records of a class, so not counted: {names}"
    if period.waiting or period.absent:
        names = words.name_list((*period.waiting, *period.absent))
        yield f"Without {names} the mix of sites is another, which alone can move figures."


def _metric_rows(figures: PeriodFigures) -> Iterator[tuple[str, ...]]:
    before, now = figures.before.metrics, figures.now.metrics
    for name in _SHOWN:
        if name in now:
            earlier = words.figure(before[name].value) if name in before else words.DASH
            interval = figures.now.auc_interval if name == "roc_auc" else None
            reading = "" if interval is None else f"95 % interval {words.interval(*interval)}"
            yield (
                meaning_of(name).title,
                earlier,
                words.figure(now[name].value),
                "",
                "",
                reading,
            )


def _drift(found: Stability) -> tuple[str, str, str]:
    return f"{found.index:.3f}", f"{found.by_chance:.3f}", found.level
