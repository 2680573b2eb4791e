"""The page of a survival analysis: curves, hazard ratios, and what sites alone would find."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from consortium.model.regression_table import p_text, significant
from consortium.report.elements.blocks import (
    Block,
    Column,
    Paragraph,
    Plot,
    Points,
    Section,
    Table,
)
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.intervals import Row
from consortium.report.plots.ratios import draw_ratios
from consortium.report.plots.survival import Curve, draw_survival
from consortium.report.results.meta_analysis import meta_analysis_section, ratio_text
from consortium.report.results.noise import noise_sentences
from consortium.wording import formatting as words
from privacy.errors import number_of

_MOST_CURVES = 6
_MOST_DRAWN = 40
_TICKS = 6
_SMALL_P = 0.05
_ENDS = "records that end in a step of time"
_TIES = {"efron": "Efron", "breslow": "Breslow"}


def survival_sections(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the sections on curves, on hazard ratios, and on single sites' own models."""
    sections = [_curves_section(recorded, found), _ratios_section(recorded, found)]
    alone = meta_analysis_section(recorded, found)
    return tuple(sections if alone is None else [*sections, alone])


def noisy_curve_section(
    recorded: Recorded, noise: Mapping[str, Any], found: Mapping[str, Any]
) -> Section:
    """Return the section on a survival curve from counts with noise.

    Args:
        recorded: The run.
        noise: What results say of the noise of a Table 1.
        found: The life table of these results.
    """
    everybody, *groups = found["curves"]
    told = noise_sentences(recorded, {**noise, "deviation": found["deviation"]}, counted=_ENDS)
    blocks: list[Block] = []
    # Where noise drowns each group, all of them together may still have a curve.
    told_of = [one for one in groups if one["at_risk"][0]] or [everybody]
    if told_of[0]["at_risk"][0]:
        blocks = [_curves_plot(found, told_of[:_MOST_CURVES]), _times_table(found)]
    blocks.append(
        Paragraph(
            "The curve is that of Kaplan and Meier on the declared times, from noisy counts of who "
            "had the event and who was not watched any more: the nearest curve that only falls, "
            "between 0 and 1. It ends where the noise would drown the number of those who are "
            "still watched. Bands and errors are of chance and of noise. The noise of a group is "
            "that of one count, so a small group has a wide band. There is no test of groups.",
            "quiet",
        )
    )
    return Section(
        anchor="survival",
        title="How long until the event?",
        short="Survival curve",
        lead=f"{told} {_median_text(everybody, found)}",
        blocks=tuple(blocks),
    )


def _curves_section(recorded: Recorded, found: Mapping[str, Any]) -> Section:
    everybody, *groups = found["curves"]
    total, events = everybody["at_risk"][0], sum(everybody["events"])
    lead = (
        f"{words.count(events)} of {words.count(total)} training records of "
        f"{words.count_with_noun(found['sites'], recorded.noun)} had the event while they were "
        f"watched. {_median_text(everybody, found)}"
    )
    return Section(
        anchor="survival",
        title="How long until the event?",
        short="Survival curves",
        lead=lead,
        blocks=tuple(_curve_blocks(found, groups or [everybody])),
    )


def _curve_blocks(found: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield _curves_plot(found, told[:_MOST_CURVES])
    if any(len(one["times"]) for one in told):
        yield _times_table(found)
    test = found["log_rank"]
    if test is not None and test["degrees"]:
        pairs = zip(test["groups"], test["observed"], test["expected"], strict=True)
        told_counts = "; ".join(
            f"{name}: {words.count(seen)} events, {expected:.1f} expected"
            for name, seen, expected in pairs
        )
        freedom = number_of(test["degrees"], "degree")
        yield Paragraph(
            f"Log-rank test by {words.readable_name(test['by'])}: chi-square "
            f"{significant(test['chi_square'])} on {freedom} of freedom, p {p_text(test['p'])}. "
            f"{words.capitalized_text(told_counts)}. It compares all records, whichever site they "
            "are of."
        )
    yield Paragraph(
        "The curves are those of Kaplan and Meier on the declared times: the sites counted, for "
        "each step of time, who had the event and who was not watched any more, and the counts "
        "were added up. They equal the curves of all records in one place on these times. A curve "
        f"ends where fewer than {found['floor']} are watched.",
        "quiet",
    )


def _median_text(curve: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if curve["median"] is None:
        return "Fewer than half had it within the declared times."
    return f"Half had it by {_time(curve['median'], found['unit'])}."


def _time(value: float, unit: str) -> str:
    return f"{value:,.10g}" + (f"{words.SPACE}{unit}" if unit else "")


def _shown_steps(curve: Mapping[str, Any], floor: int) -> int:
    """Return the number of steps at whose start enough records are watched."""
    return sum(number >= floor for number in curve["at_risk"])


def _curves_plot(found: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> Plot:
    grid, floor = found["curves"][0]["times"], found["floor"]
    longest = max(1, *(_shown_steps(one, floor) for one in told))
    stride = -(-longest // _TICKS)
    places = sorted({min(place, len(grid)) for place in range(0, longest + stride, stride)})
    ticks = [0.0, *(grid[place - 1] for place in places[1:])]
    curves = [_curve(one, found, places) for one in told]
    named = dict.fromkeys((words.readable_name(found["time"]), found["unit"]))
    axis = (", ".join(name for name in named if name), "without event")
    return plots.full_width_plot(
        "survival",
        lambda width: draw_survival(curves, ticks, axis, width),
        title="Share without the event (Kaplan-Meier)",
        alt="; ".join(
            f"{one['group'] or 'all'}: {words.percent(one['survival'][_horizon(found)])} without "
            f"the event at {_time(found['horizon'], found['unit'])}"
            for one in told
            if _reaches_horizon(one, found)
        ),
        caption="Bands are 95 % intervals. The numbers below the axis are of records still watched "
        f"at that time; few: fewer than {floor}.",
    )


def _horizon(found: Mapping[str, Any]) -> int:
    return int(found["curves"][0]["times"].index(found["horizon"]))


def _reaches_horizon(one: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return bool(one["at_risk"][_horizon(found)] >= found["floor"])


def _curve(one: Mapping[str, Any], found: Mapping[str, Any], places: Sequence[int]) -> Curve:
    shown, floor = _shown_steps(one, found["floor"]), found["floor"]
    # At risk at a tick: watched at the start of the step that begins there.
    beyond = one["withdrawn"][-1]
    numbers = [one["at_risk"][k] if k < len(one["at_risk"]) else beyond for k in places]
    return Curve(
        name=one["group"],
        times=one["times"][:shown],
        values=one["survival"][:shown],
        low=one["low"][:shown],
        high=one["high"][:shown],
        at_risk=[number if number >= floor or number == 0 else None for number in numbers],
    )


def _times_table(found: Mapping[str, Any]) -> Table:
    place, unit = _horizon(found), found["unit"]
    horizon = _time(found["horizon"], unit)
    rows = []
    for one in found["curves"]:
        low, high = (words.percent(one[name][place]) for name in ("low", "high"))
        share = f"{words.percent(one['survival'][place])} ({low} to {high})"
        rows.append(
            (
                one["group"] or "all",
                words.count(one["at_risk"][0]),
                words.count(max(sum(one["events"]), 0)),
                words.DASH if one["median"] is None else _time(one["median"], ""),
                share if _reaches_horizon(one, found) else words.DASH,
                _mean_text(one),
            )
        )
    return Table(
        caption="Time until the event",
        columns=(
            Column("Group"),
            *(
                Column(title, "number")
                for title in (
                    "Records",
                    "Events",
                    f"Median, {unit}".rstrip(", "),
                    f"Without the event at {horizon}",
                    f"Mean time up to {horizon}",
                )
            ),
        ),
        rows=tuple(rows),
        note=f"With 95 % intervals. The mean time without the event within {horizon} is the area "
        f"under the curve. The median is the first declared time by which half had the event; "
        f"{words.DASH}: fewer had, or the curve ends before.",
    )


def _mean_text(curve: Mapping[str, Any]) -> str:
    mean = curve["restricted_mean"]
    if mean is None:
        return words.DASH
    error = 1.959964 * curve["restricted_mean_error"]
    ends = f"{words.figure(mean - error)} to {words.figure(mean + error)}"
    return f"{words.figure(mean)} ({ends})"


def _ratios_section(recorded: Recorded, found: Mapping[str, Any]) -> Section:
    told = [one for one in found["coefficients"] if not one["left_out"]]
    records = found["records"]
    small = sum(one["p"] < _SMALL_P for one in told)
    by_site = found["baseline"] == "by-site"
    kind = (
        f"stratified by {recorded.noun}: as if all records were in one place"
        if by_site
        else "with one baseline hazard on the declared times"
    )
    lead = (
        f"Cox regression on {words.count(records['used'])} training records with "
        f"{words.count(records['events'])} events, {kind}. "
        f"{words.capitalized_text(words.part_in_words(small, len(told), 'inputs'))} have a p-value "
        "below 0.05."
        if told
        else "No input has a coefficient: too few events, or none of them varies."
    )
    return Section(
        anchor="hazard-ratios",
        title="What goes with the event?",
        short="Hazard ratios",
        lead=lead,
        blocks=tuple(_ratio_blocks(recorded, found, told)),
    )


def _ratio_blocks(
    recorded: Recorded, found: Mapping[str, Any], told: Sequence[Mapping[str, Any]]
) -> Iterator[Block]:
    settled = [one for one in told if one["settled"] and one["high"] is not None]
    if settled:
        yield _ratios_plot(settled)
    if told:
        yield Table(
            caption="Cox regression: every input",
            columns=(
                Column("Input"),
                *(
                    Column(title, "number")
                    for title in ("Hazard ratio", "95 % interval", "p", "Coefficient (SE)")
                ),
            ),
            rows=tuple(_ratio_row(one) for one in told),
            note="The hazard ratio of a number is for one unit more, of a value against the first "
            "declared one. Above 1 the event comes earlier. SE: standard error.",
        )
    yield Points("What to know of them", tuple(_notes(recorded, found)))


def _ratio_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"{one['name']} ({one['unit']})" if one["unit"] else one["name"]
    if not one["settled"]:
        return name, "no finite estimate", words.DASH, words.DASH, words.DASH
    ends = " to ".join(ratio_text(one[name]) for name in ("low", "high"))
    error = f"{significant(one['coefficient'])} ({significant(one['standard_error'])})"
    return name, ratio_text(one["hazard_ratio"]), ends, p_text(one["p"]), error


def _ratios_plot(settled: Sequence[Mapping[str, Any]]) -> Plot:
    rows = []
    for one in settled[:_MOST_DRAWN]:
        power = one["deviation"] or 1.0
        value, low, high = (one[name] ** power for name in ("hazard_ratio", "low", "high"))
        rows.append(
            Row(
                label=one["name"],
                text=f"{significant(value)} ({significant(low)} to {significant(high)})",
                value=value,
                low=low,
                high=high,
                role="together" if one["p"] < _SMALL_P else "one",
            )
        )
    return plots.full_width_plot(
        "hazard-ratios",
        lambda width: draw_ratios(rows, "hazard ratio", width, logarithmic=True),
        title="Hazard ratio with its interval",
        alt="; ".join(f"{row.label}: {row.text}" for row in rows),
        caption="A number is shown for one standard deviation more, so that inputs can be "
        "compared; a value of a category against the first declared one. 95 % intervals. Bold: p "
        "below 0.05.",
    )


def _notes(recorded: Recorded, found: Mapping[str, Any]) -> Iterator[str]:
    if found["baseline"] == "by-site":
        yield (
            f"Each {recorded.noun} has a baseline hazard of its own, so records are compared "
            f"within {recorded.nouns} only. Events at the same time: {_TIES[found['ties']]}."
        )
    else:
        yield (
            f"All {recorded.nouns} share one baseline hazard, constant within steps of time that "
            f"have at least {found['floor']} events each."
        )
    left_out = found["records"]["left_out"]
    if left_out:
        yield f"{words.count_with_noun(left_out, 'record')} with a missing value left out."
    gone = [one["name"] for one in found["coefficients"] if one["left_out"]]
    if gone:
        yield f"Left out, as it does not vary or others say the same: {words.name_list(gone)}."
    open_ones = [
        one["name"] for one in found["coefficients"] if not one["left_out"] and not one["settled"]
    ]
    if open_ones:
        yield (
            f"Not settled after {found['exchanges']} exchanges: {words.name_list(open_ones)}. The "
            "event goes along with it without exception, or more rounds are needed "
            "(num-server-rounds)."
        )
    if found["concordance"] is not None:
        yield (
            f"Concordance within {recorded.nouns} on the records that were fitted: "
            f"{words.figure(found['concordance'])}, from "
            f"{words.count(found['pairs']['total'])} pairs."
        )
