"""What other programs read of the runs that are written for them, with their own readers.

Each is a process of its own: MLflow changes the process that imports it, and reports its use unless
it is told not to.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MLFLOW = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id], order_by=["start_time"]):
        past = {
            name: {one.step: one.value for one in client.get_metric_history(run.info.run_id, name)}
            for name in run.data.metrics
        }
        found.append({
            "experiment": experiment.name, "name": run.info.run_name, "status": run.info.status,
            "user": run.info.user_id, "tags": run.data.tags, "params": run.data.params,
            "curves": past,
        })
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class FollowedRun:
    """A run as the other program reads it.

    Args:
        group: The experiment or project that it is in.
        name: How it is called.
        status: How it ended, in the words of the program.
        curves: The value at each step, by the curve's name.
        more: All else that was read and may not be empty.
    """

    group: str
    name: str
    status: str
    curves: dict[str, dict[int, float]]
    more: dict[str, Any]


def runs_in_mlflow(folder: Path) -> list[FollowedRun]:
    """Return the runs of a file store, in the order in which they began."""
    settings = {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    found = json.loads(_output([sys.executable, "-c", _MLFLOW, str(folder)], settings))
    return [
        FollowedRun(
            group=one["experiment"],
            name=one["name"],
            status=one["status"],
            curves=_by_step(one["curves"]),
            more={name: one[name] for name in ("user", "tags", "params") if one[name]},
        )
        for one in found
    ]


def run_in_wandb(folder: Path) -> FollowedRun:
    """Return the only run of a wandb directory."""
    (path,) = folder.glob("offline-run-*")
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    records = [json.loads(line) for line in _output(words, {}).splitlines()]
    curves: dict[str, dict[int, float]] = {}
    for record in records:
        if record["type"] == "history":
            for name, value in record["history"]["item"].items():
                curves.setdefault(name, {})[record["history"]["step"]["num"]] = value
    (run,) = [record["run"] for record in records if record["type"] == "run"]
    ends = [record["exit"] for record in records if record["type"] == "exit"]
    taken = ("run_id", "project", "display_name", "start_time")
    unknown = {one["type"] for one in records} - {"header", "run", "summary", "history", "exit"}
    return FollowedRun(
        group=run["project"],
        name=run["display_name"],
        status=str(ends[0].get("exit_code", 0)) if ends else "going on",
        curves=curves,
        more={
            **{name: value for name, value in run.items() if name not in taken},
            **dict.fromkeys(sorted(unknown), "a record"),
        },
    )


def _by_step(curves: dict[str, dict[str, float]]) -> dict[str, dict[int, float]]:
    return {
        name: {int(step): value for step, value in past.items()} for name, past in curves.items()
    }


def _output(words: list[str], settings: dict[str, str]) -> str:
    done = subprocess.run(
        words,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=True,
        text=True,
        timeout=120,
    )
    return done.stdout
