"""`scenario describe`: a Table 1 of the records of all sites, from one exchange."""

import typer
from rich.table import Table

from consortium.model.files import read_results
from consortium.report.results.table_one import table_rows
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
    heading, *rows = table_rows(found)
    table = Table(box=None, pad_edge=False)
    for place, title in enumerate(heading):
        table.add_column(title, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False)
    print_absences(directory)
    write_report(directory)
    for what, path in (("report", directory.report), ("table", directory.model / TABLE)):
        console.print(f"{what}: {path}", soft_wrap=True, highlight=False)
    if refused and not allow_absent:
        exit_without(refused)
