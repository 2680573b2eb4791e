"""The evaluation that a finished run withheld, counted when all sites of its roster are back.

It is a run of its own, without rounds: it begins from the model that most sites confirmed, each
site evaluates that model once, and what the sites release is written into the finished run.
docs/protocol.md, "One roster".
"""

import json
from datetime import UTC, datetime
from typing import Any

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.counted_rosters import CountedRosters
from consortium.modes.registry import recorded_mode
from consortium.run.directory import EVALUATED_LATER, RunDirectory
from consortium.run.records import (
    Summary,
    Tallies,
    read_record,
    write_record,
)
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import replace_atomically


class NothingWithheld(ConsortiumError, ValueError, code="nothing-withheld"):
    """A run has no model whose evaluation is still to be counted under the charter in force."""


def later_config(run: RunDirectory, charter: Charter) -> RunConfig:
    """Return the config that evaluates the model of a finished run, with those who count.

    These are all members, or those for whom the charter's statistics were counted.

    Args:
        run: Which withheld its evaluation.
        charter: In force.

    Raises:
        NothingWithheld: It is not finished, withheld nothing, or is of another charter.
        BadRunDirectory: It is the directory of no run.
    """
    summary = read_record(run.summary, Summary)
    if summary.status != "finished" or not summary.model_digest:
        raise NothingWithheld(f"the run in {run.path} is not finished: resume it first")
    if recorded_mode(summary.config).coordinator_reads:
        raise NothingWithheld(f"the run in {run.path} was in the clear, where nothing is withheld")
    if summary.charter_fingerprint != charter.fingerprint:
        raise NothingWithheld(
            f"the run in {run.path} was under another revision of the charter: its sites count "
            "anew, so train under the charter in force"
        )
    if not summary.withheld:
        raise NothingWithheld(f"the run in {run.path} has its figures: nothing was withheld")
    roster = CountedRosters(run.counted_rosters).first_of(charter.fingerprint) or charter.names
    return RunConfig.parse(
        {
            **summary.config,
            "without": ",".join(sorted({*charter.names} - {*roster})),
            "num-server-rounds": 0,
            "evaluate-model": summary.model_digest,
            "quorum": len(roster),
        }
    )


def write_into_evaluated(later: RunDirectory, found: Summary) -> None:
    """Write what was counted later, if anything was, into the run whose model it is.

    Args:
        later: The directory of the evaluation.
        found: Its summary.
    """
    run = later.evaluated_run()
    if run is None or not found.held_out:
        return
    summary = read_record(run.summary, Summary)
    if summary.model_digest != found.model_digest:
        return
    write_record(run.evaluation, read_record(later.evaluation, Tallies))
    _replace_last_round(run, found)
    _append_event(run, later, summary, found)
    # Last: a run that says that nothing is withheld has all that belongs to that.
    counted = {"held_out", "evaluated", "metrics", "site_metrics", "withheld"}
    write_record(
        run.summary, summary.model_copy(update={name: getattr(found, name) for name in counted})
    )


def _replace_last_round(run: RunDirectory, found: Summary) -> None:
    """Put the metrics into the last line of the rounds, which is the final evaluation."""
    lines = run.metrics.read_text().splitlines()
    told: dict[str, Any] = json.loads(lines[-1])
    told["metrics"] = {name: one.model_dump() for name, one in found.metrics.items()}
    with replace_atomically(run.metrics) as file:
        file.writelines(line + "\n" for line in (*lines[:-1], json.dumps(told)))


def _append_event(run: RunDirectory, later: RunDirectory, summary: Summary, found: Summary) -> None:
    since = datetime.now(UTC) - datetime.fromisoformat(summary.started)
    line = {
        "at_s": round(since.total_seconds(), 4),
        "event": EVALUATED_LATER,
        "answered": found.evaluated,
        "run": later.path.name,
    }
    with run.events.open("a") as file:
        file.write(json.dumps(line) + "\n")
