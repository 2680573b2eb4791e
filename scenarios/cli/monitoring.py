"""`scenario monitor`: whether the model of a run still fits records of a later period."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.cli.options import WORDS_HELP, parse_data_sources
from consortium.report.monitoring.counted_periods import counted_periods
from consortium.report.monitoring.csv_file import written_periods
from consortium.report.monitoring.rows import (
    HEADINGS,
    missing_sentences,
    period_rows,
)
from consortium.run.directory import RunDirectory
from consortium.wording import formatting as words
from privacy.storage.durable_files import write_atomically
from scenarios.cli.terminal import console, exit_on_refusal, write_report
from scenarios.experiments.monitoring import count_period

app = typer.Typer()


@app.command("monitor")
def monitor(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    *,
    data: Annotated[
        list[str], typer.Option("--data", help="Later records, site=file. " + WORDS_HELP)
    ],
    period: Annotated[
        str, typer.Option(help="The name of the period; the same records are not for two.")
    ] = "later",
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file of all periods to write as well.")
    ] = None,
) -> None:
    """Compare records of a later period with those that a run's model learned from."""
    run = RunDirectory(run_directory)
    found = exit_on_refusal(lambda: count_period(run, period, parse_data_sources(data)))
    for line in missing_sentences(found):
        console.print(line, soft_wrap=True)
    if found.figures is not None:
        title = f"{words.count(found.figures.records)} later records"
        table = Table(*HEADINGS, title=title)
        for row in period_rows(found.figures):
            table.add_row(*row)
        console.print(table)
    if out is not None:
        write_atomically(out, written_periods(counted_periods(run)))
        console.print(f"table: {out}", soft_wrap=True, highlight=False)
    write_report(run)
    console.print(f"report: {run.report}", soft_wrap=True, highlight=False)
