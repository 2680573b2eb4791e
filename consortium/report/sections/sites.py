"""Sections on which sites took part, their figures, and the answers that were not used."""

from collections.abc import Sequence
from typing import TypeAlias

from consortium.report.elements.blocks import Block, Column, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.run.absences import (
    LEFT_OUT_BY_NAME,
    NEVER_CAME,
    Absence,
    absences_by_code,
    absences_of,
)
from consortium.run.records import QuarantineRecord, SiteSummary
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from consortium.wording.refusals import refusal_reason

_MOST_ROWS = 200
_MOST_NAMED = 12
_MOST_ROUNDS_NAMED = 6
_ABSENT_ONLY = "Every answer that came was used, but not everybody took part."

_Row: TypeAlias = tuple[str, str, str, str]


def sites_section(recorded: Recorded) -> Section:
    """Return the section on each site: whether it took part, its weight and released figures."""
    members = recorded.summary.sites
    absent = [member.name for member in members if not member.present]
    unused = [one.name for one in members if one.present and not one.answered]
    took_part = words.part_in_words(len(recorded.participants), len(members), recorded.nouns)
    lead = f"{words.capitalized_text(took_part)} took part."
    missing = f" {absent_sentence(recorded)}" if absent else ""
    missing += f" No answer was used of {_named(unused)}." if unused else ""
    return Section(
        anchor="sites",
        title=f"Who took part, and how often did each {recorded.noun} answer?",
        short="Site by site",
        lead=lead + missing + _recounted_sentence(recorded),
        blocks=(_site_table(recorded, members),),
    )


def absent_sentence(recorded: Recorded) -> str:
    """Return who is not in the run, with the typed reason of each; "" if all are."""
    together = absences_by_code(
        one
        for one in absences_of(recorded.summary)
        if one.site in recorded.charter.names and not one.joined
    )
    told = "; ".join(_absent_for(code, some) for code, some in together.items())
    return f"Not in the run: {told}." if told else ""


def _absent_for(code: str, some: Sequence[Absence]) -> str:
    return f"{_named([one.site for one in some])} ({code}: {some[0].meaning})"


def _named(sites: Sequence[str]) -> str:
    more = len(sites) - _MOST_NAMED
    return words.name_list([*sites[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _recounted_sentence(recorded: Recorded) -> str:
    if not recorded.recounted_by:
        return ""
    return (
        f" Training records were counted again by the word of the operators of "
        f"{words.name_list(recorded.recounted_by)}, so the pooled statistics are not those of "
        "earlier runs."
    )


def _site_table(recorded: Recorded, members: Sequence[SiteSummary]) -> Block:
    title = meaning_of(recorded.headline_metric).title
    more = len(members) - _MOST_ROWS
    return Table(
        caption=f"The {recorded.nouns} of {recorded.charter.name}",
        columns=(
            Column(words.capitalized_text(recorded.noun)),
            Column("Weight", "number"),
            Column("Answered", "number"),
            Column("Held-out records", "number"),
            Column(f"{title} there", "number"),
        ),
        rows=tuple(_site_row(recorded, member) for member in members[:_MOST_ROWS]),
        note=f"{_weight_note(recorded)} Answered: requests to train or to evaluate. Figures are of "
        f"the last evaluation. {recorded.mode.why_hidden(recorded.noun)}"
        + (f" {words.count(more)} more are in summary.json." if more > 0 else ""),
    )


def _site_row(recorded: Recorded, member: SiteSummary) -> tuple[str, ...]:
    if not member.present:
        return (member.name, words.DASH, "absent", words.DASH, words.DASH)
    name = recorded.headline_metric
    asked = recorded.request_counts[member.name]
    answered = words.count(member.answered) + (f" of {words.count(asked)}" if asked else "")
    answered += f", {words.count(member.unchanged)} nothing new" if member.unchanged else ""
    weight = words.count(member.weight) if member.weight else words.DASH
    tally = recorded.site_evaluation.get(member.name)
    if tally is None:
        hidden = recorded.mode.hidden_figure
        why = hidden if member.name in recorded.evaluated_sites else "no answer"
        return (member.name, weight, answered, why, why)
    held = recorded.evaluation.num_examples(tally)
    found = recorded.evaluation.metrics(tally).get(name)
    unit = recorded.unit if meaning_of(name).in_unit else ""
    value = words.figure(found.value, unit) if found else "not defined"
    if not held:
        return (member.name, weight, answered, "none", "none")
    return (member.name, weight, answered, words.count(held), value)


def _weight_note(recorded: Recorded) -> str:
    match recorded.summary.config.get("weighting"):
        case "examples":
            return "Weight: its number of training records, which sets its share in every average."
        case "equal":
            return "Weight: equal for all."
        case _:
            return "Weight: its class (1, 2, 4 or 8) by training records, which sets its share."


def left_out_section(recorded: Recorded) -> Section:
    """Return the section on the answers that were not used, with the reasons."""
    found = recorded.summary.quarantined
    rows = [*_not_used_rows(recorded, found), *_absent_rows(recorded)]
    if not found:
        lead = "Nothing: every answer was used." if not rows else _ABSENT_ONLY
    else:
        answers = "answer was" if len(found) == 1 else "answers were"
        went_on = " The run continued without." if recorded.is_finished else ""
        number = words.capitalized_text(words.count_in_words(len(found)))
        lead = f"{number} {answers} not used.{went_on}"
    return Section(
        anchor="left-out",
        title="What was left out, and why?",
        short="What was left out",
        lead=lead,
        blocks=(_left_out_table(recorded, rows),) if rows else (),
    )


def _not_used_rows(recorded: Recorded, found: Sequence[QuarantineRecord]) -> list[_Row]:
    rounds: dict[tuple[str, str, str], dict[int, None]] = {}
    for item in found:
        why = refusal_reason(item.code, item.counts)
        rounds.setdefault((item.site, item.code, why), {})[item.server_round] = None
    last = recorded.rounds_wanted
    return [
        (site, _round_names([*where], last), code, why)
        for (site, code, why), where in rounds.items()
    ]


def _absent_rows(recorded: Recorded) -> list[_Row]:
    """Return the members that are in no round and sent nothing, with the reason.

    If nobody joined, the run ended before it was known who had come.
    """
    if not any(member.present for member in recorded.summary.sites):
        return []
    return [
        (one.site, "all", one.code, f"{one.meaning}.")
        for one in absences_of(recorded.summary)
        if one.code in (NEVER_CAME, LEFT_OUT_BY_NAME) and not one.joined
    ]


def _left_out_table(recorded: Recorded, rows: Sequence[_Row]) -> Block:
    return Table(
        caption="Who was left out, and whose answers were not used",
        columns=(
            Column(words.capitalized_text(recorded.noun)),
            Column("Round"),
            Column("Code"),
            Column("Why"),
        ),
        rows=tuple(rows[:_MOST_ROWS]),
        note="A site sends only the code of a reason and counts, never its text. Details are in "
        "the site's own log.",
    )


def _round_names(where: Sequence[int], last: int) -> str:
    named = [
        "start" if number == 0 else str(number) if number <= last else "final evaluation"
        for number in where
    ]
    shown, more = named[:_MOST_ROUNDS_NAMED], len(named) - _MOST_ROUNDS_NAMED
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")
