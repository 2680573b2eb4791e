"""What a site counted of its own later periods, for its operator: nothing of it leaves the site."""

from collections.abc import Iterator
from pathlib import Path

from consortium.model.files import BadModel, TrainedModel, read_model
from consortium.report.monitoring.rows import plain_lines
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.periods import OwnCount, Period, PeriodMemory
from sites.evaluation.contract import evaluation_for, in_bins
from sites.evaluation.groups.columns import EvaluationWithColumns
from sites.evaluation.periods import Counted, PeriodFigures
from sites.evaluation.score_bins import ScoreBins
from sites.plans import Counting
from sites.schema.tables import Schema
from sites.statistics.tables import TableStatistics


def own_period_lines(directory: Path) -> Iterator[str]:
    """Yield what a site declared and counted: its own records beside those of training.

    The records of training are those of all sites, as the model's normalisation has them.

    Raises:
        BadSite: There is no site.
    """
    read_site_config(directory)
    periods = list(_periods(directory))
    if not periods:
        yield "no period is declared"
    for period, counts in periods:
        yield f"{period.name}: {_source_text(period)}"
        if not counts:
            yield "  not counted yet"
        for count in counts:
            yield from _count_lines(directory, count)


def _periods(directory: Path) -> Iterator[tuple[Period, tuple[OwnCount, ...]]]:
    if SiteDirectory(directory).periods.exists():
        with PeriodMemory.at(directory) as memory:
            for period in memory.periods():
                yield period, memory.counts(period.name)


def _source_text(period: Period) -> str:
    path = getattr(period.source, "path", None)
    return str(path) if path is not None else "a query"


def _count_lines(directory: Path, count: OwnCount) -> Iterator[str]:
    try:
        model = read_model(SiteDirectory(directory).model)
    except BadModel:
        model = None
    if model is None or model.task.layout.digest_of(model.vector) != count.model:
        yield f"  counted for the model {count.model[:16]}, which is here no more"
        return
    figures = own_figures(model, count)
    yield f"  {figures.records} records of this site alone"
    for line in plain_lines(figures):
        yield f"  {line}"


def own_figures(model: TrainedModel, count: OwnCount) -> PeriodFigures:
    """Return how a site's own records of a period differ from those that the model learned from.

    Args:
        model: The model that was judged.
        count: What the site counted.
    """
    schema = model.charter.table
    evaluation = in_bins(
        evaluation_for(schema, Counting(columns=True)), ScoreBins(count.score_bins)
    )
    if not isinstance(evaluation, EvaluationWithColumns) or not isinstance(schema, Schema):
        raise BadModel("a model of texts has no periods")
    before = TableStatistics(schema).layout.fitted(model.statistics)
    return PeriodFigures.of(
        schema,
        before=Counted(evaluation=evaluation.base, scores=None, columns=before),
        now=Counted(
            evaluation=evaluation.base,
            scores=evaluation.of_all(count.tally),
            columns=evaluation.of_columns(count.tally),
            unlabelled=evaluation.of_unlabelled(count.tally),
        ),
    )
