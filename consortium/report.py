"""The report: one page that a clinician or a risk officer can read, made from a run directory."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consortium import report_words as words
from consortium.report_annex import identity, protection, settings
from consortium.report_blocks import KeyFigure, Section
from consortium.report_differences import differences
from consortium.report_liars import liars
from consortium.report_metrics import meaning_of
from consortium.report_model import model
from consortium.report_privacy import privacy
from consortium.report_record import Recorded
from consortium.report_rounds import cost, course, stopped
from consortium.report_sealed import coordinator_saw
from consortium.report_sites import left_out, sites
from consortium.report_verdict import Verdict, headline
from consortium.report_worth import own_gains, own_records, worth
from consortium.run_directory import RunDirectory
from consortium.summary import write_atomically

PLOTS = "plots"

Answer: TypeAlias = Callable[[Recorded], Section | None]

ANSWERS: tuple[Answer, ...] = (
    stopped,
    worth,
    own_records,
    privacy,
    model,
    course,
    differences,
    sites,
    left_out,
    cost,
    liars,
    coordinator_saw,
    protection,
    settings,
    identity,
)


def render(run: RunDirectory) -> Path:
    """Write `report.html` and the pictures in `plots/`; return the report's path.

    Guarantee: a function of what was recorded alone, so the same run directory gives the same
    bytes. The page is one file that asks for nothing: no script, no network, no other file; it
    shows a figure of a single site only if the run recorded it as released; only how far a
    site's update lay from the aggregate of a run in the clear, a liar cannot withhold.

    Args:
        run: The directory of a run, finished or failed, compared or not.

    Raises:
        BadRunDirectory: A recorded file is absent or does not hold what it should.
        BadCharter: The charter is absent, or is none.
    """
    recorded = Recorded.read(run)
    sections = [section for answer in ANSWERS if (section := answer(recorded)) is not None]
    folder = run.path / PLOTS
    folder.mkdir(exist_ok=True)
    for section in sections:
        for plot in section.plots:
            write_atomically(folder / f"{plot.name}.svg", plot.wide)
    write_atomically(run.report, _page(recorded, sections))
    return run.report


def _page(recorded: Recorded, sections: Sequence[Section]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("report.html.j2").render(
        name=recorded.charter.name,
        started=recorded.summary.started.replace("T", " ").replace("+00:00", " UTC"),
        finished=recorded.finished,
        status=recorded.summary.status.capitalize(),
        headline=headline(recorded),
        lead=_lead(recorded),
        key_figures=_key_figures(recorded),
        sections=sections,
    )


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _lead(recorded: Recorded) -> str:
    if not recorded.finished:
        return ""
    if recorded.comparison is None:
        return (
            "Whether that is better than what each of them could do alone was not measured in "
            "this run."
        )
    verdict = Verdict(recorded.comparison)
    measured = (
        f"All models were measured on the same {words.count(recorded.comparison.held_out)} records "
        f"of {recorded.people} from all {recorded.nouns}, held out from training."
    )
    return f"{measured} {own_gains(recorded, verdict)}" if verdict.own else measured


def _key_figures(recorded: Recorded) -> list[KeyFigure]:
    summary, tally = recorded.summary, recorded.pooled
    figures = []
    if tally is not None:
        name = recorded.headline_metric
        found = recorded.evaluation.metrics(tally).get(name)
        unit = recorded.unit if meaning_of(name).in_unit else ""
        held = recorded.evaluation.examples(tally)
        if found:
            figures.append(KeyFigure(words.figure(found.value, unit), meaning_of(name).title))
        figures.append(KeyFigure(words.count(held), "held-out records"))
    present = sum(member.present for member in summary.sites)
    figures.append(KeyFigure(f"{present} of {len(summary.sites)}", f"{recorded.nouns} took part"))
    figures.append(KeyFigure(f"{summary.rounds} of {recorded.rounds_wanted}", "rounds completed"))
    figures.append(KeyFigure(words.size(summary.bytes_down + summary.bytes_up), "travelled"))
    figures.append(KeyFigure(words.duration(summary.seconds), "from start to end"))
    return figures
