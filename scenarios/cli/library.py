"""`scenario list` and `practice`: what the library of scenarios offers."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from scenarios.cli.terminal import console, guarded
from scenarios.library.registry import SCENARIOS, scenario_named

app = typer.Typer()


@app.command("list")
def list_() -> None:
    """Show what can be run: data, sites, what is learnt."""
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "sites", "what it is"):
        table.add_column(heading)
    for scenario in SCENARIOS.values():
        sites = "\n".join(scenario.sites)
        table.add_row(scenario.name, sites, f"{scenario.title}.\n{scenario.story}\n")
    console.print(table)


@app.command("practice")
def practice(
    name: Annotated[str, typer.Argument(help="A scenario; see `scenario list`.")],
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
) -> None:
    """Write what a scenario's institutions would bring: a schema, and a file of records each."""
    from scenarios.engines.staging import write_practice

    for path in guarded(lambda: write_practice(guarded(lambda: scenario_named(name)), folder)):
        console.print(str(path), soft_wrap=True, highlight=False)
