"""Refuse a test run that left code untried: `python -m tests.coverage_floor COVERAGE.json`.

Lines and branches together. What runs in another process (Ray's actors, a ServerApp under
Flower) is not seen here: try it in process as well.
"""

import json
import sys
from pathlib import Path
from typing import Any

FLOORS = {"strategies/": 100.0, "privacy/": 99.0, "": 96.0}


def measured(files: dict[str, Any], prefix: str) -> tuple[float, list[str]]:
    """Return the share that was tried below a folder, and the files with something untried."""
    tried = wanted = 0
    lacking = []
    for name, file in sorted(files.items()):
        if name.startswith(prefix):
            summary = file["summary"]
            here = summary["covered_lines"] + summary["covered_branches"]
            there = summary["num_statements"] + summary["num_branches"]
            tried, wanted = tried + here, wanted + there
            if here < there:
                places = [*file["missing_lines"], *file["missing_branches"]]
                lacking.append(f"{name}: {there - here} untried: {places[:12]}")
    return 100.0 * tried / max(wanted, 1), lacking


def main() -> None:
    """Exit with 1 if a floor is missed, naming the files."""
    files = json.loads(Path(sys.argv[1]).read_text())["files"]
    failed = False
    for prefix, floor in FLOORS.items():
        share, lacking = measured(files, prefix)
        what = prefix or "all that was watched"
        print(f"{what}: {share:.2f} % of lines and branches tried, floor {floor}")
        if share < floor:
            failed = True
            print("\n".join(lacking))
    if failed:
        sys.exit("write the tests that are missing, or delete the code that nothing needs")


if __name__ == "__main__":
    main()
