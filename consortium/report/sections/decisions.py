"""Section on what a model of two classes decides: thresholds, net benefit, probabilities."""

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.curves import DecisionCurve, draw_decision_curve
from consortium.run.decisions import (
    calibration_sentence,
    one_sided_warning,
)
from consortium.wording import formatting as words
from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.decisions import Confusion, threshold_that_finds, threshold_that_flags
from sites.evaluation.metric_values import wilson_interval
from sites.evaluation.score_bins import FIXED
from sites.schema.tables import Costs

_FOUND = (0.95, 0.9, 0.8)
_FLAGGED = (0.001, 0.01, 0.05, 0.1, 0.2)


def decisions_section(recorded: Recorded) -> Section | None:
    """Return the section on decisions; None unless both of two classes have held-out records."""
    tally, evaluation = recorded.pooled_evaluation, recorded.evaluation
    if tally is None or not isinstance(evaluation, BinaryEvaluation):
        return None
    if min(evaluation.class_counts(tally)) == 0:
        return None
    usual, target = evaluation.confusion(tally), _target(recorded)
    return Section(
        anchor="decisions",
        title="What can be decided by its scores?",
        short="Decisions",
        lead=_usual_sentence(usual, target),
        blocks=(
            _thresholds_table(evaluation, tally, target),
            _decision_plot(evaluation, tally, target),
            Paragraph(_calibration_text(recorded, evaluation, tally)),
        ),
    )


def _target(recorded: Recorded) -> str:
    (_, positive) = recorded.label.classes  # type: ignore[union-attr]
    return f"{recorded.target} = {positive}"


def _usual_sentence(usual: Confusion, target: str) -> str:
    if not usual.flagged:
        return one_sided_warning("none", usual.records)
    if usual.flagged == usual.records:
        return one_sided_warning("all", usual.records)
    return (
        "A score becomes a decision by a threshold. At 0.5, "
        f"{_share(usual.flagged, usual.records)} of the records are flagged and "
        f"{_share(usual.true_positives, usual.positives)} of those with {target} are found. Which "
        "threshold is right depends on what a missed case and a false alarm cost."
    )


def _thresholds_table(evaluation: BinaryEvaluation, tally: Tally, target: str) -> Block:
    found, costs = evaluation.confusions(tally), evaluation.label.costs
    purposes = [
        ("The usual threshold", evaluation.confusion(tally)),
        *(
            (f"Find {words.percent(share)} of {target}", threshold_that_finds(found, share))
            for share in _FOUND
        ),
        *(
            (f"Flag {words.percent(share)} at most", threshold_that_flags(found, share))
            for share in _FLAGGED
        ),
        *((("Flag nobody", found[-1]), ("Flag everybody", found[0])) if costs else ()),
    ]
    return Table(
        caption="A threshold for a purpose",
        columns=(
            Column("Purpose"),
            Column("Score of at least", "number"),
            Column("Flagged", "number"),
            Column("Sensitivity", "number"),
            Column("Specificity", "number"),
            Column("Precision", "number"),
            Column("Net benefit", "number"),
            *((Column("Cost of 1,000 records", "number"),) if costs else ()),
        ),
        rows=tuple((purpose, *_cells(one), *_cost_cells(one, costs)) for purpose, one in purposes),
        note=(
            "Exact counts at the edges of the score bins. Sensitivity: the share of those with "
            f"{target} that is flagged. Specificity: the share of the others that is not. "
            "Precision: the share of the flagged that is right. Net benefit: see below. The "
            "thresholds were chosen on these records, so that others may give other shares. "
            f"Records of equal scores are flagged together or not at all.{_costs_text(costs)}"
        ),
    )


def _cells(one: Confusion) -> tuple[str, ...]:
    negatives = one.records - one.positives
    return (
        f"{one.threshold:.3g}",
        f"{words.count(one.flagged)} ({_share(one.flagged, one.records)})",
        _share(one.true_positives, one.positives),
        _share(one.true_negatives, negatives),
        _share(one.true_positives, one.flagged),
        words.figure(one.net_benefit) if one.threshold < 1 else words.DASH,
    )


def _cost_cells(one: Confusion, costs: Costs | None) -> tuple[str, ...]:
    return () if costs is None else (words.figure(one.cost(costs), costs.unit),)


def _costs_text(costs: Costs | None) -> str:
    if costs is None:
        return ""
    missed, alert = (words.figure(one, costs.unit) for one in (costs.missed, costs.alert))
    return (
        f" Cost, as the members declared it: {missed} for a miss, {alert} for each that is flagged."
    )


def _share(part: int, whole: int) -> str:
    return words.percent(part / whole) if whole else words.DASH


def _decision_plot(evaluation: BinaryEvaluation, tally: Tally, target: str) -> Block:
    found = [evaluation.confusion(tally, threshold=at / FIXED) for at in range(1, FIXED)]
    curve = DecisionCurve(
        thresholds=[one.threshold for one in found],
        model=[one.net_benefit for one in found],
        everybody=[one.net_benefit_of_all for one in found],
    )
    return plots.full_width_plot(
        "decision-curve",
        lambda width: draw_decision_curve(curve, width),
        title="Is it better than flagging everybody, or nobody? (decision curve)",
        alt="; ".join(_net_benefit_text(one) for one in found[3:32:4]),
        caption=(
            "Net benefit: true positives for each record, less false positives times the odds of "
            "the threshold (Vickers and Elkin 2006). Somebody who flags from 10 % on accepts nine "
            f"false alarms for one record with {target}. Where the blue line is not the highest, "
            "the model is of no use at that threshold. It takes scores as probabilities."
        ),
    )


def _net_benefit_text(one: Confusion) -> str:
    return (
        f"at {words.percent(one.threshold)}: {words.figure(one.net_benefit)}, flagging all "
        f"{words.figure(one.net_benefit_of_all)}"
    )


def _calibration_text(recorded: Recorded, evaluation: BinaryEvaluation, tally: Tally) -> str:
    found = evaluation.reliability(tally)
    records = float(found.counts.sum())
    observed = float(found.observed.sum()) / records
    return calibration_sentence(
        float(found.predicted.sum()) / records,
        observed,
        wilson_interval(observed, records),
        class_balance=str(recorded.summary.config.get("class-balance", "none")),
    )
