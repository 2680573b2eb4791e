"""The report in short, for a terminal or a mail: the answers of the page, without its pictures."""

from collections.abc import Iterator

from consortium.report.elements.blocks import Block, Facts, Paragraph, Points, Section, Table
from consortium.report.elements.headline import headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.render import Answer, lead_text
from consortium.report.sections.performance import measured_sentence, within_sites_text
from consortium.report.sections.privacy import privacy_section
from consortium.report.sections.rounds import (
    convergence_blocks,
    saturation_section,
    stopped_section,
)
from consortium.report.sections.sites import left_out_section, sites_section
from consortium.report.sections.withheld import withheld_section
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of

# Those that draw nothing: a picture would be drawn for nobody.
_ANSWERS: tuple[Answer, ...] = (
    stopped_section,
    saturation_section,
    sites_section,
    left_out_section,
    withheld_section,
)

_CHANCE = 0.5


def report_text(recorded: Recorded) -> str:
    """Return how good the model is, who took part, who did not and why, and what is withheld."""
    summary, charter = recorded.summary, recorded.charter
    parts = [
        f"{charter.name}, revision {charter.revision}: {summary.status}, {summary.started}",
        "\n".join(line for line in (headline(recorded), lead_text(recorded)) if line),
        "\n".join(_quality_lines(recorded)),
        *("\n".join(_section_lines(one)) for one in _sections(recorded)),
    ]
    return "\n\n".join(part for part in parts if part).replace(words.SPACE, " ")


def _sections(recorded: Recorded) -> Iterator[Section]:
    # What a comparison measured of privacy is drawn; what a run promised is said.
    answers = _ANSWERS if recorded.privacy else (*_ANSWERS[:2], privacy_section, *_ANSWERS[2:])
    return (section for answer in answers if (section := answer(recorded)) is not None)


def _quality_lines(recorded: Recorded) -> Iterator[str]:
    """Yield how good the model is by the pooled evaluation, in the one metric it is judged by."""
    tally = recorded.pooled_evaluation
    if tally is None or not recorded.evaluation.num_examples(tally):
        return
    yield "How well does the shared model do?"
    yield measured_sentence(recorded, tally)
    name = recorded.headline_metric
    found, meaning = recorded.evaluation.metrics(tally).get(name), meaning_of(name)
    if found is None:
        return
    unit = recorded.unit if meaning.in_unit else ""
    error = words.bound(found.error_bound, found.value, unit)
    value = f"{meaning.title} {words.figure(found.value, unit)}"
    yield f"- {value} (error bound: {error}): {meaning.explained}"
    if name == "roc_auc" and found.value <= _CHANCE:
        yield "- That is no better than chance: this model must not be used."
    within = within_sites_text(recorded, tally)
    if within:
        yield f"- {within}"
    if recorded.summary.decision_warning:
        yield f"- {recorded.summary.decision_warning}"
    yield from (f"- {said.text}" for said in convergence_blocks(recorded))


def _section_lines(section: Section) -> Iterator[str]:
    yield section.title
    yield section.lead
    for block in section.blocks:
        yield from _block_lines(block)


def _block_lines(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text=text):
            yield text
        case Points(items=items):
            yield from (f"- {item}" for item in items)
        case Facts(items=facts):
            yield from (f"- {term}: {fact}" for term, fact in facts)
        case Table():
            yield from (_row_line(block, row) for row in block.rows)


def _row_line(table: Table, row: tuple[str, ...]) -> str:
    """Return a row as a line: what it is of, then each cell behind its heading."""
    told = zip(table.columns[1:], row[1:], strict=True)
    cells = [f"{words.title_in_sentence(column.title)} {cell}" for column, cell in told if cell]
    return f"- {row[0]}: {', '.join(cells)}"
