"""Every benchmark, one after the other: figures to `runs/bench`, missed targets to the terminal.

`python -m tests.benchmarks.all` from the root of the repository.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("comparison", "orchestration", "homomorphic", "sealed_run", "robust")
LIMIT_S = 600
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
        for item in json.loads(ended.stdout)["missed"]:
            print(f"  missed: {item}")
    print(f"figures: {FOLDER}")
    if failed:
        sys.exit(f"did not end well: {', '.join(failed)}")


if __name__ == "__main__":
    main()
