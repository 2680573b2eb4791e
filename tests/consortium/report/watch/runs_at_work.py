"""Runs that are at work, as their files stand in the middle of a round."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from consortium.config import DEFAULTS, RunConfig
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import hold_leadership
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.consortium.sample_run import Sample

ROUNDS = 8
PACE_S = 60.0
PRIVATE = {"dp.unit": "person", "dp.epsilon": 2.0, "class-balance": "none"}
SPENT = {
    "asked_milli": 2000,
    "spent_milli": 2500,
    "left_milli": 1500,
    "budget_milli": 4000,
    "steps_that_fit": 3,
}
REFUSED = SiteQuarantined(
    server_round=1, site="birch-bank", code="site-refused.budget-exhausted", counts=SPENT
)


def write_run_at_work(path: Path, config: Mapping[str, Any] = PRIVATE) -> RunDirectory:
    """Write a run of four banks in its third round.

    dune-bank never came, birch-bank refused round 1 and is asked no more, amber-bank has answered
    in round 3, and cedar-bank has not. Each round took a minute.
    """
    stopped = Sample(
        absent=("dune-bank",), quarantined=(REFUSED,), rounds=ROUNDS, completed=2, error="a: b"
    )
    run = stopped.write(path)
    run.summary.unlink()
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    timed = [{"at_s": 0.0, "event": "run-started", "started": "2026-03-02T09:30:00+00:00"}]
    for event in events[:-1]:
        at = PACE_S * (event.get("server_round", 0) - (event["event"] != "round-finished"))
        timed.append({**event, "at_s": max(0.0, at)})
    now = {"at_s": 2 * PACE_S, "server_round": 3}
    timed.append({**now, "event": "round-started", "cohort": ["amber-bank", "cedar-bank"]})
    timed.append({**now, "event": "site-answered", "site": "amber-bank"})
    run.events.write_text("".join(json.dumps(event) + "\n" for event in timed))
    run.coordinator.mkdir(exist_ok=True)
    settings = RunConfig.parse({**DEFAULTS, "num-server-rounds": ROUNDS, **config})
    run.run_config.write_text(json.dumps(settings.flat()))
    return run


@contextmanager
def leading(run: RunDirectory) -> Iterator[None]:
    """Lead the run meanwhile, as the process of its coordinator does."""
    with hold_leadership(run.leader):
        yield


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(data.strip())


def text_of(html: str) -> str:
    """Return the text of a page, its parts separated by bars."""
    parser = _Text()
    parser.feed(html)
    return " | ".join(parser.found).replace("\u00a0", " ")
