"""Section on the model's quality: every pooled metric, and the plots behind them."""

from consortium.protocol.round_counts import FEWEST_SITES_FOR_PAIRS
from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections import performance_plots as report_curves
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.pairs import PairCounts


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
    elif not withheld or not recorded.learner.predicts:
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
    when = "" if recorded.is_finished else f" {_stopped_sentence(recorded)}"
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


def _stopped_sentence(recorded: Recorded) -> str:
    """Return which model the figures of a run that stopped are of."""
    counted, last = recorded.last_counted, recorded.rounds[-1].server_round
    if counted >= last:
        return "The model is the one that the last completed round started with."
    since = "round" if last == counted + 1 else "rounds"
    named = f"{last}" if last == counted + 1 else f"{counted + 1} to {last}"
    return (
        f"The model is the one that round {counted} started with: nobody counted in the {since} "
        f"after it, {named}, before the run stopped."
    )


def within_sites_text(recorded: Recorded, tally: Tally) -> str:
    """Return the AUC within single sites, or why it is not there, and why the pooled one differs.

    Empty where there is no pooled AUC.
    """
    evaluation, noun, nouns = recorded.evaluation, recorded.noun, recorded.nouns
    pooled = evaluation.metrics(tally).get("roc_auc")
    if not isinstance(evaluation, BinaryEvaluation) or pooled is None:
        return ""
    why = (
        f"The pooled AUC ({words.figure(pooled.value)}) also compares records of two different "
        f"{nouns}. Where {recorded.target} is more frequent at one {noun} than at "
        f"another, whatever tells the {nouns} apart raises it, and that does not help "
        "within one."
    )
    pairs = recorded.pairs_within_sites
    if pairs is None or not pairs.total:
        return f"{why} The AUC within single {nouns} {_why_unknown(recorded, pairs)}."
    within = pairs.auc
    return (
        f"Within single {nouns} the AUC is {words.figure(within.value)} (error bound: "
        f"{words.bound(within.error_bound, within.value)}), over the pairs of records of one "
        f"{noun} each, {_whose_pairs(recorded)}. {why}"
    )


def _whose_pairs(recorded: Recorded) -> str:
    if recorded.mode.coordinator_reads:
        shown = words.count_in_words(len(recorded.site_evaluation))
        return f"at the {shown} that released their counts"
    return f"at all {recorded.nouns}: each counted its own pairs, and only their sum was opened"


def _why_unknown(recorded: Recorded, pairs: PairCounts | None) -> str:
    """Return why there is no AUC within sites, as the end of a sentence."""
    noun, nouns, sites = recorded.noun, recorded.nouns, len(recorded.evaluated_sites)
    if recorded.mode.coordinator_reads:
        return f"is not known here: no counts of single {nouns} with both classes were released"
    if pairs is None:
        return f"is not known here: the {nouns} of this run did not count pairs of their records"
    if sites < FEWEST_SITES_FOR_PAIRS:
        return (
            f"is withheld, because with fewer than {words.count_in_words(FEWEST_SITES_FOR_PAIRS)} "
            f"{nouns} one of them could compute from it how many records of each class another "
            "one has"
        )
    return f"is not defined: no {noun} has held-out records of both classes"


def _within_blocks(recorded: Recorded, tally: Tally) -> tuple[Block, ...]:
    told = within_sites_text(recorded, tally)
    return (Paragraph(told),) if told else ()


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
                words.capitalized_text(meaning.explained) if meaning.says else "",
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
