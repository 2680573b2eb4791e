"""Section on what a report does not show, and why."""

from collections.abc import Iterator

from consortium.report.elements.blocks import Points, Section
from consortium.report.elements.run_reader import Recorded


def withheld_section(recorded: Recorded) -> Section | None:
    """Return the section on what is not shown; None if nothing is withheld."""
    items = tuple(_withheld_items(recorded))
    if not items:
        return None
    return Section(
        anchor="withheld",
        title="What is not shown here, and why?",
        short="What is not shown",
        lead="What is missing here is not zero: whoever made this page was not given it.",
        blocks=(Points("Not shown", items),),
    )


def _withheld_items(recorded: Recorded) -> Iterator[str]:
    noun, nouns = recorded.noun, recorded.nouns
    if recorded.summary.withheld:
        yield f"Figures of the model, pooled over the {nouns}: {recorded.summary.withheld}."
    if not recorded.rounds:
        return
    if recorded.mode.coordinator_reads:
        shown = recorded.site_evaluation
        withheld = (
            recorded.withheld_sentence(shown) if recorded.pooled_evaluation is not None else ""
        )
        yield from [withheld] if withheld else []
        return
    yield f"Figures of a single {noun}. {recorded.mode.why_hidden(noun)}"
    yield f"Counts of the training records. The {nouns} pool them sealed, if they count any."
    yield (
        f"The model. It is at the {nouns}, and the coordinator of an encrypted run never has it. "
        f"Each {noun} reads what its own copy is made of with `consortium report SITE`."
    )
