"""`consortium monitor` and `consortium site period`: later periods of a model."""

from pathlib import Path

import typer

from consortium.cli.options import COORDINATOR, SITE, WORDS_HELP, parse_one_source
from consortium.cli.run import NAME, WAIT, named_run, start_run
from consortium.coordinator.later_runs.periods import period_config
from consortium.deployment.superlink import SuperLink
from consortium.report.monitoring.own_periods import own_period_lines
from consortium.report.monitoring.rows import period_lines
from consortium.site.periods import declare_period
from consortium.wording.formatting import escape_controls


def monitor(
    directory: Path = COORDINATOR,
    period: str = typer.Option(
        ..., help="The name under which the sites declared their records, such as 2026-03."
    ),
    name: str = NAME,
    wait: bool = WAIT,
) -> None:
    """Count how a later period differs from what a run's model learned from. Nothing is trained.

    Each site counts the records that its operator declared (`consortium site period`). Figures of
    all periods stand in the run's report and in its `periods.csv`.
    """
    superlink, found = SuperLink(directory), named_run(directory, name)
    judged = found.judged_run() or found
    config = period_config(judged, superlink.charter, period)
    start_run(superlink, judged.period(period), config, wait=wait)
    if wait:
        for line in period_lines(judged, period):
            print(escape_controls(line))


def declare_or_list(
    directory: Path = SITE,
    name: str = typer.Argument("", help="The period, such as 2026-03; by default all are listed."),
    data: list[str] = typer.Option(
        [], help=f"The file of its records, or url::query of a database. {WORDS_HELP}"
    ),
) -> None:
    """Declare the records of a later period, or show what the site counted of its periods.

    No record is in two periods, and none in the records that the site trains on. What the site
    counted of its own records is for its operator: it is in no message.
    """
    if name and data:
        declare_period(directory, name, parse_one_source(data))
        print(f"{directory}: {name} is declared, to be counted once for each model")
        return
    if name or data:
        raise typer.BadParameter("name a period and its --data, or neither")
    for line in own_period_lines(directory):
        print(escape_controls(line))
