"""Whether a released model still fits: a later period, counted by all sites of a run's directory.

It is the run that institutions make with `consortium monitor`, in this process.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from flwr.app import Context, Message

from consortium.charter.document import Charter
from consortium.client_app import app as client_app
from consortium.config import RunConfig
from consortium.coordinator.later_runs.periods import CannotMonitor, period_config
from consortium.report.monitoring.counted_periods import CountedPeriod, counted_periods
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from consortium.site.periods import declare_period
from privacy.errors import ConsortiumError, unknown_name
from scenarios.engines.in_process import run_in_process
from scenarios.engines.runner import run_in_environment
from sites.data.source import DataSource


def count_period(
    run: RunDirectory, period: str, sources: Mapping[str, DataSource]
) -> CountedPeriod:
    """Declare the records of a later period at the sites of a run, and count them.

    Args:
        run: The finished run of a model of tables, on one machine.
        period: The name of the period.
        sources: Its records by site, with labels; a site without any is not in the count.

    Raises:
        CannotMonitor: There is no such model, the period was counted before, or too few sites have
            enough records.
        ConsortiumError: A site is none of the run's, or it was given the records of another period.
    """
    charter, counting = Charter.read(run.charter), run.period(period)
    config = period_config(run, charter, period)
    if counting.summary.exists() and _summary(counting).status == "finished":
        raise CannotMonitor(f"{period} was counted before: {counting.path}; name another period")
    for name, source in sources.items():
        if name not in charter.names:
            raise CannotMonitor(unknown_name(name, charter.names, kind="site"))
        declare_period(run.site(name), period, source)
    counting.path.mkdir(parents=True, exist_ok=True)
    charter.write(counting.charter)
    try:
        _count_in_process(run, counting, charter, config)
    except ConsortiumError as error:
        if not counting.summary.exists():
            raise
        raise CannotMonitor(_summary(counting).error) from error
    return next(one for one in counted_periods(run) if one.name == period)


def _count_in_process(
    run: RunDirectory, counting: RunDirectory, charter: Charter, config: RunConfig
) -> None:
    apps = {index: _app_in(run.site(name)) for index, name in enumerate(charter.names)}
    with run_in_environment(counting):
        run_in_process(server_app, apps, num_sites=len(apps), run_config=config.flat())


def _app_in(directory: Path) -> Callable[[Message, Context], Message]:
    """Return the app of a site whose directory is that of the run that trained the model."""

    def app(message: Message, context: Context) -> Message:
        context.node_config["site-dir"] = str(directory.resolve())
        return client_app(message, context)

    return app


def _summary(run: RunDirectory) -> Summary:
    return read_record(run.summary, Summary)
