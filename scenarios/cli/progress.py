"""Progress of a run, read from its files whichever process writes them.

`show_progress` shows it on the terminal, and `scenario watch` on a page.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from consortium.cli.options import PORT, announce_page
from consortium.run.event_reader import EventReader, tracker_failure_text
from privacy.errors import number_of
from scenarios.cli.terminal import exit_on_refusal

app = typer.Typer()

_POLL_EVERY_S = 0.1


@app.command("watch")
def watch(
    run_directory: Annotated[
        Path, typer.Argument(metavar="RUN", help="The directory of a run, at work or ended.")
    ],
    port: int = PORT,
) -> None:
    """Show a run on a page of this machine while it goes on; Ctrl-C ends it."""
    from consortium.report.watch.server import serve_run  # a run needs no server

    exit_on_refusal(lambda: serve_run(run_directory, port=port, tell=announce_page))


@contextmanager
def show_progress(
    events: Path,
    *,
    rounds: int,
    metric: str,
    console: Console,
    log_of: Callable[[str], Path | None] = lambda _site: None,
    evaluated_every: int = 1,
) -> Iterator[None]:
    """Show the progress of a run while the body runs it.

    On a terminal this is one live line; elsewhere one plain line for each model that is evaluated.

    Args:
        events: The file to which the run appends its events.
        rounds: Number of rounds of the run.
        metric: Name of the metric to show.
        console: Where to show it.
        log_of: Returns the log of a site that is left out, if there is one.
        evaluated_every: After how many rounds the model is evaluated.
    """
    kind = _Live if console.is_terminal else _Plain
    view = kind(console, rounds, metric)
    view.log_of, view.evaluated_every = log_of, evaluated_every
    done = threading.Event()
    watcher = threading.Thread(target=_follow_events, args=(events, view, done), daemon=True)
    with view:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _follow_events(events: Path, view: "_Plain", done: threading.Event) -> None:
    reader = EventReader(events)
    while True:
        last = done.is_set()  # asked before reading, so that the final events are still shown
        for event in reader.new_events():
            view.show_event(event)
        if last:
            return
        time.sleep(_POLL_EVERY_S)


class _Plain:
    """One line a round, for logs and pipes."""

    def __init__(self, console: Console, rounds: int, metric: str) -> None:
        self.console = console
        self.rounds = rounds
        self.metric = metric
        self.log_of: Callable[[str], Path | None] = lambda _site: None
        self.evaluated_every = 1
        self._left_out = set[str]()

    def __enter__(self) -> "_Plain":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show_event(self, event: dict[str, Any]) -> None:
        """Show one event."""
        match event:
            case {"event": "sites-joined", "sites": sites, "absent": absent}:
                missing = f", absent: {', '.join(absent)}" if absent else ""
                self.print_line(
                    f"{number_of(len(sites), 'site')} joined: {', '.join(sites)}{missing}"
                )
            case {"event": "site-quarantined"}:
                self.leave_out(event)
            case {"event": "bucket-refused", "bucket": bucket, "sites": sites}:
                self.print_line(f"the sum of bucket {bucket} was refused: {', '.join(sites)}")
            case {"event": "round-started", "server_round": turn, "cohort": cohort}:
                self.start_round(int(turn), len(cohort))
            case {"event": "site-answered" | "site-unchanged"}:
                self.count_answer()
            case {"event": "tracker-failed", "tracker": tracker, "why": why}:
                self.print_line(tracker_failure_text(tracker, why))
            case {"event": "round-finished", "server_round": turn, "metrics": metrics}:
                self.finish_round(int(turn), metrics)

    def print_line(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def leave_out(self, event: dict[str, Any]) -> None:
        """Print whom a round goes on without, and why; the same is not said in every round."""
        site = event["site"]
        what = f"{site} left out ({event['code']}{_format_counts(event)})"
        if what in self._left_out:
            return
        self._left_out.add(what)
        log = self.log_of(site)
        self.print_line(f"round {event['server_round']}: {what}" + (f"; see {log}" if log else ""))

    def start_round(self, turn: int, cohort: int) -> None:
        """Print nothing: that a round began is not worth a line."""

    def count_answer(self) -> None:
        """Print nothing: that a site replied is not worth a line."""

    def finish_round(self, turn: int, metrics: dict[str, Any]) -> None:
        """Print the metrics of the model that the round started from."""
        # The final evaluation comes as one round more; an encrypted run leaves out its start.
        before, figures = turn - 1, self.figures(metrics)
        if before % self.evaluated_every and before < self.rounds:
            return  # nobody asked for figures of this model
        if before:
            self.print_line(f"round {before}/{self.rounds}  {figures or 'no figures'}")
        elif figures:
            self.print_line(f"before training  {figures}")

    def figures(self, metrics: dict[str, Any]) -> str:
        """Return the metrics to show, as a short text."""
        names = dict.fromkeys((self.metric, "log_loss", "rmse"))
        return "  ".join(
            f"{name} {metrics[name]['value']:.4f}" for name in names if name in metrics
        )


class _Live(_Plain):
    """One live line: round, sites that replied, metric, time left."""

    def __init__(self, console: Console, rounds: int, metric: str) -> None:
        super().__init__(console, rounds, metric)
        self.bar = Progress(
            TextColumn("round {task.fields[turn]}/{task.total}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[sites]} sites"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.line: TaskID = self.bar.add_task("", total=rounds, turn=0, sites="0/0", figures="")
        self._told = ""
        self.cohort = 0
        self.here = 0

    def __enter__(self) -> "_Live":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def print_line(self, text: str) -> None:
        """Print a line above the live one."""
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def start_round(self, turn: int, cohort: int) -> None:
        """Show the round that began."""
        self.cohort, self.here = cohort, 0
        self.bar.update(self.line, turn=min(turn, self.rounds), sites=f"0/{cohort}")

    def count_answer(self) -> None:
        """Count one more site that replied."""
        self.here += 1
        # In a buffered run a site answers in a later round than it was asked in.
        self.cohort = max(self.cohort, self.here)
        self.bar.update(self.line, sites=f"{self.here}/{self.cohort}")

    def finish_round(self, turn: int, metrics: dict[str, Any]) -> None:
        """Show the metrics of the model that the round started from."""
        # Those of the last model that was evaluated stay.
        self._told = self.figures(metrics) or self._told
        self.bar.update(self.line, completed=min(turn, self.rounds), figures=self._told)


def _format_counts(event: dict[str, Any]) -> str:
    counts = event.get("counts") or {}
    return "".join(f", {name} {value}" for name, value in counts.items())
