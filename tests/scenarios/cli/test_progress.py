"""Events as they are written by another process, shown as they come."""

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from scenarios.cli.progress import shown

JOINED = {"event": "sites-joined", "sites": ["east", "west"], "absent": []}
STARTED = {"event": "round-started", "server_round": 1, "cohort": ["east", "west"]}
ANSWERED = {"event": "site-answered", "server_round": 1, "site": "east"}


def finished(turn: int, **metrics: float) -> dict[str, Any]:
    told = {name: {"value": value, "error_bound": 0.0} for name, value in metrics.items()}
    return {"event": "round-finished", "server_round": turn, "metrics": told}


def quarantined(**counts: int) -> dict[str, Any]:
    event = {"event": "site-quarantined", "server_round": 1, "site": "west", "code": "silent"}
    return {**event, "counts": counts}


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def told(folder: Path, *events: dict[str, Any], terminal: bool = False) -> str:
    screen, path = console(terminal=terminal), folder / "events.jsonl"
    with shown(path, rounds=2, metric="roc_auc", console=screen):
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return printed(screen)


def test_where_there_is_no_terminal_every_round_is_a_plain_line(tmp_path: Path) -> None:
    text = told(
        tmp_path,
        JOINED,
        STARTED,
        ANSWERED,
        finished(1, roc_auc=0.75, log_loss=0.5, brier=0.1),
        finished(2, roc_auc=0.8125),
    )
    assert text.splitlines() == [
        "2 sites joined: east, west",
        "round 1/2  roc_auc 0.7500  log_loss 0.5000",
        "round 2/2  roc_auc 0.8125",
    ]
    assert "\x1b" not in text


def test_the_final_evaluation_is_no_round_more(tmp_path: Path) -> None:
    assert told(tmp_path, finished(3, roc_auc=0.9)).startswith("round 2/2")


def test_who_is_missing_and_who_was_left_out_is_said_with_the_reason(tmp_path: Path) -> None:
    absent = {**JOINED, "sites": ["east"], "absent": ["west"]}
    text = told(tmp_path, absent, quarantined(needed=8, came=4), quarantined())
    assert text.splitlines() == [
        "1 sites joined: east, absent: west",
        "round 1: west left out (silent, needed 8, came 4)",
        "round 1: west left out (silent)",
    ]


def test_why_a_run_stopped_is_said(tmp_path: Path) -> None:
    text = told(tmp_path, {"event": "run-failed", "code": "x", "text": "[bold]too few[/bold]"})
    assert text == "stopped: [bold]too few[/bold]\n"  # no markup of a message is obeyed


def test_an_event_that_this_version_does_not_know_is_no_error(tmp_path: Path) -> None:
    assert told(tmp_path, {"event": "moon-rose"}, JOINED) == "2 sites joined: east, west\n"


def test_a_run_that_writes_no_events_shows_nothing(tmp_path: Path) -> None:
    screen = console()
    with shown(tmp_path / "events.jsonl", rounds=2, metric="roc_auc", console=screen):
        pass
    assert printed(screen) == ""


def test_a_line_that_is_still_being_written_is_shown_once_it_is_whole(tmp_path: Path) -> None:
    screen, path = console(), tmp_path / "events.jsonl"
    whole = json.dumps(JOINED) + "\n" + json.dumps(finished(1, roc_auc=0.75)) + "\n"
    with shown(path, rounds=2, metric="roc_auc", console=screen):
        for part in (whole[:10], whole[10:60], whole[60:-1], whole[-1:]):
            with path.open("a") as file:
                file.write(part)
            time.sleep(0.15)  # longer than the display looks away
    assert printed(screen).splitlines() == [
        "2 sites joined: east, west",
        "round 1/2  roc_auc 0.7500",
    ]


def test_what_was_written_last_is_shown_even_if_the_run_ends_at_once(tmp_path: Path) -> None:
    for _ in range(5):
        folder = tmp_path / str(time.monotonic_ns())
        folder.mkdir()
        assert told(folder, JOINED) == "2 sites joined: east, west\n"


def test_a_terminal_has_one_live_line_that_leaves_no_trace(tmp_path: Path) -> None:
    screen, path = console(terminal=True), tmp_path / "events.jsonl"
    with shown(path, rounds=2, metric="roc_auc", console=screen), path.open("a") as file:
        for event in (JOINED, STARTED, ANSWERED, finished(1, roc_auc=0.75)):
            file.write(json.dumps(event) + "\n")
            file.flush()
            time.sleep(0.25)  # longer than it takes to look and to draw
    text = printed(screen)
    assert "2 sites joined: east, west" in text
    assert "round 1/2" in text
    assert "1/2 sites" in text
    assert "roc_auc 0.7500" in text
    assert text.rstrip().endswith("\x1b[2K")  # the live line is erased


def test_no_watcher_stays_behind_also_when_the_run_raises(tmp_path: Path) -> None:
    before = threading.active_count()
    for error in (RuntimeError, KeyboardInterrupt):
        try:
            with shown(tmp_path / "x", rounds=1, metric="roc_auc", console=console()):
                raise error
        except (RuntimeError, KeyboardInterrupt):
            pass
    assert threading.active_count() == before
