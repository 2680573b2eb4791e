"""The pages of a score card: its table, a curve for each feature, and how it parts the classes."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from consortium.model.score_card_table import (
    HEADINGS,
    bin_text,
    features_by_effect,
    notes_of,
    rows_of,
    scale_sentence,
    signed,
)
from consortium.report.elements.blocks import (
    Block,
    Column,
    Pair,
    Paragraph,
    Plot,
    Points,
    Section,
    Table,
)
from consortium.report.elements.headline import Headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.points import Bar, Parting, draw_parting, draw_points
from consortium.report.results.noise import noise_sentences
from consortium.wording import formatting as words

_MOST_CURVES = 40


def score_card_sections(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the section on a score card."""
    counted = words.count(found["records"]["first"] + found["records"]["second"])
    sites = words.count_with_noun(len(recorded.participants), recorded.noun)
    return (
        Section(
            anchor="score-card",
            title="How many points for what?",
            short="Score card",
            lead=(
                f"A score card from {counted} training records of {sites}, "
                f"{_how_counted(recorded, found)} {scale_sentence(found)}"
            ),
            blocks=tuple(_blocks(recorded, found)),
        ),
    )


def _how_counted(recorded: Recorded, found: Mapping[str, Any]) -> str:
    if "noise" not in found:
        return "by exact counts and sums: as if all were in one place."
    told = noise_sentences(recorded, found["noise"], counted="records of a class in a fine bin")
    return f"by counts and sums with noise. {told}"


def _blocks(recorded: Recorded, found: Mapping[str, Any]) -> Iterator[Block]:
    yield from _worth(recorded)
    yield from _parting_plot(recorded, found)
    curves = [*_curves(found)]
    yield from (Pair(tuple(curves[at : at + 2])) for at in range(0, len(curves), 2))
    yield Table(
        caption="The card: points are added up",
        columns=tuple(
            Column(heading, "number" if place > 1 else "text")
            for place, heading in enumerate(HEADINGS)
        ),
        rows=rows_of(found),
        note=f"Share: of {found['label']} = {found['classes'][1]} among the training records.",
    )
    yield Points("What to know of it", notes_of(found))


def _worth(recorded: Recorded) -> Iterator[Paragraph]:
    """Yield what the card gives up against a trained model, if that was measured."""
    if recorded.comparison is None or (trained := Headline(recorded.comparison).trained) is None:
        return
    verdict, metric = Headline(recorded.comparison), recorded.comparison.metric_title
    sign, found = verdict.sign_against(trained), verdict.difference(trained)
    says = {1: "better, by more than chance", 0: "no worse, beyond chance", -1: "worse"}[sign]
    gap = words.difference(found.value) if found else words.DASH
    spread = f", 95{words.SPACE}% interval {words.interval(found.low, found.high)}" if found else ""
    yield Paragraph(
        f"Beside a model that was trained by gradients on all records in one place, the card is "
        f"{says}: {metric} {words.figure(verdict.together.value)} against "
        f"{words.figure(trained.value)} (difference {gap}{spread}).",
        "warning" if sign < 0 else "plain",
    )


def _curves(found: Mapping[str, Any]) -> Iterator[Plot]:
    features = features_by_effect(found)[:_MOST_CURVES]
    reach = max((abs(one["points"]) for each in features for one in each["bins"]), default=1)
    for place, feature in enumerate(features):
        yield _curve(f"points-{place + 1}", feature, math.ceil(1.1 * reach))


def _curve(name: str, feature: Mapping[str, Any], reach: int) -> Plot:
    bars = tuple(
        Bar(label=bin_text(one), points=one["points"], text=signed(one["points"]))
        for one in feature["bins"]
    )
    unit = f" ({feature['unit']})" if feature["unit"] else ""
    told = "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return plots.half_width_plot(
        name,
        lambda width: draw_points(bars, reach, width),
        title=f"{feature['name']}{unit}",
        alt=f"Points of {feature['name']}: {told}.",
        caption=f"Information value {feature['information_value']:.2f}.",
    )


def _parting_plot(recorded: Recorded, found: Mapping[str, Any]) -> Iterator[Plot]:
    tally = recorded.pooled_evaluation
    if tally is None:
        return
    roc, metrics = recorded.evaluation.curves(tally).get("roc"), recorded.evaluation.metrics(tally)
    if roc is None or "ks" not in metrics:
        return
    threshold = np.clip(roc["threshold"], 1e-300, 1 - 1e-16)
    doublings = np.log2(1 / threshold - 1) - math.log2(found["base_odds"])
    totals = np.clip(
        found["base_points"] + found["pdo"] * doublings, found["fewest"], found["most"]
    )
    shares = (roc["false_positive_rate"], roc["true_positive_rate"])
    first, second = (f"{found['label']} = {one}" for one in found["classes"])
    parting = Parting(
        points=totals.tolist(),
        shares=shares,
        names=(first, second),
        widest=int(np.abs(np.subtract(*shares)).argmax()),
    )
    said = f"KS {words.figure(metrics['ks'].value)}, Gini {words.figure(metrics['gini'].value)}"
    held_out = words.count(recorded.evaluation.num_examples(tally))
    yield plots.full_width_plot(
        "score-card-ks",
        lambda width: draw_parting(parting, width),
        title="How far totals part the classes (KS plot)",
        alt=f"Cumulative shares of both classes by points; {said}.",
        caption=f"{said}, on {held_out} held-out records. KS is the widest gap between the curves.",
    )
