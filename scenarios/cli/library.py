"""`scenario list` and `practice`: what the library of scenarios offers.

They have a file of their own because they load no engine.
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from scenarios.cli.terminal import console, exit_on_refusal
from scenarios.library.registry import SCENARIOS, scenario_named
from scenarios.scenario import Scenario
from sites.learners.plans import AUTOMATIC

app = typer.Typer()


@app.command("list")
def list_(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print them as JSON, for a program to read.")
    ] = False,
) -> None:
    """List the scenarios: their data, their sites, what they learn."""
    if as_json:
        described = [_description_of(scenario) for scenario in SCENARIOS.values()]
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "sites", "what it is"):
        table.add_column(heading)
    for scenario in SCENARIOS.values():
        sites = "\n".join(scenario.sites)
        table.add_row(scenario.name, sites, f"{scenario.title}.\n{scenario.story}\n")
    console.print(table)


def _description_of(scenario: Scenario) -> dict[str, object]:
    config = scenario.config_with({})
    learner = config.learner.name
    return {
        "name": scenario.name,
        "title": scenario.title,
        "story": scenario.story,
        "data": scenario.dataset or _generator_of(scenario),
        "synthetic": scenario.synthetic,
        "sites": list(scenario.sites),
        "task": scenario.task,
        "learner": AUTOMATIC.get(scenario.task, "gradient") if learner == "auto" else learner,
        "metric": scenario.headline.name,
        "mode": config.aggregation,
    }


def _generator_of(scenario: Scenario) -> str:
    """Return the module that makes the records, in `scenarios/data`."""
    made_by = scenario.records
    made_by = made_by.func if isinstance(made_by, partial) else made_by
    return getattr(made_by, "__module__", "").rpartition(".")[2]


@app.command("practice")
def practice(
    name: Annotated[str, typer.Argument(help="A scenario; see `scenario list`.")],
    folder: Annotated[Path, typer.Argument(help="Directory for the files.")],
) -> None:
    """Write a scenario's schema and one file of records a site, to practise with."""
    from scenarios.engines.staging import write_practice_files

    for path in exit_on_refusal(
        lambda: write_practice_files(exit_on_refusal(lambda: scenario_named(name)), folder)
    ):
        console.print(str(path), soft_wrap=True, highlight=False)
