"""`scenario describe`: a Table 1 of the records of all sites, from one exchange."""

from collections.abc import Sequence

import typer
from rich.table import Table

from consortium.model.files import read_results
from consortium.report.results.site_columns import site_rows, withheld_in_words
from consortium.report.results.table_one import Row, table_rows
from scenarios.cli.left_out import exit_without, print_absences
from scenarios.cli.run_request import RunRequest
from scenarios.cli.runs import (
    AllowAbsentOption,
    DataOption,
    EngineOption,
    Name,
    OutOption,
    SeedOption,
    SetOption,
    VerboseOption,
)
from scenarios.cli.terminal import console, write_report
from scenarios.engines.site_reports import refused_own_data

app = typer.Typer()

TABLE = "table1.csv"
BY_SITE = "table1-by-site.csv"


@app.command("describe")
def describe(
    name: Name,
    *,
    engine: EngineOption = "inprocess",
    settings: SetOption = None,
    seed: SeedOption = None,
    out: OutOption = None,
    data: DataOption = None,
    allow_absent: AllowAbsentOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Describe the records of all sites together: a Table 1, exact, small counts hidden."""
    chosen = ["learner=describe", *(settings or [])]
    request = RunRequest(
        name, engine=engine, settings=chosen, seed=seed, data=data, verbose=verbose
    )
    directory = request.new_directory(out)
    summary = request.run(directory)
    refused = refused_own_data(directory, summary)
    found = read_results(directory.model)
    _print_table(table_rows(found))
    if "by_site" in found:
        console.print()
        _print_table(site_rows(found))
        console.print(withheld_in_words(found["by_site"]), highlight=False)
    print_absences(directory)
    write_report(directory)
    told = [("report", directory.report), ("table", directory.model / TABLE)]
    if "by_site" in found:
        told.append(("by site", directory.model / BY_SITE))
    for what, path in told:
        console.print(f"{what}: {path}", soft_wrap=True, highlight=False)
    if refused and not allow_absent:
        exit_without(refused)


def _print_table(table: Sequence[Row]) -> None:
    if not table:
        return
    heading, *rows = table
    printed = Table(box=None, pad_edge=False)
    for place, title in enumerate(heading):
        printed.add_column(title, justify="right" if place else "left")
    for row in rows:
        printed.add_row(*row)
    console.print(printed, highlight=False)
