"""How much of a run's CPU do its trackers take? Both are of one run, in a process of its own.

`python -m tests.benchmarks.startup` shows it.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consortium.coordinator.tracking.registry import parse_trackers
from consortium.coordinator.tracking.trackers import Trackers
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named

SCENARIO = "heart-diagnosis"  # the smallest run is the hardest case
MOST = 0.01  # of the run's CPU


def exporters_share() -> dict[str, float]:
    """Return the CPU of all trackers of a run together, that of the run, and the share.

    A Prometheus that reads the page adds what serving it takes; none does here.
    """
    words = [sys.executable, "-m", "tests.benchmarks.followed_run"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _count_cpu(spent: list[float]) -> None:
    """Have each call that a run makes to its trackers add the CPU that it took."""

    def counted(plain: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any, **named: Any) -> None:
            began = time.thread_time()
            plain(*given, **named)
            spent.append(time.thread_time() - began)

        return call

    for name in ("__init__", "note_event", "close"):
        setattr(Trackers, name, counted(getattr(Trackers, name)))


def _followed_run(folder: Path) -> None:
    scenario = scenario_named(SCENARIO)
    followed = parse_trackers(
        [
            f"mlflow:{folder}/mlflow",
            f"prometheus:{folder}/run.prom",
            "prometheus:http://127.0.0.1:9109",
            f"tensorboard:{folder}/tensorboard",
            f"wandb:{folder}/wandb",
        ]
    )
    run = new_run_directory(scenario, under=folder / "runs", named=None)
    config = scenario.config_with({})
    run_scenario(ScenarioRun(scenario=scenario, config=config, track=followed), run)
    if "tracker-failed" in run.events.read_text():
        raise RuntimeError(run.log.read_text())


def main() -> None:
    """Follow a run in all trackers and print what they took."""
    spent: list[float] = []
    _count_cpu(spent)
    with tempfile.TemporaryDirectory() as folder:
        _followed_run(Path(folder))
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in of]
    whole = sum(one.ru_utime + one.ru_stime for one in used)
    figures = {"cpu_s": sum(spent), "run_cpu_s": whole, "share": sum(spent) / whole}
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
