"""The section on the model after its release: all later periods that were counted."""

from collections.abc import Sequence

from consortium.report.elements.blocks import (
    Block,
    Column,
    Pair,
    Paragraph,
    Plot,
    Section,
    Table,
)
from consortium.report.monitoring.counted_periods import CountedPeriod
from consortium.report.monitoring.rows import HEADINGS, missing_sentences, period_rows
from consortium.report.plots import style as plots
from consortium.report.plots.periods import (
    Mark,
    PeriodLine,
    draw_period_intervals,
    draw_period_lines,
)
from consortium.wording import formatting as words
from sites.evaluation.periods import PeriodFigures
from sites.statistics.drift import SHIFTED, WATCHED, Stability

_MOST_FEATURES = 5
_SCORES = "scores"
_MARKS = (Mark("moved", WATCHED), Mark("shifted", SHIFTED))


def periods_section(periods: Sequence[CountedPeriod]) -> Section | None:
    """Return the section on later periods; None if none was counted.

    Args:
        periods: All that were counted for the model, in their order.
    """
    if not periods:
        return None
    known = [(one.name, one.figures) for one in periods if one.figures is not None]
    return Section(
        anchor="after-release",
        title="Does the model still fit?",
        short="After release",
        lead=_lead(periods[-1]),
        blocks=(
            *(_pictures(known) if known else ()),
            *_last_table(periods[-1]),
            _who_table(periods),
            Paragraph(_note(periods), "quiet"),
        ),
    )


def _lead(last: CountedPeriod) -> str:
    if last.figures is None:
        return f"Nothing was released of {last.name}, the last period that was counted."
    figures = last.figures
    moved = [
        f"{name} ({found.index:.2f})"
        for name, found in _indices(figures).items()
        if found.level != "as before"
    ]
    told = (
        f"In {last.name}, {words.name_list(moved)} moved (stability index)."
        if moved
        else f"In {last.name} neither the scores nor a feature moved."
    )
    ratio, interval = figures.now.calibration_ratio, figures.now.auc_interval
    if ratio is not None:
        told += f" There were {ratio:.2f} times as many positives as predicted."
    if interval is not None:
        auc = words.figure(figures.now.metrics["roc_auc"].value)
        told += f" The AUC was {auc} (95 % interval {words.interval(*interval)})."
    return told


def _pictures(known: Sequence[tuple[str, PeriodFigures]]) -> tuple[Block, ...]:
    names = [name for name, _ in known]
    drawn = [_index_plot(names, [figures for _, figures in known])]
    pair = [
        found
        for found in (
            _auc_plot(names, [figures for _, figures in known]),
            _ratio_plot(names, [figures for _, figures in known]),
        )
        if found is not None
    ]
    return (*(one for one in drawn if one is not None), *([Pair(tuple(pair))] if pair else []))


def _index_plot(names: Sequence[str], figures: Sequence[PeriodFigures]) -> Plot | None:
    """Return the stability index of the scores and of the features that moved most."""
    indices = [_indices(one) for one in figures]
    peaks: dict[str, float] = {}
    for found in indices:
        for name, one in found.items():
            peaks[name] = max(peaks.get(name, 0.0), one.index)
    features = sorted(peaks.keys() - {_SCORES}, key=lambda name: (-peaks[name], name))
    shown = [name for name in (_SCORES, *features[:_MOST_FEATURES]) if name in peaks]
    if not shown:
        return None
    lines = [
        PeriodLine(
            name=words.readable_name(name),
            values=[found[name].index if name in found else None for found in indices],
        )
        for name in shown
    ]
    told = ", ".join(f"{line.name} {_last(line.values)}" for line in lines)
    return plots.full_width_plot(
        "periods",
        lambda width: draw_period_lines(names, lines, _MARKS, width),
        title="How far scores and features moved, by period",
        alt=f"In the last period: {told}.",
        caption="The scores, and the five features that moved most in any period. An index that "
        "chance alone explains may be above the dashed lines where there are few records.",
    )


def _last(values: Sequence[float | None]) -> str:
    return words.DASH if values[-1] is None else f"{values[-1]:.2f}"


def _auc_plot(names: Sequence[str], figures: Sequence[PeriodFigures]) -> Plot | None:
    found: list[tuple[float, float, float] | None] = []
    for one in figures:
        interval = one.now.auc_interval
        found.append(
            None
            if interval is None
            else (interval[0], one.now.metrics["roc_auc"].value, interval[1])
        )
    before = figures[-1].before.metrics.get("roc_auc")
    marks = () if before is None else (Mark("at release", before.value),)
    return _interval_plot(
        "periods-auc", names, found, marks, ("AUC", "AUC with 95 % interval, by period")
    )


def _ratio_plot(names: Sequence[str], figures: Sequence[PeriodFigures]) -> Plot | None:
    ratios = [one.now.calibration_ratio for one in figures]
    found = [None if one is None else (one, one, one) for one in ratios]
    title = "Positives that came, as a multiple of those predicted"
    return _interval_plot(
        "periods-calibration", names, found, (Mark("as predicted", 1.0),), ("ratio", title)
    )


def _interval_plot(
    name: str,
    names: Sequence[str],
    found: Sequence[tuple[float, float, float] | None],
    marks: Sequence[Mark],
    told: tuple[str, str],
) -> Plot | None:
    """Return a plot of values over periods; None if none is known.

    Args:
        name: Its file name.
        names: Of the periods.
        found: Low end, value and high end in each.
        marks: Levels to compare with.
        told: The axis and the title.
    """
    values = [words.DASH if one is None else words.figure(one[1]) for one in found]
    if not any(found):
        return None
    listed = ", ".join(f"{one} {value}" for one, value in zip(names, values, strict=True))
    return plots.half_width_plot(
        name,
        lambda width: draw_period_intervals(names, found, marks, told[0], width),
        title=told[1],
        alt=f"{told[1]}: {listed}.",
    )


def _indices(figures: PeriodFigures) -> dict[str, Stability]:
    """Return how far the scores and each feature moved, by name."""
    scores = {} if figures.scores is None else {_SCORES: figures.scores}
    return {**scores, **{one.name: one.stability for one in figures.columns}}


def _last_table(last: CountedPeriod) -> tuple[Block, ...]:
    if last.figures is None:
        return ()
    first, *others = HEADINGS
    return (
        Table(
            caption=f"{last.name}: {words.count_with_noun(last.figures.records, 'record')}",
            columns=(
                Column(first),
                *(Column(one, "text" if one == "reading" else "number") for one in others),
            ),
            rows=tuple(period_rows(last.figures)),
            note="By chance: what the index is on average if nothing changed.",
        ),
    )


def _who_table(periods: Sequence[CountedPeriod]) -> Table:
    return Table(
        caption="Who is in the count of each period",
        columns=(
            Column("period"),
            Column("records", "number"),
            Column("counted"),
            Column("waits for more"),
            Column("not counted"),
        ),
        rows=tuple(
            (
                one.name,
                words.DASH if one.figures is None else words.count(one.figures.records),
                *(
                    words.name_list(who) or words.DASH
                    for who in (one.sites, one.waiting, one.absent)
                ),
            )
            for one in periods
        ),
    )


def _note(periods: Sequence[CountedPeriod]) -> str:
    since = next((one.columns_since for one in periods if one.columns_since), "")
    beside = (
        f"Features are compared with those of {since}, the first period, because the coordinator "
        "has no counts of the records that the model learned from."
        if since
        else "Features are compared with the records that the model learned from."
    )
    who = list(missing_sentences(periods[-1]))
    return " ".join((beside, "All figures are in periods.csv.", *who[-1:]))
