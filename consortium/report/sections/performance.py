"""Section on the model's quality: every pooled metric, and the plots behind them."""

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections import performance_plots as report_curves
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation


def performance_section(recorded: Recorded) -> Section | None:
    """Return the section on the pooled evaluation; None without one that has a record."""
    tally, withheld = recorded.pooled_evaluation, recorded.summary.withheld
    lead, blocks = f"{words.capitalized_text(withheld)}.", tuple[Block, ...]()
    if tally is not None and recorded.evaluation.num_examples(tally):
        lead = measured_sentence(recorded, tally)
        blocks = (
            *report_curves.performance_blocks(recorded, tally),
            *_within_blocks(recorded, tally),
            *_metric_blocks(recorded, tally),
        )
    elif not withheld:
        return None
    return Section(
        anchor="model",
        title="How well does the shared model do?",
        short="How well it does",
        lead=lead,
        blocks=blocks,
    )


def measured_sentence(recorded: Recorded, tally: Tally) -> str:
    """Return on how many records, whose, and in which model the figures were measured."""
    n = words.count(recorded.evaluation.num_examples(tally))
    when = (
        ""
        if recorded.is_finished
        else " The model is the one that the last completed round started with."
    )
    if recorded.evaluated_later:
        when = (
            f" Withheld in the run itself, and counted afterwards, in {recorded.evaluated_later}, "
            f"when all {recorded.nouns} of the first run were back."
        )
    return (
        f"Measured on {n} held-out records from all {recorded.nouns} as if they were in one place: "
        f"each {recorded.noun} counted on its own records, and the counts were added up. This is "
        f"not an average of averages.{when}"
    )


def _within_blocks(recorded: Recorded, tally: Tally) -> tuple[Block, ...]:
    """Return the AUC within single sites beside the pooled one, and why the two differ."""
    evaluation, noun = recorded.evaluation, recorded.noun
    pooled = evaluation.metrics(tally).get("roc_auc")
    if not isinstance(evaluation, BinaryEvaluation) or pooled is None:
        return ()
    why = (
        f"The pooled AUC ({words.figure(pooled.value)}) also compares records of two different "
        f"{recorded.nouns}. Where {recorded.target} is more frequent at one {noun} than at "
        f"another, whatever tells the {recorded.nouns} apart raises it, and that does not help "
        "within one."
    )
    shown = recorded.site_evaluation
    within = evaluation.within_site_auc(shown.values())
    if within is None:
        return (
            Paragraph(
                f"{why} The AUC within single {recorded.nouns} is not known here: no counts of "
                f"single {recorded.nouns} with both classes were released."
            ),
        )
    of_those = words.count_in_words(len(shown))
    bound = words.bound(within.error_bound, within.value)
    return (
        Paragraph(
            f"Within single {recorded.nouns} the AUC is {words.figure(within.value)} (error bound: "
            f"{bound}), over the pairs of records of one {noun} each, at the {of_those} that "
            f"released their counts. {why}"
        ),
    )


def _metric_blocks(recorded: Recorded, tally: Tally) -> tuple[Block, ...]:
    rows = []
    for name, found in recorded.evaluation.metrics(tally).items():
        meaning = meaning_of(name)
        unit = recorded.unit if meaning.in_unit else ""
        rows.append(
            (
                meaning.title,
                words.figure(found.value, unit),
                words.bound(found.error_bound, found.value, unit),
                f"{words.capitalized_text(meaning.says)}; {meaning.better} is better."
                if meaning.says
                else "",
            )
        )
    table = Table(
        caption="All pooled metrics",
        columns=(
            Column("Metric"),
            Column("Value", "number"),
            Column("Error bound", "number"),
            Column("What it says"),
        ),
        rows=tuple(rows),
        note="Error bound: how far the metric can be from its value on the scores themselves, "
        f"which were never pooled. It does not cover chance: other {recorded.people} would give "
        "other values.",
    )
    missing = recorded.evaluation.undefined_reasons(tally)
    reasons = "; ".join(f"{meaning_of(name).title}: {why}" for name, why in missing.items())
    return (table, Paragraph(f"Not defined: {reasons}.", "quiet")) if missing else (table,)
