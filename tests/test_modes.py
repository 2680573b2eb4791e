"""A mode is a type: nobody else asks which one it is, and a new one touches two files.

What the second sentence covers is a mode that refines another one: other terms, other words,
other figures told. It needs its own module and an entry in the registry. A mode that changes what
travels touches more, and says so in `consortium.modes.contract`: a half at each end with an entry
in that end's table, and, for a question of a new kind, `privacy.wire` and `consortium.client_app`.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from consortium.client import site_modes
from consortium.coordinator import coordinator_modes
from consortium.modes.clear import InTheClear
from consortium.modes.contract import Mode, half_of
from consortium.modes.encrypted import Encrypted
from consortium.modes.registry import ModeName, mode_named

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "sites", "strategies", "privacy", "scenarios")
ROOM = ROOT / "consortium" / "modes"
NAMES = get_args(ModeName)
MODES = {"Mode", "InTheClear", "Encrypted", "Masked"}
# Where the name of the mode is written down or shown, and nothing depends on it.
TELLERS = {
    "scenarios/cli/library.py",
    "consortium/client/audit_trail.py",
    "consortium/client/policy_dry_run.py",
    "consortium/coordinator/audit_trail.py",
}

CLEAR = '''
"""A mode in the clear in which a site that joins tells no number of examples."""

from typing import ClassVar

from consortium.modes.clear import InTheClear
from privacy.policy.document import Releases


class Third(InTheClear):
    """In the clear, and shy."""

    name: ClassVar[str] = "third"
    who_reads: ClassVar[str] = "The coordinator read what a third mode lets it read."

    def introduced_examples(self, examples: int, releases: Releases) -> int:
        """Return 0."""
        return 0
'''
ENCRYPTED = '''
"""An encrypted mode in which all sites weigh the same, whatever the run config says."""

from typing import ClassVar

from consortium.config import RunConfig
from consortium.modes.encrypted import Encrypted


class Third(Encrypted):
    """Encrypted, and equal."""

    name: ClassVar[str] = "third"
    who_reads: ClassVar[str] = "The coordinator read what a third mode lets it read."

    def weight_classes(self, config: RunConfig) -> tuple[int, ...]:
        """Return the largest."""
        return super().weight_classes(config)[-1:]
'''
ENTRY = """
def _third() -> "Mode":
    from consortium.modes.third import Third

    return Third()


_MODES:"""
RUN = """
import json, sys
from pathlib import Path
import consortium
from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.charter.document import Charter
from consortium.model.card import model_card
from consortium.model.files import read_model
from consortium.report.render import render_report
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named

def seen(settings):
    heart = scenario_named("heart-diagnosis")
    config = heart.config_with({"num-server-rounds": 1, **settings})
    run = new_run_directory(heart, under=Path(sys.argv[1]), named=None)
    summary = run_scenario(ScenarioRun(scenario=heart, config=config), run)
    charter = Charter.read(run.charter)
    require_agreement([read_log(path, charter) for path in find_logs(run.path)])
    render_report(run)
    return {
        "status": summary.status,
        "rounds": summary.rounds,
        "model": summary.model_digest,
        "weights": [site.weight for site in summary.sites],
        "buckets": summary.protection.buckets,
        "card": model_card(read_model(run.model).subject, None),
    }

done = [seen(json.loads(settings)) for settings in sys.argv[2:]]
print(json.dumps({"package": str(Path(consortium.__file__).parent), "runs": done}))
"""


def in_a_tree_with(third: str, folder: Path, *settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what runs show in a copy of the project that has a third mode.

    Args:
        third: The mode's module.
        folder: Where the copy is made, and the runs.
        settings: Of each run.
    """
    package, room = folder / "tree" / "consortium", folder / "tree" / "consortium" / "modes"
    shutil.copytree(ROOT / "consortium", package)
    (room / "third.py").write_text(third)
    registry = (room / "registry.py").read_text()
    for old, new in (
        ('Literal["clear", "encrypted"]', 'Literal["clear", "encrypted", "third"]'),
        ("\n_MODES:", ENTRY),
        ('        "clear": _clear,\n', '        "clear": _clear,\n        "third": _third,\n'),
    ):
        assert registry.count(old) == 1, old
        registry = registry.replace(old, new)
    (room / "registry.py").write_text(registry)
    assert set(touched(package)) == {"modes/registry.py", "modes/third.py"}
    said = subprocess.run(
        [sys.executable, "-c", RUN, str(folder / "runs"), *map(json.dumps, settings)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT)])},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    shown = json.loads(said.stdout.splitlines()[-1])
    assert shown["package"] == str(package)
    runs: list[dict[str, Any]] = shown["runs"]
    return runs


def touched(package: Path) -> Iterator[str]:
    """Yield the files of a copy that are new or differ from the project's."""
    for path in package.rglob("*.py"):
        name = path.relative_to(package)
        original = ROOT / "consortium" / name
        if not original.exists() or original.read_bytes() != path.read_bytes():
            yield str(name)


@pytest.mark.slow
def test_a_third_mode_in_the_clear_is_its_module_and_an_entry(tmp_path: Path) -> None:
    """A real run of four sites: it is summarised, audited and reported, and has a model card."""
    third, clear = in_a_tree_with(
        CLEAR, tmp_path, {"aggregation": "third"}, {"aggregation": "clear"}
    )
    assert (third["status"], third["rounds"], third["model"]) == ("finished", 1, clear["model"])
    assert (third["weights"], third["buckets"]) == ([0] * 4, 0)
    assert all(clear["weights"])
    assert "what a third mode lets it read" in third["card"]


def test_a_third_mode_that_encrypts_is_its_module_and_an_entry(tmp_path: Path) -> None:
    """What it says of weights holds at both ends."""
    third, equal, unequal = in_a_tree_with(
        ENCRYPTED,
        tmp_path,
        {"aggregation": "third"},
        {"aggregation": "encrypted", "weighting": "equal"},
        {"aggregation": "encrypted"},
    )
    assert (third["status"], third["rounds"], third["model"]) == ("finished", 1, equal["model"])
    assert third["model"] != unequal["model"]
    assert third["buckets"] == 1
    assert "what a third mode lets it read" in third["card"]


def test_each_end_has_an_entry_for_each_mode_and_needs_none_for_a_refinement() -> None:
    class Refined(Encrypted):
        name = "refined"

    plain = {type(mode_named(name)) for name in NAMES}
    masked = {type(mode_named(name, masks=True)) for name in NAMES}
    for table in (site_modes._AT_SITE, coordinator_modes._AT_COORDINATOR):
        assert plain <= set(table) <= plain | masked
        halves: dict[type[Mode], object] = dict(table)
        assert half_of(Refined(), halves) is table[Encrypted]
        assert half_of(InTheClear(), halves) is table[InTheClear]
        with pytest.raises(LookupError, match="InTheClear"):
            half_of(InTheClear(), {Encrypted: object()})


def test_a_mode_goes_by_the_name_it_is_registered_under() -> None:
    assert [mode_named(name).name for name in NAMES] == list(NAMES)


def named_in(node: ast.AST) -> bool:
    """Return whether a mode's name stands anywhere in an expression or pattern."""
    return any(isinstance(one, ast.Constant) and one.value in NAMES for one in ast.walk(node))


def questions(tree: ast.AST) -> Iterator[str]:
    """Yield every place in a syntax tree that asks which mode a run has."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare() if named_in(node):
                yield f"line {node.lineno}: a comparison with the name of a mode"
            case ast.Match() if asks_for_mode(node.subject) or any(
                named_in(case.pattern) or classes_in(case.pattern) & MODES for case in node.cases
            ):
                yield f"line {node.lineno}: a match on the mode"
            case ast.Subscript() if asks_for_mode(node.slice):
                yield f"line {node.lineno}: a table by the name of a mode"
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]) if (
                classes_in(kinds) & MODES
            ):
                yield f"line {node.lineno}: a question for the type of a mode"


def asks_for_mode(node: ast.AST) -> bool:
    """Return whether an expression reads `.aggregation`."""
    return any(
        isinstance(one, ast.Attribute) and one.attr == "aggregation" for one in ast.walk(node)
    )


def classes_in(node: ast.AST) -> set[str]:
    """Return the names that stand in an expression or pattern."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


@pytest.mark.parametrize(
    "question",
    [
        'config.aggregation == "clear"',
        '"encrypted" != chosen',
        'mode in ("clear", "encrypted")',
        'match mode:\n    case "clear":\n        pass',
        "match config.aggregation:\n    case _:\n        pass",
        "match mode:\n    case Encrypted():\n        pass",
        "isinstance(mode, Encrypted)",
        "isinstance(mode, clear.InTheClear | str)",
        "table[config.aggregation]",
    ],
)
def test_the_counter_sees(question: str) -> None:
    assert list(questions(ast.parse(question)))


def test_nobody_but_a_mode_asks_which_mode_a_run_has() -> None:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.parent != ROOM and (asked := list(questions(ast.parse(path.read_text())))):
                found[str(path.relative_to(ROOT))] = asked
    assert found == {}


def test_the_name_of_the_mode_is_read_only_where_it_is_told() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.parent != ROOM and asks_for_mode(ast.parse(path.read_text()))
    }
    assert readers == TELLERS
