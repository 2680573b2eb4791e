"""This tree beside an earlier revision of it, in turns on the same machine.

`python -m tests.benchmarks.against REVISION [--json] [--only NAME]` from the root of the
repository. The revision gets a worktree and an environment of its own, made from its own pins,
which needs a package index. `--environment FOLDER` takes one that is there. Both trees run the same
programs in turns. Times are CPU, user and system, of a program and all processes that it started;
`wall_` are those of the clock. Each figure is the median of ten pairs, or of as many as there was
time for: `--only` leaves all of the time to one workload.
"""

import time
from pathlib import Path

from tests.benchmarks.against.trees import this_tree, tree_of_revision
from tests.benchmarks.against.workloads import WORKLOADS, compared, missed_targets, pairs_of
from tests.benchmarks.figures import options, print_figures

BUDGET_S = 560.0  # of all workloads; a first pair is always finished


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("revision", help="the commit to compare with")
    parser.add_argument("--only", choices=[one.name for one in WORKLOADS], action="append")
    parser.add_argument("--environment", type=Path, help="of the revision, instead of a new one")
    chosen = parser.parse_args()
    wanted = [one for one in WORKLOADS if not chosen.only or one.name in chosen.only]
    figures: dict[str, object] = {}
    missed: list[dict[str, object]] = []
    with tree_of_revision(chosen.revision, environment=chosen.environment) as then:
        began = time.monotonic()
        for done, workload in enumerate(wanted):
            left = BUDGET_S - (time.monotonic() - began)
            share = left / (len(wanted) - done)
            pairs = pairs_of(workload, then, this_tree(), seconds=share)
            figures |= compared(pairs)
            missed += missed_targets(pairs)
    report = {
        "benchmark": "against",
        "baseline": chosen.revision,
        **figures,
        "missed": missed,
        "seconds": round(time.monotonic() - began, 1),
    }
    print_figures(report, as_json=chosen.json)


if __name__ == "__main__":
    main()
