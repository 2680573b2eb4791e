"""What the sealed sum does besides training: each item measured, with its targets.

`python -m tests.benchmarks.instrument [--only ITEM] [--json]` from the root of the repository. An
item is a module of this folder with a function `measured()`, which returns its figures and what it
`missed`.
"""

from importlib import import_module
from pathlib import Path

from tests.benchmarks.figures import options, print_figures

ITEMS = tuple(
    sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem[0] != "_")
)


def main() -> None:
    """Measure the items and print their figures."""
    parser = options(__doc__)
    parser.add_argument("--only", choices=ITEMS, action="append")
    chosen = parser.parse_args()
    report: dict[str, object] = {}
    missed: list[object] = []
    for name in chosen.only or ITEMS:
        figures = import_module(f"tests.benchmarks.instrument.{name}").measured()
        missed += figures.pop("missed")
        report[name] = figures
    print_figures({**report, "missed": missed}, as_json=chosen.json)


if __name__ == "__main__":
    main()
