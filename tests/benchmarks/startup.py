"""How long until a command shows something? CPU of a fresh process, beside a bare one.

And what it costs to watch a run: CPU of the page of a run at work, beside the run's.

`python -m tests.benchmarks.startup [--json]` from the root of the repository.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks.figures import options
from tests.benchmarks.followed_run import MOST, exporters_share
from tests.benchmarks.watched_run import missed_target, watched_run

REPEATS = 5
BARE = "import typer"
PROGRAMS = {
    "consortium --help": "from consortium.cli.main import app; app(['--help'])",
    "scenario --help": "from scenarios.cli.main import app; app(['--help'])",
    "consortium charter --help": "from consortium.cli.main import app; app(['charter', '--help'])",
    "consortium site --help": "from consortium.cli.main import app; app(['site', '--help'])",
    "scenario list": "from scenarios.cli.main import app; app(['list'])",
    "consortium.Schema(...)": (
        "import consortium as c; x = c.Number(name='x', low=0, high=1); "
        "y = c.ClassLabel(column='y', classes=('no', 'yes')); "
        "c.Schema(name='a', person='p', features=(x,), label=y)"
    ),
}
# seconds of CPU
TARGETS = {"consortium --help": 0.35, "scenario --help": 0.35, "consortium.Schema(...)": 0.3}


def cpu_seconds(code: str) -> float:
    """Return the CPU, user and system, that a fresh process spends on this code."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, code)
    return usage.ru_utime + usage.ru_stime


def figures() -> dict[str, dict[str, float]]:
    """Return the median CPU of each program, in seconds and in bare processes."""
    codes = {"bare": BARE, **PROGRAMS}
    measured: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(REPEATS):  # in turns, so that a busy machine burdens all alike
        for name, code in codes.items():
            measured[name].append(cpu_seconds(code))
    cpu = {name: statistics.median(values) for name, values in measured.items()}
    return {
        name: {"cpu_s": round(cpu[name], 3), "bare": round(cpu[name] / cpu["bare"], 2)}
        for name in PROGRAMS
    }


def missed_targets(found: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """Return the commands that take more CPU than their target."""
    return [
        {"what": name, "figure": found[name]["cpu_s"], "target": target}
        for name, target in TARGETS.items()
        if found[name]["cpu_s"] > target
    ]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    chosen = parser.parse_args()
    began = time.monotonic()
    found, exporters, watched = figures(), exporters_share(), watched_run()
    missed = missed_targets(found) + missed_target(watched)
    if exporters["share"] > MOST:
        missed.append({"what": "exporters", "figure": exporters["share"], "target": MOST})
    report = {
        "benchmark": "startup",
        "baseline": "a process that imports typer only",
        "figures": found,
        "exporters": exporters,
        "watch": watched.figures(),
        "missed": missed,
        "seconds": round(time.monotonic() - began, 1),
    }
    if chosen.json:
        print(json.dumps(report, indent=1))
        return
    for name, figure in found.items():
        print(f"{name:25} {figure['cpu_s']:.3f} s CPU, {figure['bare']:.1f} bare processes")
    print(f"exporters of a run: {exporters['share']:.2%} of its {exporters['run_cpu_s']} s of CPU")
    print(f"watch: {json.dumps(watched.figures())}")
    print(json.dumps(missed, indent=1))


if __name__ == "__main__":
    main()
