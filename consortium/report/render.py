"""Render the report: one page for a clinician or a risk officer, made from a run's directory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from consortium.report.elements.blocks import KeyFigure, Section
from consortium.report.elements.headline import Headline, flagged_key_figure, headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.monitoring.counted_periods import counted_periods
from consortium.report.monitoring.csv_file import written_periods
from consortium.report.monitoring.section import periods_section
from consortium.report.results.registry import result_sections
from consortium.report.sections.appendix import (
    identity_section,
    protection_section,
    settings_section,
)
from consortium.report.sections.coefficients import coefficients_section
from consortium.report.sections.comparison import (
    comparison_section,
    own_gains_sentence,
    own_records_section,
)
from consortium.report.sections.coordinator_view import coordinator_section
from consortium.report.sections.decisions import decisions_section
from consortium.report.sections.performance import performance_section
from consortium.report.sections.privacy import privacy_section
from consortium.report.sections.robustness import robustness_section
from consortium.report.sections.rounds import (
    cost_section,
    rounds_section,
    saturation_section,
    stopped_section,
)
from consortium.report.sections.site_heterogeneity import heterogeneity_section
from consortium.report.sections.sites import absent_sentence, left_out_section, sites_section
from consortium.report.sections.subgroups import subgroups_section
from consortium.report.sections.withheld import withheld_section
from consortium.run.directory import RunDirectory
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from consortium.wording.pages import render_page
from privacy.storage.durable_files import write_atomically

PLOTS = "plots"

Answer: TypeAlias = Callable[[Recorded], Section | None]

ANSWERS: tuple[Answer, ...] = (
    stopped_section,
    comparison_section,
    own_records_section,
    privacy_section,
    performance_section,
    decisions_section,
    subgroups_section,
    coefficients_section,
    rounds_section,
    saturation_section,
    heterogeneity_section,
    sites_section,
    left_out_section,
    withheld_section,
    cost_section,
    robustness_section,
    coordinator_section,
    protection_section,
    settings_section,
    identity_section,
)


def render_report(run: RunDirectory) -> Path:
    """Write `report.html` and the plots in `plots/`; return the path of the report.

    Guarantee: the report depends on the recorded files alone, so the same run directory gives the
    same bytes. The page is one file without scripts that loads nothing else. It shows a figure of
    a single site only if the run recorded it as released. The one exception is the distance of a
    site's update to the aggregate in a run in the clear, which a malicious site cannot withhold.

    Args:
        run: The directory of a run, finished or failed, with or without a comparison.

    Raises:
        BadRunDirectory: A recorded file is missing or invalid.
        BadCharter: The charter is missing or invalid.
    """
    recorded = Recorded.read(run)
    answers = [section for answer in ANSWERS if (section := answer(recorded)) is not None]
    periods = counted_periods(run)
    later = periods_section(periods)
    sections = [*result_sections(recorded), *([later] if later else []), *answers]
    if periods:
        write_atomically(run.drift, written_periods(periods))
    folder = run.path / PLOTS
    folder.mkdir(exist_ok=True)
    for section in sections:
        for plot in section.plots:
            write_atomically(folder / f"{plot.name}.svg", plot.wide)
    write_atomically(run.report, _report_page(recorded, sections))
    return run.report


def _report_page(recorded: Recorded, sections: Sequence[Section]) -> str:
    return render_page(
        "report.html.j2",
        name=recorded.charter.name,
        started=recorded.summary.started.replace("T", " ").replace("+00:00", " UTC"),
        finished=recorded.is_finished,
        status=recorded.summary.status.capitalize(),
        headline=headline(recorded),
        lead=lead_text(recorded),
        key_figures=_key_figures(recorded),
        sections=sections,
    )


def lead_text(recorded: Recorded) -> str:
    """Return what stands below the headline: what is made up, who is missing, what was compared."""
    said = [recorded.synthetic_sentence, absent_sentence(recorded), _comparison_text(recorded)]
    return " ".join(text for text in said if text)


def _comparison_text(recorded: Recorded) -> str:
    if not recorded.is_finished:
        return ""
    if recorded.comparison is None:
        if not recorded.learner.predicts:
            return ""
        return (
            "This run did not measure whether that is better than what each of them could do alone."
        )
    verdict = Headline(recorded.comparison)
    measured = (
        f"All models were measured on the same {words.count(recorded.comparison.held_out)} records "
        f"of {recorded.people} from all {recorded.nouns} of the run, held out from training."
    )
    return (
        f"{measured} {own_gains_sentence(recorded, verdict)}" if verdict.own_records else measured
    )


def _key_figures(recorded: Recorded) -> list[KeyFigure]:
    summary, tally = recorded.summary, recorded.pooled_evaluation
    figures = []
    if tally is not None and recorded.learner.predicts:
        name = recorded.headline_metric
        found = recorded.evaluation.metrics(tally).get(name)
        unit = recorded.unit if meaning_of(name).in_unit else ""
        held = recorded.evaluation.num_examples(tally)
        if recorded.is_finished and (flagged := flagged_key_figure(recorded)):
            figures.append(flagged)
        if found:
            figures.append(KeyFigure(words.figure(found.value, unit), meaning_of(name).title))
        if held or not summary.withheld:
            figures.append(KeyFigure(words.count(held), "held-out records"))
        else:
            figures.append(KeyFigure("withheld", "figures of held-out records"))
    took_part = f"{len(recorded.participants)} of {len(summary.sites)}"
    figures.append(KeyFigure(took_part, f"{recorded.nouns} took part"))
    figures.append(KeyFigure(f"{summary.rounds} of {recorded.rounds_wanted}", "rounds completed"))
    figures.append(KeyFigure(words.size(summary.bytes_down + summary.bytes_up), "transferred"))
    figures.append(KeyFigure(words.duration(summary.seconds), "from start to end"))
    return figures
