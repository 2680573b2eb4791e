"""Plots and tables of the model's quality, from the points that an evaluation gives."""

from typing import Any

from consortium.report.elements.blocks import Block, Column, HeatTable, Pair, Plot, Shade, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.curves import (
    Reliability,
    draw_histogram,
    draw_reliability,
    draw_roc,
    draw_two_groups,
)
from consortium.report.sections import labels_and_entities as report_marks
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import AVERAGES
from privacy.layout import Tally
from sites.evaluation.metric_values import wilson_interval
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel
from sites.schema.texts import EntityLabel, MultiLabel

_MOST_CLASSES = 20
_MOST_CURVES = 6
_EVERYDAY_RANGE = 0.99


def performance_blocks(recorded: Recorded, tally: Tally) -> tuple[Block, ...]:
    """Return the plots and tables of a pooled evaluation with at least one record."""
    curves = recorded.evaluation.curves(tally)
    match recorded.label:
        case ClassLabel(binary=True, classes=(negative, positive)):
            return _binary_blocks(recorded, tally, curves, (positive, negative))
        case ClassLabel():
            return _class_blocks(curves)
        case NumberLabel():
            return _regression_blocks(recorded, curves)
        case EventTimeLabel():
            return _survival_blocks(recorded, curves)
        case MultiLabel():
            return report_marks.label_tables(recorded, tally, of="labels")
        case EntityLabel():
            return report_marks.label_tables(recorded, tally, of="entities")


def _binary_blocks(
    recorded: Recorded, tally: Tally, curves: dict[str, Any], names: tuple[str, str]
) -> tuple[Block, ...]:
    upper, lower = (f"{recorded.target} = {name}" for name in names)
    return (
        Pair((*_roc_plots(recorded, tally, curves), _calibration_plot(curves, upper))),
        _score_plot(curves, (upper, lower)),
        _confusion_matrix(
            curves, "What is flagged at a score of 0.5 or more", _flagged_sentence(curves, upper)
        ),
    )


def _roc_plots(recorded: Recorded, tally: Tally, curves: dict[str, Any]) -> list[Plot]:
    if "roc" not in curves:
        return []
    auc = recorded.evaluation.metrics(tally)["roc_auc"]
    roc = curves["roc"]
    error = words.bound(auc.error_bound, auc.value)
    said = f"AUC {words.figure(auc.value)} (error bound: {error})"
    return [
        plots.half_width_plot(
            "roc",
            lambda width: draw_roc(
                {"": (roc["false_positive_rate"], roc["true_positive_rate"])}, width
            ),
            title="How well it ranks (ROC curve)",
            alt=f"ROC curve of the pooled scores; {said}.",
            caption=f"{said}, from pooled score histograms of 1,024 bins. Grey line: chance.",
        )
    ]


def _calibration_plot(curves: dict[str, Any], target: str) -> Plot:
    found = curves["calibration"]
    reliability = Reliability(
        predicted=found["predicted"],
        observed=found["observed"],
        counts=found["count"],
        bounds=(0.0, 1.0),
        intervals=[
            wilson_interval(share, count)
            for share, count in zip(found["observed"], found["count"], strict=True)
        ],
    )
    pairs = list(zip(found["predicted"], found["observed"], strict=True))
    return plots.half_width_plot(
        "calibration",
        lambda width: draw_reliability(
            reliability, ("predicted probability", "observed frequency"), width
        ),
        title="Can its probabilities be trusted? (calibration)",
        alt="Predicted probability and observed frequency by bin: "
        + "; ".join(f"{words.percent(p)} and {words.percent(o)}" for p, o in pairs),
        caption=f"For {target}, in 16 bins. Larger dots hold more records; whiskers are 95 % "
        "intervals. On the grey line, a predicted 30 % comes true 30 times in 100.",
    )


def _score_plot(curves: dict[str, Any], groups: tuple[str, str]) -> Block:
    edges, (negatives, positives) = curves["scores"]["edges"], curves["scores"]["counts"]
    shares = _shares(positives), _shares(negatives)
    return plots.full_width_plot(
        "scores",
        lambda width: draw_two_groups(edges, shares, groups, "score", width),
        title="The scores of the two groups",
        alt=f"Histograms of the scores of {groups[0]} and of {groups[1]}, pooled.",
        caption="The shares within each group, from the pooled histograms in 64 bins. The less "
        "they overlap, the better the model separates the groups.",
    )


def _shares(counts: list[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _confusion_matrix(curves: dict[str, Any], caption: str, said: str = "") -> Block:
    """Return the confusion matrix of the most frequent classes."""
    classes, counts = curves["confusion"]["classes"], curves["confusion"]["counts"]
    largest = sorted(range(len(classes)), key=lambda code: -sum(counts[code]))[:_MOST_CLASSES]
    kept = sorted(largest)
    rows = []
    for code in kept:
        total = sum(counts[code])
        cells = [Shade(words.count(counts[code][j]), _share(counts[code][j], total)) for j in kept]
        rows.append((f"truly {classes[code]}", tuple(cells)))
    left_out = (
        f" The {_MOST_CLASSES} most frequent of {len(classes)} classes are shown."
        if len(kept) < len(classes)
        else ""
    )
    return HeatTable(
        caption=caption,
        corner="held-out records",
        columns=tuple(f"predicted {classes[code]}" for code in kept),
        rows=tuple(rows),
        note=f"{said}Exact counts; darker is a larger share of its row.{left_out}",
    )


def _flagged_sentence(curves: dict[str, Any], target: str) -> str:
    """Return a sentence on precision and recall at this score, from the confusion matrix."""
    (kept, wrongly), (missed, rightly) = curves["confusion"]["counts"]
    flagged, positives = wrongly + rightly, missed + rightly
    if not flagged or not positives:
        return ""
    return (
        f"At this score {words.count(flagged)} of {words.count(flagged + kept + missed)} records "
        f"are flagged, {words.percent(rightly / flagged)} of them correctly; "
        f"{words.percent(rightly / positives)} of those with {target} are found. "
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _class_blocks(curves: dict[str, Any]) -> tuple[Block, ...]:
    found = curves["classes"]
    often = sorted(found, key=lambda name: -found[name]["support"])
    drawn = [name for name in often if "roc" in found[name]][:_MOST_CURVES]
    rocs = {
        name: (found[name]["roc"]["false_positive_rate"], found[name]["roc"]["true_positive_rate"])
        for name in found
        if name in drawn
    }
    areas = "; ".join(f"{name}: {words.figure(found[name]['roc_auc'])}" for name in rocs)
    roc = plots.half_width_plot(
        "roc",
        lambda width: draw_roc(rocs, width),
        title="How well it ranks each class (ROC curves)",
        alt=f"ROC curves of each class against the rest, AUC {areas}.",
        caption=f"Each class against the rest; AUC {areas}.",
    )
    confidence = _calibration_plot(curves, "the predicted class")
    per_class = _class_table(found, often[:_MOST_CLASSES], curves.get("averages", {}))
    pictures = (roc, confidence) if rocs else (confidence,)
    return (
        _confusion_matrix(curves, "What was true, and what was predicted"),
        per_class,
        Pair(pictures),
    )


def _class_table(
    found: dict[str, Any], names: list[str], averages: dict[str, dict[str, float]]
) -> Block:
    def row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
        cells = (
            words.figure(one[key]) if key in one else words.DASH
            for key in ("precision", "recall", "f1", "roc_auc")
        )
        return (name, words.count(one["support"]), *cells)

    return Table(
        caption="Class by class, the most frequent first",
        columns=(
            Column("Class"),
            Column("Held-out records", "number"),
            *(Column(title, "number") for title in ("Precision", "Recall", "F1", "AUC")),
        ),
        rows=(
            *(row(name, found[name]) for name in names),
            *(row(AVERAGES[kind], one) for kind, one in averages.items()),
        ),
        note="Precision: the share of predicted ones that are right. Recall: the share of true "
        "ones that are found. All of it follows from the counts above. The means are over the "
        "classes that held-out records have; a class that is never predicted counts as 0 in that "
        f"of precision. {words.DASH}: not defined.",
    )


def _regression_blocks(recorded: Recorded, curves: dict[str, Any]) -> tuple[Block, ...]:
    found, unit = curves["calibration"], recorded.unit
    highest = max((*found["predicted"], *found["observed"]))
    lowest = min((*found["predicted"], *found["observed"]))
    room = 0.05 * (highest - lowest or 1.0)
    reliability = Reliability(
        predicted=found["predicted"],
        observed=found["observed"],
        counts=found["count"],
        bounds=(lowest - room, highest + room),
    )
    pairs = zip(found["predicted"], found["observed"], strict=True)
    agreement = plots.half_width_plot(
        "calibration",
        lambda width: draw_reliability(
            reliability, (f"mean prediction, {unit}", f"mean of the truth, {unit}"), width
        ),
        title="Prediction and truth",
        alt="Mean prediction and mean truth by bin: "
        + "; ".join(f"{words.figure(p)} and {words.figure(o)}" for p, o in pairs),
        caption="In up to 16 bins by prediction; larger dots hold more records. On the grey line, "
        "predictions are right on average.",
    )
    return (Pair((agreement, _error_plot(curves, unit))),)


def _survival_blocks(recorded: Recorded, curves: dict[str, Any]) -> tuple[Block, ...]:
    found, by = curves["calibration"], f"{curves['horizon']:,.10g}"
    reliability = Reliability(
        predicted=found["predicted"],
        observed=found["observed"],
        counts=found["count"],
        bounds=(0.0, 1.0),
        intervals=list(zip(found["low"], found["high"], strict=True)),
    )
    pairs = zip(found["predicted"], found["observed"], strict=True)
    plot = plots.half_width_plot(
        "calibration",
        lambda width: draw_reliability(
            reliability, ("predicted risk", "observed risk (Kaplan-Meier)"), width
        ),
        title=f"Can its risks be trusted at {by} {recorded.unit}? (calibration)",
        alt="Predicted and observed risk by bin: "
        + "; ".join(f"{words.percent(p)} and {words.percent(o)}" for p, o in pairs),
        caption="In tenths of the predicted risk. Larger dots hold more records; whiskers are 95 % "
        "intervals. On the grey line, a predicted 30 % comes true 30 times in 100.",
    )
    return (Pair((plot,)),)


def _error_plot(curves: dict[str, Any], unit: str) -> Plot:
    edges, counts = _central_bins(curves["errors"]["edges"], curves["errors"]["counts"])
    ends = words.interval(edges[0], edges[-1], unit)
    return plots.half_width_plot(
        "errors",
        lambda width: draw_histogram(edges, counts, f"prediction minus truth, {unit}", width),
        title="How large its errors are",
        alt=f"Histogram of prediction minus truth, from {ends}.",
        caption=f"Nearly all errors are in this range ({ends}); bars are numbers of held-out "
        "records. Left of the line, the prediction was too low.",
    )


def _central_bins(edges: list[float], counts: list[int]) -> tuple[list[float], list[int]]:
    """Return the edges and counts of the bins around 0 that hold nearly all records."""
    total, middle, reach = sum(counts), len(counts) // 2, 1
    while sum(counts[middle - reach : middle + reach]) < _EVERYDAY_RANGE * total:
        reach += 1
    reach = min(reach + 1, middle)
    return edges[middle - reach : middle + reach + 1], counts[middle - reach : middle + reach]
