"""Section on what a linear model weighs: its coefficients, if the run's directory holds it."""

from consortium.config import RunConfig
from consortium.model.card import Subject
from consortium.model.coefficients import coefficient_table, coefficients_note
from consortium.report.elements.blocks import Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words
from sites.schema.tables import Schema

_MOST_SUMS = 4


def coefficients_section(recorded: Recorded) -> Section | None:
    """Return the section on coefficients; None of an unfinished run, or a model that has none."""
    table, config = recorded.charter.table, RunConfig.parse(recorded.summary.config)
    linear = isinstance(table, Schema) and config.table_model.name != "mlp"
    # What a learner that counts has found stands on pages of its own.
    if not recorded.is_finished or not linear or recorded.learner.contribution.exact:
        return None
    found = recorded.model
    return Section(
        anchor="coefficients",
        title="What does the model weigh?",
        short="What it weighs",
        lead=f"This model is a weighted sum of its inputs. {_NOT_HERE if found is None else _HERE}",
        blocks=()
        if found is None
        else (
            *_tables(found),
            Paragraph(coefficients_note(config, counted=found.counted)),
        ),
    )


_HERE = "These are its coefficients, the largest first."
_NOT_HERE = (
    "It is not among the files that this page is made from: `consortium report` at a site that has "
    "it lists its coefficients."
)


def _tables(found: Subject) -> tuple[Table, ...]:
    shown = [coefficient_table(one) for one in found.linear_sums[:_MOST_SUMS]]
    left = len(found.linear_sums) - len(shown)
    more = f"The card of the model has {words.count_in_words(left)} more." if left else ""
    return tuple(
        Table(
            caption=one.caption,
            columns=tuple(
                Column(heading, "number" if place else "text")
                for place, heading in enumerate(one.headings)
            ),
            rows=one.rows,
            note=more if one is shown[-1] else "",
        )
        for one in shown
    )
