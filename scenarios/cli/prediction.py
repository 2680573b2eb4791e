"""`scenario predict`: score a table with the model of a finished run.

It has a file of its own because it loads torch.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from consortium.charter.document import Charter
from consortium.cli.options import WORDS_HELP, parse_one_source
from consortium.run.directory import RunDirectory
from privacy.errors import number_of
from scenarios.cli.terminal import console, errors, exit_on_refusal
from scenarios.experiments.prediction import predictions
from sites.data.guesses import notice_of_thousands

app = typer.Typer()


@app.command("predict")
def predict(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    file: Annotated[str, typer.Argument(help="A table, or url::query.")],
    *,
    data: Annotated[list[str] | None, typer.Option("--data", help=WORDS_HELP)] = None,
    site: Annotated[
        str,
        typer.Option(
            "--site", help="Take the model that this site made for itself out of the shared one."
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write; by default the terminal.")
    ] = None,
) -> None:
    """Score your own table with the model of a run."""
    run = RunDirectory(run_directory)
    source = exit_on_refusal(lambda: parse_one_source([file, *(data or [])]))
    frame = exit_on_refusal(lambda: predictions(run, source, site=site))
    thousands = notice_of_thousands(source, Charter.read(run.charter).table)
    if thousands:
        errors.print(f"NOTICE: {thousands}", soft_wrap=True, highlight=False)
    if out is None:
        frame.to_csv(sys.stdout, index=False)
        return
    frame.to_csv(out, index=False)
    console.print(f"{number_of(len(frame), 'row')} scored: {out}", soft_wrap=True, highlight=False)
