"""Whoever comes with a change finds its place by the field's word, and touches few files.

Thirteen changes that people are likely to want. For each: the word a newcomer would type into the
search for files, the file that must bear the change, and what names the last thing of its kind.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "sites", "strategies", "privacy", "scenarios")
WAYS_IN = ("registry", "contract", "document", "strategy")  # what one opens in a room
FOUND_AT_LEAST = 11
SMALL_AT_LEAST = 11
MOST_FILES = 5


@dataclass(frozen=True)
class Change:
    """A change that somebody wants.

    Args:
        wish: What for.
        word: What they would look for.
        file: Where it belongs: a module, or a room in which any module shows how.
        names: The last thing of its kind: a string in the code, or the name of a definition.
    """

    wish: str
    word: str
    file: str
    names: str


CHANGES = (
    Change("another model for tables", "tabular", "sites/models/tabular.py", "mlp"),
    Change("a reader of FHIR bundles", "source", "sites/data/source.py", "IobFiles"),
    Change("a server optimizer", "server_optimizer", "strategies/server_optimizer.py", "yogi"),
    Change("an aggregation rule", "rules", "strategies/rules/registry.py", "geometric-median"),
    Change("an attack", "attacks", "scenarios/attacks/registry.py", "sign-flip"),
    Change("asynchronous rounds", "modes", "consortium/modes", "InTheClear"),
    Change("another secure sum", "encrypted", "consortium/modes/encrypted.py", "Encrypted"),
    Change("boosted trees", "learners", "sites/learners", "Gradient"),
    Change(
        "an export to MLflow",
        "tracking",
        "consortium/coordinator/tracking/registry.py",
        "TensorBoardFolder",
    ),
    Change("a plot in the report", "plots", "consortium/report/plots", "draw_heatmap"),
    Change("a field in the ledger", "ledger", "privacy/differential/ledger_entries.py", "Reserved"),
    Change(
        "renewal of TLS", "certificates", "consortium/provisioning/certificates.py", "Authority"
    ),
    Change("a rule of the policy", "policy", "privacy/policy/document.py", "rounds_per_day"),
)


@lru_cache(maxsize=1)
def modules() -> tuple[Path, ...]:
    """Return every product module, relative to the root."""
    return tuple(
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    )


def first_guess(word: str) -> Path:
    """Return what one opens first: the file of that name, else the way into the room of that name.

    A command line shows what there is and is nobody's first guess for where it is made.
    """

    def rank(path: Path) -> tuple[int, int, str]:
        named = path.stem == word
        room = path.parent.name == word and path.stem in WAYS_IN
        near = word in path.stem.split("_") or path.parent.name == word
        place = 0 if named else 1 if room else 2 if near else 3
        return place, len(path.parts), str(path)

    return min((path for path in modules() if "cli" not in path.parts), key=rank)


@lru_cache(maxsize=1)
def named_in() -> dict[str, set[Path]]:
    """Return the files that name each definition, or hold each short string, outside docstrings."""
    found: dict[str, set[Path]] = {}
    for path in modules():
        for name in _names(ast.parse((ROOT / path).read_text())):
            found.setdefault(name, set()).add(path)
    return found


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if len(text) < 40:
                yield text
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.wish)
def test_the_file_and_the_example_of_each_change_are_there(change: Change) -> None:
    assert (ROOT / change.file).exists()
    assert change.names in named_in(), "name what is the last of its kind now"


def test_most_changes_are_found_in_one_guess() -> None:
    missed = [
        f"{change.wish}: {first_guess(change.word)}, not {change.file}"
        for change in CHANGES
        if not first_guess(change.word).is_relative_to(change.file)
    ]
    assert len(CHANGES) - len(missed) >= FOUND_AT_LEAST, missed


def test_most_changes_touch_few_files() -> None:
    """Counted by the files that name the last thing of the kind: what the next one must touch."""
    scattered = {
        change.wish: sorted(map(str, named_in()[change.names]))
        for change in CHANGES
        if len(named_in()[change.names]) > MOST_FILES
    }
    assert len(CHANGES) - len(scattered) >= SMALL_AT_LEAST, scattered


def test_no_room_is_overfull() -> None:
    """The fullest holds 16 modules, and most hold about five."""
    sizes: dict[Path, int] = {}
    for path in modules():
        sizes[path.parent] = sizes.get(path.parent, 0) + 1
    assert max(sizes.values()) <= 16
    assert median(sizes.values()) <= 5


def test_no_function_is_longer_than_a_screen() -> None:
    """Lines of code: docstring, comments and blank lines apart."""
    long = [
        f"{path}: {node.name}"
        for path in modules()
        for text in [(ROOT / path).read_text()]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(text, node) > 43
    ]
    assert long == []


def _lines(text: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of code of a function: without docstring, comments and blank lines."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = range(first.lineno, (first.end_lineno or 0) + 1) if documented else range(0)
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    return sum(
        number not in docstring and bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(lines, node.lineno)
    )
