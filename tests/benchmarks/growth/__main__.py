"""How time and memory grow with sites, parameters and rows: their exponents, a table, a picture.

`python -m tests.benchmarks.growth [--only sites|parameters|rows] [--quick] [--json]` from the root
of the repository. Each point is measured in a process of its own: CPU, user and system, and the
most memory that the work made the process hold. An axis ends within ten minutes; a size for which
there is no time is left out. `--publish` keeps the figures of a whole axis beside this program and
puts table and picture into docs/performance.md; `--redraw` does that with the figures that are
kept, and measures nothing.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.growth.axes import AXES, curves
from tests.benchmarks.growth.curves import Curves, exponents, markdown_table
from tests.benchmarks.growth.published import publish, published_figures

BUDGET_S = 580.0  # of one axis


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--only", choices=[one.name for one in AXES], action="append")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--quick", action="store_true", help="few and small points, to try it out")
    way.add_argument("--publish", action="store_true", help="into docs/performance.md")
    way.add_argument("--redraw", action="store_true", help="publish what is kept, measure nothing")
    chosen = parser.parse_args()
    if chosen.redraw:
        publish(published_figures())
        return
    began, figures = time.monotonic(), dict[str, Curves]()
    for axis in AXES:
        if not chosen.only or axis.name in chosen.only:
            with tempfile.TemporaryDirectory() as folder:
                figures[axis.name] = curves(
                    axis, Path(folder), quick=chosen.quick, seconds=BUDGET_S
                )
    if chosen.publish:
        publish({**published_figures(), **figures})
    if chosen.json:
        print_figures(_report(figures, time.monotonic() - began), as_json=True)
    else:
        print(markdown_table(figures))


def _report(figures: Mapping[str, Curves], seconds: float) -> dict[str, object]:
    return {
        "benchmark": "growth",
        "figures": figures,
        "exponents": exponents(figures),
        "missed": [],
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
