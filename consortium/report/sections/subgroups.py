"""Section on groups: whether the model does as well for each as for all others."""

from collections.abc import Sequence
from typing import Any

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from privacy.layout import Tally
from sites.evaluation.groups.gaps import GroupGap, group_gaps
from sites.evaluation.groups.subgroups import (
    SMALLEST_GROUP,
    GroupedEvaluation,
    Subgroup,
    shown_groups,
)


def subgroups_section(recorded: Recorded) -> Section | None:
    """Return the section on groups; None if the run declared none, or nothing was counted."""
    evaluation, tally = recorded.grouped_evaluation, recorded.evaluation_by_group
    if not isinstance(evaluation, GroupedEvaluation) or tally is None:
        return None
    shown = shown_groups(evaluation, tally, fewest=SMALLEST_GROUP)
    gaps = {group: group_gaps(evaluation, tally, group) for group in shown}
    hidden = [group for group in evaluation.groups if group not in gaps]
    return Section(
        anchor="subgroups",
        title="Does it work alike for all groups?",
        short="Groups",
        lead=_lead(gaps, recorded.headline_metric),
        blocks=(
            *_tables(evaluation, tally, gaps),
            *([Paragraph(_hidden_text(hidden), "quiet")] if hidden else []),
            *([Paragraph(_NOTE, "quiet")] if shown else []),
        ),
    )


_NOTE = (
    "Every metric is that of the pooled records of the group. A gap is the group's value less that "
    "of all other held-out records, with its 95 % interval where one is known: by Newcombe's "
    "method for shares, by Hanley and McNeil's for AUC and Gini. With many groups and metrics some "
    "intervals are without zero by chance: one in twenty."
)


def _lead(gaps: dict[Subgroup, tuple[GroupGap, ...]], metric: str) -> str:
    told = [one for found in gaps.values() for one in found if one.metric == metric]
    title = words.title_in_sentence(meaning_of(metric).title)
    if not told:
        return f"No group is large enough to tell its {title}."
    clear = [one for one in told if one.interval and not one.interval[0] <= 0 <= one.interval[1]]
    if not clear:
        return f"For no group does the {title} clearly differ from that of all others."
    worst = max(clear, key=lambda one: abs(one.gap))
    way = "higher" if worst.gap > 0 else "lower"
    return (
        f"The {title} of {worst.group.name} is {words.figure(abs(worst.gap))} {way} than that of "
        "all others."
    )


def _tables(
    evaluation: GroupedEvaluation[Any], tally: Tally, gaps: dict[Subgroup, tuple[GroupGap, ...]]
) -> Sequence[Block]:
    blocks = []
    for column in dict.fromkeys(group.column for group in gaps):
        rows = [
            (
                words.readable_name(group.value) if place == 0 else "",
                words.count(evaluation.base.num_examples(evaluation.of_group(group, tally)))
                if place == 0
                else "",
                meaning_of(one.metric).title,
                words.figure(one.value),
                words.difference(one.gap),
                words.DASH if one.interval is None else words.interval(*one.interval),
            )
            for group, found in gaps.items()
            if group.column == column
            for place, one in enumerate(found)
        ]
        blocks.append(
            Table(
                caption=f"Groups of {column}",
                columns=(
                    Column(words.readable_name(column)),
                    Column("records", "number"),
                    Column("metric"),
                    Column("value", "number"),
                    Column("gap to all others", "number"),
                    Column("95 % interval", "number"),
                ),
                rows=tuple(rows),
            )
        )
    return blocks


def _hidden_text(hidden: Sequence[Subgroup]) -> str:
    names = words.name_list([group.name for group in hidden])
    return (
        f"Not shown: {names}. A group is shown if it has {SMALLEST_GROUP} held-out records of each "
        "class or more, and if what is left of its column has as many."
    )
