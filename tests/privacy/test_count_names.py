"""The names of a refusal's counts are a closed list, and the list is that of the sources."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.errors import COUNT_NAMES

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for package in ("consortium", "privacy", "sites", "strategies", "scenarios")
    for file in (ROOT / package).rglob("*.py")
)
TREES = {file: ast.parse(file.read_text()) for file in SOURCES}
REFUSALS = [
    node
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef) and any(one.arg == "code" for one in node.keywords)
]
# Those that take other arguments hand their counts to the base class.
OWN_ARGUMENTS = {
    kind.name
    for kind in REFUSALS
    if any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in kind.body)
}
PLAIN = {kind.name for kind in REFUSALS} - OWN_ARGUMENTS


def named(call: ast.Call) -> str:
    """Return the last part of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def count_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the counts of each refusal that a module makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in OWN_ARGUMENTS:
            calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
            made = [one for one in calls if named(one) == "__init__"]
        else:
            made = [node] if isinstance(node, ast.Call) and named(node) in PLAIN else []
        yield from (word.arg for call in made for word in call.keywords if word.arg)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_count_of_a_refusal_has_a_name_on_the_list(file: Path) -> None:
    """Otherwise it would be dropped on its way to the coordinator."""
    assert {*count_names(TREES[file])} <= COUNT_NAMES


def test_no_name_is_on_the_list_that_no_refusal_uses() -> None:
    text = "\n".join(file.read_text() for file in SOURCES)
    assert not [name for name in COUNT_NAMES if not re.search(rf'\b{name}=|"{name}":', text)]
