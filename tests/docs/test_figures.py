"""The figures that pages show are those of benchmarks and scenarios."""

import ast
import re
from pathlib import Path

from scenarios.library.registry import SCENARIOS
from tests.benchmarks import homomorphic
from tests.docs.pages import ROOT, worth_table

PERFORMANCE = ROOT / "docs" / "performance.md"

# benchmarks whose figures docs/performance.md shows
WHOLE_RUNS = (
    "sealed_run",
    "deployment",
    "deployed_rounds",
    "checks",
    "fhir",
    "omop",
    "startup",
    "watched_run",
)


def test_figures_are_named_as_the_benchmarks_name_them() -> None:
    """Every key in a table of figures is one that the command above it prints."""
    keys = set(re.findall(r"^\| `([a-z0-9]+_\w+)` \|", PERFORMANCE.read_text(), re.M))
    benchmarks = [ROOT / "tests" / "benchmarks" / f"{name}.py" for name in WHOLE_RUNS]
    of_runs = set().union(*map(strings_of, benchmarks))
    of_sums = {*homomorphic.AT_MOST, *homomorphic.AT_LEAST}
    assert of_sums <= keys, "a target of the project is not reported"
    assert keys - of_sums <= of_runs


def strings_of(program: Path) -> set[str]:
    nodes = ast.walk(ast.parse(program.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_the_table_of_comparisons_names_scenarios_with_their_sites() -> None:
    table = {name: row for name, row in worth_table().items() if name in SCENARIOS}
    assert len(table) == 3
    assert {n: int(row[0]) for n, row in table.items()} == {
        name: len(SCENARIOS[name].sites) for name in table
    }


def test_the_picture_of_the_report_is_small() -> None:
    content = (ROOT / "docs" / "report.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 300_000
