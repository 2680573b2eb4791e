"""How the figures of a benchmark leave it: as JSON, or in a line each."""

import argparse
import json
from collections.abc import Mapping


def options(purpose: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that every benchmark has.

    Args:
        purpose: What the benchmark measures, for its help.
    """
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    return parser


def print_figures(report: Mapping[str, object], *, as_json: bool) -> None:
    """Print a report.

    Args:
        report: Figures by name, and the targets that were `missed`.
        as_json: Print one JSON object; otherwise a line for each figure.
    """
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for name, figure in report.items():
        print(f"{name:30} {figure}")
