"""Every benchmark, one after the other: figures to `runs/bench` and the terminal, with what missed.

`python -m tests.benchmarks.all` from the root of the repository.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BENCHMARKS = (
    "comparison",
    "founding",
    "few_rows",
    "compression",
    "orchestration",
    "homomorphic",
    "sealed_run",
    "checks",
    "encrypted_equals_clear",
    "rare_events",
    "robust",
    "privacy",
    "deployment",
    "deployed_rounds",
    "gateway",
    "text",
    "distillation",
    "startup",
    "sizes",
    "sweep",
    "schedules",
    "hubs",
    "tables",
    "fhir",
    "omop",
)
LIMIT_S = 1_800
FOLDER = Path("runs") / "bench"


def main() -> None:
    """Run all benchmarks; exit with 1 if one did not end well, missed targets are no failure."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in BENCHMARKS:
        print(f"{name} ...", flush=True)
        try:
            ended = subprocess.run(
                [sys.executable, "-m", f"tests.benchmarks.{name}", "--json"],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
                timeout=LIMIT_S,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            failed.append(name)
            print(f"  {error}")
            continue
        (FOLDER / f"{name}.json").write_text(ended.stdout)
        report = json.loads(ended.stdout)
        missed = report.pop("missed")
        for where, figure in rows(report):
            print(f"  {where:60} {figure}")
        for item in missed:
            print(f"  missed: {item}")
    print(f"figures: {FOLDER}")
    if failed:
        sys.exit(f"did not end well: {', '.join(failed)}")


def rows(report: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield a line for each figure of a report; those of one thing share a line."""
    match report:
        case dict() if where and not any(isinstance(one, dict | list) for one in report.values()):
            yield where, "  ".join(f"{name} {short(one)}" for name, one in report.items())
        case dict():
            for name, one in report.items():
                yield from rows(one, f"{where}{name} ")
        case list() if any(isinstance(one, dict) for one in report):
            for number, one in enumerate(report, start=1):
                yield from rows(one, f"{where}{number} ")
        case _:
            yield where, short(report)


def short(figure: Any) -> str:
    """Return a number in four digits, anything else as it is."""
    return f"{figure:.4g}" if isinstance(figure, float) else str(figure)


if __name__ == "__main__":
    main()
