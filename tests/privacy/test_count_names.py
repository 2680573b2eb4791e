"""The names of a refusal's counts are a closed list, and the list is that of the sources."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from privacy.errors import COUNT_NAMES

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for package in ("consortium", "privacy", "sites", "strategies", "scenarios")
    for file in (ROOT / package).rglob("*.py")
)


@cache
def nodes() -> Mapping[Path, list[ast.ClassDef | ast.Call]]:
    """Return the classes and calls of each source."""
    return {
        file: [
            node
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ClassDef | ast.Call)
        ]
        for file in SOURCES
    }


@cache
def refusals() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the kinds of refusal: those that take the counts, and the others.

    Those that take other arguments hand their counts to the base class.
    """
    found = [
        node
        for some in nodes().values()
        for node in some
        if isinstance(node, ast.ClassDef) and any(one.arg == "code" for one in node.keywords)
    ]
    others = {
        kind.name
        for kind in found
        if any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in kind.body)
    }
    return frozenset(kind.name for kind in found) - others, frozenset(others)


def named(call: ast.Call) -> str:
    """Return the last part of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def count_names(some: Sequence[ast.ClassDef | ast.Call]) -> Iterator[str]:
    """Yield the names of the counts of each refusal that a module makes."""
    plain, others = refusals()
    for node in some:
        if isinstance(node, ast.Call):
            made = [node] if named(node) in plain else []
        elif node.name in others:
            calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
            made = [one for one in calls if named(one) == "__init__"]
        else:
            made = []
        yield from (word.arg for call in made for word in call.keywords if word.arg)


def test_every_count_of_a_refusal_has_a_name_on_the_list() -> None:
    """Otherwise it would be dropped on its way to the coordinator."""
    used = {
        (str(file.relative_to(ROOT)), name)
        for file, some in nodes().items()
        for name in count_names(some)
    }
    assert len(used) > 150
    assert [one for one in sorted(used) if one[1] not in COUNT_NAMES] == []


def test_no_name_is_on_the_list_that_no_refusal_uses() -> None:
    text = "\n".join(file.read_text() for file in SOURCES)
    used = {name for either in re.findall(r'\b(\w+)=|"(\w+)":', text) for name in either}
    assert sorted(COUNT_NAMES - used) == []
