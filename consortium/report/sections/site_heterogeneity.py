"""Section on how the sites differ in labels and features."""

from collections.abc import Mapping
from typing import Any

from consortium.report.elements.blocks import Block, HeatTable, Paragraph, Section, Shade
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.intervals import Row, draw_rows
from consortium.wording import formatting as words
from privacy.layout import Tally
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel
from sites.schema.texts import EntityLabel, MultiLabel

_MOST_SITES = 24
_MOST_FEATURES = 12
_MOST_CLASSES = 12
_EVERYONE = "all together"


def heterogeneity_section(recorded: Recorded) -> Section | None:
    """Return the section on the sites' differences; None if no statistics were pooled."""
    pooled = recorded.pooled_statistics
    if pooled is None:
        return None
    if not pooled.any():
        return _nothing_counted_section(recorded)
    described = recorded.statistics.describe(pooled)
    several = len(recorded.site_statistics) > 1
    blocks = [
        _label_block(recorded, described),
        *([_features_table(recorded, pooled)] if several else []),
    ]
    withheld = recorded.withheld_sentence(recorded.site_statistics)
    remarks = [Paragraph(withheld, "quiet")] if withheld else []
    return Section(
        anchor="differences",
        title=f"How do the {recorded.nouns} differ?",
        short="How they differ",
        lead=(
            f"{words.count(described['records'])} training records of "
            f"{words.count(described['persons'])} {recorded.people} are in this run. The figures "
            "below come from counts that were added up before training; no record left its "
            f"{recorded.noun}."
        ),
        blocks=(*blocks, *_steps_remark(recorded), *remarks),
    )


def _nothing_counted_section(recorded: Recorded) -> Section:
    """Return the section for private training, where not even records were counted."""
    return Section(
        anchor="differences",
        title=f"How do the {recorded.nouns} differ?",
        short="How they differ",
        lead=(
            "Nothing was counted before training: numbers are scaled by the bounds that the "
            "charter declares. Of the records in training, only private updates left each "
            f"{recorded.noun}, and a weight that says roughly how many they are."
        ),
        blocks=(),
    )


def _steps_remark(recorded: Recorded) -> tuple[Paragraph, ...]:
    """Return how many steps a round took at each site that released its counts, if they differ."""
    counted = {
        name: recorded.statistics.describe(tally)["records"]
        for name, tally in list(recorded.site_statistics.items())[:_MOST_SITES]
    }
    steps = {name: recorded.training.local_steps(n) for name, n in counted.items() if n}
    if len({*steps.values()}) < 2 or not recorded.rounds_wanted:
        return ()
    told = words.name_list([f"{words.count(number)} at {name}" for name, number in steps.items()])
    return (
        Paragraph(
            f"Steps of training in a round, by these counts: {told}. How much a "
            f"{recorded.noun} counts in the average goes by its weight alone.",
            "quiet",
        ),
    )


def _label_block(recorded: Recorded, pooled: Mapping[str, Any]) -> Block:
    """Return the label's distribution over all sites, and at each site that released it."""
    columns = {_EVERYONE: pooled["columns"][recorded.label.column]}
    for name, tally in list(recorded.site_statistics.items())[:_MOST_SITES]:
        described = recorded.statistics.describe(tally)
        columns[name] = described["columns"][recorded.label.column]
    match recorded.label:
        case ClassLabel(binary=True, classes=(_, positive)) | EventTimeLabel(classes=(_, positive)):
            return _positive_shares_plot(recorded, columns, positive)
        case ClassLabel():
            return _class_shares_table(recorded, columns)
        case NumberLabel():
            return _quantiles_plot(recorded, columns)
        case MultiLabel() | EntityLabel():
            return _class_shares_table(recorded, columns)


def _positive_shares_plot(
    recorded: Recorded, columns: Mapping[str, dict[str, Any]], positive: str
) -> Block:
    rows = []
    for name, column in columns.items():
        negatives, positives = column["counts"]
        share = positives / max(negatives + positives, 1)
        rows.append(
            Row(
                label=name,
                text=f"{words.percent(share)} of {words.count(negatives + positives)}",
                value=100 * share,
                low=0,
                high=100 * share,
                role="together" if name == _EVERYONE else "one",
            )
        )
    target = f"{recorded.target} = {positive}"
    return plots.full_width_plot(
        "labels",
        lambda width: draw_rows(rows, "% of training records", width, mark=rows[0].value),
        title=f"How frequent {target} is",
        alt="; ".join(f"{row.label}: {row.text}" for row in rows),
        caption=f"Share of training records with {target}; the axis starts at 0.",
    )


def _class_shares_table(recorded: Recorded, columns: Mapping[str, dict[str, Any]]) -> Block:
    classes, totals = columns[_EVERYONE]["values"], columns[_EVERYONE]["counts"]
    often = sorted(range(len(classes)), key=lambda code: -totals[code])[:_MOST_CLASSES]
    kept = sorted(often)
    rows = []
    for name, column in columns.items():
        counts = column["counts"]
        shares = [counts[code] / max(sum(counts), 1) for code in kept]
        rows.append((name, tuple(Shade(words.percent(share), share) for share in shares)))
    more = f" The {len(kept)} most frequent classes." if len(kept) < len(classes) else ""
    return HeatTable(
        caption=f"How frequent each class of {recorded.target} is",
        corner=recorded.noun,
        columns=tuple(classes[code] for code in kept),
        rows=tuple(rows),
        note=f"Shares of {_shared_out(recorded)}.{more}",
    )


def _shared_out(recorded: Recorded) -> str:
    match recorded.label:
        case EntityLabel():
            return "the entities in training records"
        case MultiLabel():
            return "the labels of training records, which may have several"
        case _:
            return "the training records"


def _quantiles_plot(recorded: Recorded, columns: Mapping[str, dict[str, Any]]) -> Block:
    rows = [
        _quantile_row(name, {item["q"]: item["value"] for item in column["quantiles"]})
        for name, column in columns.items()
        if "quantiles" in column
    ]
    unit = f", {recorded.unit}" if recorded.unit else ""
    return plots.full_width_plot(
        "labels",
        lambda width: draw_rows(rows, recorded.target + unit, width),
        title=f"How {recorded.target} spreads",
        alt="; ".join(f"{row.label}: {row.text}" for row in rows),
        caption="Dot: the median. Thick line: the middle half. Thin line: from the 5th to the 95th "
        "percentile of the training records. From histograms of 32 bins; the axis need not start "
        "at 0.",
    )


def _quantile_row(name: str, quantiles: Mapping[float, float]) -> Row:
    return Row(
        label=name,
        text=f"median {words.amount(quantiles[0.5])}",
        value=quantiles[0.5],
        low=quantiles[0.05],
        high=quantiles[0.95],
        middle=(quantiles[0.25], quantiles[0.75]),
        role="together" if name == _EVERYONE else "one",
    )


def _features_table(recorded: Recorded, pooled: Tally) -> Block:
    """Return a table of the features in which sites differ most from all sites together."""
    apart = {
        site: recorded.statistics.distances(tally, pooled)
        for site, tally in list(recorded.site_statistics.items())[:_MOST_SITES]
    }
    apart = {site: found for site, found in apart.items() if found}
    columns = recorded.statistics.describe(pooled)["columns"]
    features = [name for name in columns if name != recorded.label.column]
    most = {name: max(found[name].total_variation for found in apart.values()) for name in features}
    shown = sorted(features, key=lambda name: -most[name])[:_MOST_FEATURES]
    rows = tuple(
        (
            words.readable_name(name),
            tuple(
                Shade(words.percent(found[name].total_variation), found[name].total_variation)
                for found in apart.values()
            ),
        )
        for name in shown
    )
    most_of = (
        f"The {len(shown)} of {len(features)} features that differ most"
        if len(shown) < len(features)
        else "All features, those that differ most first"
    )
    return HeatTable(
        caption=f"How far each {recorded.noun} is from all together, feature by feature",
        corner="feature",
        columns=tuple(apart),
        rows=rows,
        note=f"{most_of}. The percentage is the share of one {recorded.noun}'s records that would "
        "need another value to match all together (total variation distance): 0 % is no "
        "difference, 100 % is nothing in common. A missing value counts as a value. With few "
        "records, part of the distance is chance.",
    )
