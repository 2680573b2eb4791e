"""`scenario monitor`: whether the model of a run still fits records of a later period."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.cli.options import WORDS_HELP, parse_data_sources
from consortium.run.directory import RunDirectory
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from scenarios.cli.terminal import console, exit_on_refusal
from scenarios.experiments.monitoring import Period, monitored_period
from sites.statistics.drift import Stability

app = typer.Typer()

_HEADINGS = ("what", "before", "now", "stability index", "by chance", "reading")
_SHOWN = ("roc_auc", "brier", "log_loss", "rmse", "r2", "macro_f1")


@app.command("monitor")
def monitor(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    *,
    data: Annotated[
        list[str], typer.Option("--data", help="Later records, site=file. " + WORDS_HELP)
    ],
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write as well.")] = None,
) -> None:
    """Compare records of a later period with those that a run's model learned from."""
    period = exit_on_refusal(
        lambda: monitored_period(RunDirectory(run_directory), parse_data_sources(data))
    )
    rows = list(_rows(period))
    if period.waiting:
        names = words.name_list(period.waiting)
        console.print(f"Too few new records of a class, so not counted: {names}", markup=False)
    if period.absent:
        names = words.name_list(period.absent)
        console.print(
            f"Without {names} the mix of sites is another, which alone can move figures.",
            markup=False,
            soft_wrap=True,
        )
    table = Table(*_HEADINGS, title=f"{words.count(period.records)} later records")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_HEADINGS, *rows])
        console.print(f"table: {out}", soft_wrap=True, highlight=False)


def _rows(period: Period) -> Iterator[tuple[str, ...]]:
    if period.scores is not None:
        yield "scores", "", "", *_drift(period.scores)
    if period.expected is not None and period.observed is not None:
        share = period.observed / period.expected if period.expected else 0.0
        yield (
            "positives: expected, observed",
            words.percent(period.expected),
            words.percent(period.observed),
            "",
            "",
            f"{share:.2f} times as many as predicted",
        )
    for name in _SHOWN:
        if name in period.before and name in period.now:
            values = (words.figure(one[name].value) for one in (period.before, period.now))
            yield meaning_of(name).title, *values, "", "", ""
    for one in sorted(period.columns, key=lambda one: -one.stability.index):
        missing = (words.percent(share) for share in (one.missing_before, one.missing_now))
        yield one.name, *(f"{share} missing" for share in missing), *_drift(one.stability)


def _drift(found: Stability) -> tuple[str, str, str]:
    return f"{found.index:.3f}", f"{found.by_chance:.3f}", found.level
