"""Events that another process writes are shown as they come."""

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from scenarios.cli.progress import show_progress

JOINED = {"event": "sites-joined", "sites": ["east", "west"], "absent": []}
STARTED = {"event": "round-started", "server_round": 1, "cohort": ["east", "west"]}
ANSWERED = {"event": "site-answered", "server_round": 1, "site": "east"}


def round_finished(turn: int, **metrics: float) -> dict[str, Any]:
    told = {name: {"value": value, "error_bound": 0.0} for name, value in metrics.items()}
    return {"event": "round-finished", "server_round": turn, "metrics": told}


def site_quarantined(**counts: int) -> dict[str, Any]:
    event = {"event": "site-quarantined", "server_round": 1, "site": "west", "code": "silent"}
    return {**event, "counts": counts}


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def screen_text(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def shown_text(folder: Path, *events: dict[str, Any], terminal: bool = False) -> str:
    screen, path = console(terminal=terminal), folder / "events.jsonl"
    with show_progress(path, rounds=2, metric="roc_auc", console=screen):
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return screen_text(screen)


def test_without_a_terminal_every_round_is_a_plain_line(tmp_path: Path) -> None:
    text = shown_text(
        tmp_path,
        JOINED,
        STARTED,
        ANSWERED,
        round_finished(1, roc_auc=0.75, log_loss=0.5, brier=0.1),
        round_finished(2, roc_auc=0.8125),
        round_finished(3),
    )
    assert text.splitlines() == [
        "2 sites joined: east, west",
        "before training  roc_auc 0.7500  log_loss 0.5000",
        "round 1/2  roc_auc 0.8125",
        "round 2/2  no figures",
    ]
    assert "\x1b" not in text


def test_a_round_whose_model_nobody_evaluates_has_no_line(tmp_path: Path) -> None:
    screen, path = console(), tmp_path / "events.jsonl"
    events = (round_finished(1), *(round_finished(turn, roc_auc=0.5) for turn in (3, 5, 6)))
    with show_progress(path, rounds=5, metric="roc_auc", console=screen, evaluated_every=2):
        told = [*events[:1], round_finished(2), *events[1:2], round_finished(4), *events[2:]]
        path.write_text("".join(json.dumps(event) + "\n" for event in told))
    assert screen_text(screen).splitlines() == [
        f"round {number}/5  roc_auc 0.5000" for number in (2, 4, 5)
    ]


def test_the_final_evaluation_does_not_count_as_a_round(tmp_path: Path) -> None:
    assert shown_text(tmp_path, round_finished(3, roc_auc=0.9)).startswith("round 2/2")


def test_an_encrypted_run_says_nothing_of_its_start(tmp_path: Path) -> None:
    assert shown_text(tmp_path, round_finished(1)) == ""


def test_the_log_of_a_site_is_named_and_the_same_reason_once(tmp_path: Path) -> None:
    screen, path = console(), tmp_path / "events.jsonl"
    later = {**site_quarantined(), "server_round": 2}
    events = [site_quarantined(), later, {**later, "site": "east"}]

    def log_of(site: str) -> Path | None:
        return Path(f"/runs/{site}/site.log") if site == "west" else None

    with show_progress(path, rounds=2, metric="roc_auc", console=screen, log_of=log_of):
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert screen_text(screen).splitlines() == [
        "round 1: west left out (silent); see /runs/west/site.log",
        "round 2: east left out (silent)",
    ]


def test_missing_and_excluded_sites_are_named_with_the_reason(tmp_path: Path) -> None:
    absent = {**JOINED, "sites": ["east"], "absent": ["west"]}
    text = shown_text(tmp_path, absent, site_quarantined(needed=8, came=4), site_quarantined())
    assert text.splitlines() == [
        "1 site joined: east, absent: west",
        "round 1: west left out (silent, needed 8, came 4)",
        "round 1: west left out (silent)",
    ]


def test_why_a_run_stopped_is_left_to_the_end_where_the_command_says_it(tmp_path: Path) -> None:
    """Once is enough: the sentence is long."""
    stopped = {"event": "run-failed", "code": "x", "text": "too few"}
    assert shown_text(tmp_path, JOINED, stopped) == "2 sites joined: east, west\n"


def test_a_tracker_that_failed_is_named(tmp_path: Path) -> None:
    failed = {"event": "tracker-failed", "tracker": "wandb:/full", "why": "No space left"}
    assert shown_text(tmp_path, failed) == (
        "the tracker wandb:/full failed (No space left): it gets no more figures, and the run goes "
        "on\n"
    )


def test_an_unknown_event_is_ignored(tmp_path: Path) -> None:
    assert shown_text(tmp_path, {"event": "moon-rose"}, JOINED) == "2 sites joined: east, west\n"


def test_a_run_without_events_shows_nothing(tmp_path: Path) -> None:
    screen = console()
    with show_progress(tmp_path / "events.jsonl", rounds=2, metric="roc_auc", console=screen):
        pass
    assert screen_text(screen) == ""


def test_an_incomplete_line_is_shown_once_it_is_complete(tmp_path: Path) -> None:
    screen, path = console(), tmp_path / "events.jsonl"
    whole = json.dumps(JOINED) + "\n" + json.dumps(round_finished(1, roc_auc=0.75)) + "\n"
    with show_progress(path, rounds=2, metric="roc_auc", console=screen):
        for part in (whole[:10], whole[10:60], whole[60:-1], whole[-1:]):
            with path.open("a") as file:
                file.write(part)
            time.sleep(0.15)  # longer than the display looks away
    assert screen_text(screen).splitlines() == [
        "2 sites joined: east, west",
        "before training  roc_auc 0.7500",
    ]


def test_the_last_event_is_shown_even_if_the_run_ends_at_once(tmp_path: Path) -> None:
    for _ in range(5):
        folder = tmp_path / str(time.monotonic_ns())
        folder.mkdir()
        assert shown_text(folder, JOINED) == "2 sites joined: east, west\n"


def test_a_terminal_has_one_live_line_that_is_erased_at_the_end(tmp_path: Path) -> None:
    screen, path = console(terminal=True), tmp_path / "events.jsonl"
    with show_progress(path, rounds=2, metric="roc_auc", console=screen), path.open("a") as file:
        for event in (JOINED, STARTED, ANSWERED, round_finished(1, roc_auc=0.75)):
            file.write(json.dumps(event) + "\n")
            file.flush()
            time.sleep(0.25)  # longer than it takes to look and to draw
    text = screen_text(screen)
    assert "2 sites joined: east, west" in text
    assert "round 1/2" in text
    assert "1/2 sites" in text
    assert "roc_auc 0.7500" in text
    assert text.rstrip().endswith("\x1b[2K")  # the live line is erased


def test_the_watching_thread_ends_even_if_the_run_raises(tmp_path: Path) -> None:
    before = threading.active_count()
    for error in (RuntimeError, KeyboardInterrupt):
        try:
            with show_progress(tmp_path / "x", rounds=1, metric="roc_auc", console=console()):
                raise error
        except (RuntimeError, KeyboardInterrupt):
            pass
    assert threading.active_count() == before
