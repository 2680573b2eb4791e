"""The pages of boosted trees: what they split on, and how the loss fell."""

from collections.abc import Mapping, Sequence
from typing import Any

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.boosting import draw_losses
from consortium.report.plots.intervals import Row, draw_rows
from consortium.report.results.noise import noise_sentences
from consortium.wording import formatting as words

_MOST_DRAWN = 12


def boosted_tree_sections(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the sections on a model of boosted trees."""
    used = [one for one in found["importance"] if one["splits"]]
    return (_importance(recorded, found, used), *_course(recorded, found))


def _importance(
    recorded: Recorded, found: Mapping[str, Any], used: Sequence[Mapping[str, Any]]
) -> Section:
    return Section(
        anchor="trees",
        title="What do the trees split on?",
        short="What trees split on",
        lead=_lead(recorded, found, used),
        blocks=_importance_blocks(used) if used else (),
    )


def _lead(recorded: Recorded, found: Mapping[str, Any], used: Sequence[Mapping[str, Any]]) -> str:
    trees = words.count_with_noun(found["trees"], "tree")
    model = f"The model is the sum of {trees} of depth {found['depth']}, "
    if "noise" in found:
        told = noise_sentences(recorded, found["noise"], counted="records in a bin of a node")
        model += f"grown on sums with noise over all {recorded.nouns}. {told}"
    else:
        model += (
            f"grown on exact sums over all {recorded.nouns}: the trees are those that all records "
            "in one place would give."
        )
    if not used:
        return f"{model} No split was worth making."
    names = words.name_list([str(one["feature"]) for one in used[:3]])
    return f"{model} They gain most by splits on {names}."


def _importance_blocks(used: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    total = sum(one["gain"] for one in used)
    shares = [(str(one["feature"]), one["gain"] / total, int(one["splits"])) for one in used]
    rows = [
        Row(label=name, text=words.percent(share), value=share, low=0.0, high=share)
        for name, share, _ in shares[:_MOST_DRAWN]
    ]
    told = ", ".join(f"{name} {words.percent(share)}" for name, share, _ in shares[:_MOST_DRAWN])
    return (
        plots.full_width_plot(
            "gain",
            lambda width: draw_rows(rows, "share of the gain", width),
            title="Share of the gain, by feature",
            alt=told,
            caption="The gain of a split is by how much it lowers the loss of the training "
            "records. A feature for which others can stand in may gain little. Gain is not cause.",
        ),
        Table(
            caption="Every feature that a tree splits on",
            columns=(
                Column("Feature"),
                Column("Share of the gain", "number"),
                Column("Splits", "number"),
            ),
            rows=tuple(
                (name, words.percent(share), words.count(splits)) for name, share, splits in shares
            ),
        ),
    )


def _course(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    losses, name = found["loss"], str(found["loss-name"])
    if len(losses) < 2:
        return ()
    first, last = words.figure(losses[0]), words.figure(losses[-1])
    lead = (
        f"With no tree, {name} is {first} on the training records of all {recorded.nouns}; with "
        f"{words.count_with_noun(len(losses) - 1, 'tree')} it is {last}."
    )
    return (
        Section(
            anchor="trees-loss",
            title="How did the loss fall, tree by tree?",
            short="Tree by tree",
            lead=lead,
            blocks=(
                plots.full_width_plot(
                    "loss-by-tree",
                    lambda width: draw_losses(losses, words.capitalized_text(name), width),
                    title=f"{words.capitalized_text(name)}, by the number of trees",
                    alt=lead,
                    caption="On training records. It falls with every tree, also where further "
                    "trees no longer help with new records.",
                ),
                Paragraph(
                    "model/xgboost.json holds the same trees: `xgboost.Booster` loads it, and "
                    "needs none of this program.",
                    "quiet",
                ),
            ),
        ),
    )
