"""Sections on the rounds of a run: the metric, traffic and time, and why a run stopped."""

import statistics

from consortium.report.elements.blocks import Facts, Paragraph, Section
from consortium.report.elements.headline import Headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.rounds import Course, Level, draw_course
from consortium.run.convergence import FEWEST_EVALUATIONS, convergence_sentence, too_few_evaluations
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from consortium.wording.saturation import UNCOUNTED
from sites.schema.tables import Schema
from strategies.coordinator.messaging.events import SumConfirmed

_MOST_LINES = 24


def rounds_section(recorded: Recorded) -> Section | None:
    """Return the section on the headline metric over the rounds; None below two points."""
    drawn = _metric_course(recorded)
    if len(drawn.rounds) < 2:
        return None
    meaning = meaning_of(recorded.headline_metric)
    unit = recorded.unit if meaning.in_unit else ""
    first, last = (words.figure(drawn.values[place], unit) for place in (0, -1))
    done = words.count_with_noun(drawn.rounds[-1], "round")
    # An encrypted run does not evaluate the model before training.
    begun = drawn.rounds[0]
    since = f"after {words.count_with_noun(begun, 'round')}" if begun else "before training"
    lead = f"{meaning.title} went from {first} {since} to {last} after {done}."
    axis = meaning.title + (f", {unit}" if unit else "")
    return Section(
        anchor="course",
        title="How did the model improve, round by round?",
        short="Round by round",
        lead=lead,
        blocks=(
            *convergence_blocks(recorded),
            plots.full_width_plot(
                "course",
                lambda width: draw_course(drawn, axis, width),
                title=f"{meaning.title} on all held-out records, over rounds",
                alt=lead,
                caption=_caption(recorded, drawn, first),
            ),
        ),
    )


def convergence_blocks(recorded: Recorded) -> tuple[Paragraph, ...]:
    """Return whether the model had converged, by its loss; nothing of a run that stopped."""
    found, warning = recorded.summary.convergence, recorded.summary.convergence_warning
    if warning:
        return (Paragraph(warning, "warning"),)
    if not recorded.is_finished or recorded.counts_exactly:
        return ()
    if found is None:
        # An encrypted run does not evaluate the start, and the rule leaves it out in the clear.
        trained = sum(1 for line in recorded.rounds if line.metrics and line.server_round > 1)
        few = trained < FEWEST_EVALUATIONS
        # Where nothing at all is shown, the reason is said elsewhere.
        said = few and (trained or recorded.summary.rounds < FEWEST_EVALUATIONS)
        return (Paragraph(too_few_evaluations(trained)),) if said else ()
    return (Paragraph(convergence_sentence(found)),)


def _metric_course(recorded: Recorded) -> Course:
    name = recorded.headline_metric
    lines = [line for line in recorded.rounds if name in line.metrics]
    found = [line.metrics[name] for line in lines]
    sites = {site: _site_points(recorded, site, name) for site in recorded.charter.names}
    released = [(site, points) for site, points in sites.items() if points]
    return Course(
        rounds=[line.server_round - 1 for line in lines],
        values=[item.value for item in found],
        errors=[item.error_bound for item in found],
        name=f"Together {words.figure(found[-1].value)}" if found else "",
        sites=dict(released[:_MOST_LINES]),
        levels=_comparison_levels(recorded),
    )


def _caption(recorded: Recorded, drawn: Course, first: str) -> str:
    thin = (
        f" Thin grey: the same model on one {recorded.noun}'s held-out records, where released."
        if drawn.sites
        else ""
    )
    outside = (
        f" The value before training, {first}, is outside the picture."
        if drawn.value_limits
        else ""
    )
    return (
        "Each point is the model after that many rounds; the band is the error bound of the pooled "
        f"metric.{thin} The axis does not start at 0.{outside}"
    )


def _site_points(recorded: Recorded, site: str, name: str) -> list[tuple[int, float]]:
    return [
        (line.server_round - 1, line.site_metrics[site][name].value)
        for line in recorded.rounds
        if name in line.site_metrics.get(site, {})
    ]


def _comparison_levels(recorded: Recorded) -> list[Level]:
    if recorded.comparison is None:
        return []
    verdict = Headline(recorded.comparison)
    levels = [
        Level(name=f"Best alone {words.figure(arm.value)}", value=arm.value, role="one")
        for arm in verdict.alone[:1]
    ]
    if verdict.pooled:
        value = verdict.pooled.value
        levels.append(
            Level(name=f"All in one place {words.figure(value)}", value=value, role="all")
        )
    return levels


def saturation_section(recorded: Recorded) -> Section | None:
    """Return the section on values beyond the scale of an encrypted run; None if none were."""
    summary = recorded.summary
    uncounted = (
        recorded.mode.keeps_signed_sums
        and summary.config.get("scale-rule", "doubling") == "doubling"
    )
    warning = UNCOUNTED if uncounted else summary.saturation_warning
    if not warning:
        return None
    return Section(
        anchor="saturation",
        title="Were values cut off by the encryption?",
        short="Values cut off",
        lead=(
            "Under encryption a value travels as a whole number of levels of a scale. What is "
            "beyond the scale is cut off."
        ),
        blocks=(Paragraph(warning, "warning"),),
    )


def cost_section(recorded: Recorded) -> Section | None:
    """Return the section on traffic and time; None before the first completed round."""
    if not recorded.rounds:
        return None
    summary = recorded.summary
    both = summary.bytes_down + summary.bytes_up
    seconds = [line.seconds for line in recorded.rounds]
    answers = sum(line.sites for line in recorded.rounds)
    lead = (
        f"{words.size(both)} were transferred, and {words.duration(summary.seconds)} passed from "
        "the first message to the last."
    )
    items = [
        (f"From the coordinator to the {recorded.nouns}", words.size(summary.bytes_down)),
        (f"From the {recorded.nouns} to the coordinator", words.size(summary.bytes_up)),
        (f"One answer of one {recorded.noun}", words.size(summary.bytes_up / max(answers, 1))),
        *_typical_traffic(recorded),
        *_confirmations(recorded),
        *_trained_part(recorded),
        ("Parameters in an update", words.count(summary.dim)),
        ("A round, typically", words.duration(statistics.median(seconds))),
        ("The longest round", words.duration(max(seconds))),
    ]
    return Section(
        anchor="cost",
        title="What did it cost in traffic and time?",
        short="Traffic and time",
        lead=lead,
        blocks=(Facts(items=tuple(items)),),
    )


def _typical_traffic(recorded: Recorded) -> list[tuple[str, str]]:
    """Return the traffic of a typical training round; the final evaluation is not one."""
    training = [line for line in recorded.rounds if line.bytes_up][: recorded.summary.rounds]
    if not training:
        return []
    down, up = (
        words.size(statistics.median(found))
        for found in zip(*((line.bytes_down, line.bytes_up) for line in training), strict=True)
    )
    return [("In a round, typically", f"{down} down, {up} up")]


def _confirmations(recorded: Recorded) -> list[tuple[str, str]]:
    """Return what the confirmations of sums took; nothing of a run without masks."""
    found = [event for event in recorded.events if event.event == SumConfirmed.kind]
    if not found:
        return []
    sums = words.count_with_noun(len(found), "sum")
    exchanges = words.count_with_noun(sum(one.exchanges for one in found), "exchange")
    down, up = (
        words.size(sum(sizes))
        for sizes in zip(*((one.bytes_down, one.bytes_up) for one in found), strict=True)
    )
    took = f"{exchanges}, {down} down, {up} up"
    slower = sum(len(one.not_awaited) for one in found)
    if slower:
        took += f"; {words.count_with_noun(slower, 'slower answer')} not waited for"
    return [(f"To confirm {sums}", took)]


def _trained_part(recorded: Recorded) -> list[tuple[str, str]]:
    """Return the trained part of the encoder, if the task has one."""
    if isinstance(recorded.charter.table, Schema):
        return []
    return [("Trained part of the encoder", _TRAVELS[str(recorded.summary.config["travels"])])]


_TRAVELS = {
    "lora": "adapters of the attention (LoRA) and the head; the encoder itself is not changed",
    "head": "the head only; the encoder itself is not changed",
    "top-k": "the last layers and the head",
    "full": "all of it",
}


def stopped_section(recorded: Recorded) -> Section | None:
    """Return the section on why a run stopped; None for a finished run."""
    if recorded.is_finished:
        return None
    earlier = recorded.rounds and recorded.last_counted < recorded.rounds[-1].server_round
    kept = (
        "The results so far are in the run directory; the figures below are of the last completed "
        f"round{' in which the model was evaluated' if earlier else ''}."
        if recorded.rounds
        else "No round was completed, so there is no model and there are no figures."
    )
    code, _, text = recorded.summary.error.partition(": ")
    return Section(
        anchor="stopped",
        title="Why did the run stop?",
        short="Why it stopped",
        lead=kept,
        blocks=(Paragraph(words.capitalized_text(text or code), "warning"),),
    )
