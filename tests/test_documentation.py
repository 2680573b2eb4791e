"""What the pages say is what happens: their commands run, their figures are those that come out."""

import ast
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.library.registry import SCENARIOS
from tests.benchmarks import homomorphic
from tests.docs.pages import README, ROOT, Command, blocks, commands, reading_order
from tests.forked import Forked
from tests.synthetic_notes import synthetic_notes

PERFORMANCE = ROOT / "docs" / "performance.md"

NOT_LEFT = [
    "privacy.json",  # minutes: each epsilon, several times
    "robustness.json",  # minutes: each attack against each rule
    "coordinator/sealed/round-*/*/uploads-deleted",  # by a deployed coordinator
    "sites/*/provisional/**",  # until the run's model is confirmed
    "sites/*/mistakes/last.jsonl",  # if a site's policy asks for it
    "app/**",  # on Flower's engine: tests/scenarios/test_simulation.py
    "flower/**",
]

# benchmarks whose figures docs/performance.md shows
WHOLE_RUNS = ("sealed_run", "deployment", "deployed_rounds", "checks")

ENTRY = {
    "scenario": "from scenarios.cli.main import main; main()",
    "consortium": "from consortium.cli.main import main; main()",
}
QUOTED = re.compile(r"'[^']*'|\"[^\"$`]*\"")  # what a shell takes as it stands
SHELL = re.compile(r"[;|&<>$*`]")  # what a shell reads otherwise


def prepare(folder: Path) -> None:
    """Write the files that a reader has."""
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == "cleveland"].drop(columns=["hospital", "severity"])
    ours.to_csv(folder / "my.csv", index=False)
    ours.drop(columns="disease").head(3).to_csv(folder / "new-patients.csv", index=False)
    export = ours.drop(columns="patient").rename(columns={"age": "ALTER"})
    export = export.assign(cholesterol=export["cholesterol"].fillna(-9))
    export.to_csv(folder / "export.csv", index=False, sep=";", decimal=",")
    with sqlite3.connect(folder / "ward.db") as database:
        ours.to_sql("patients", database, index=False)
    database.close()
    broken = ours.astype(object)
    broken.loc[broken.index[1], "age"] = "63 years"
    broken.loc[broken.index[3], "chest_pain"] = "severe"
    broken.to_csv(folder / "broken.csv", index=False)
    notes = synthetic_notes(60, sentences=6, seed=7)
    lines = folder / "notes.jsonl"
    notes.assign(chapter=["eye", "injury"] * 30).rename(columns={"person": "category"}).to_json(
        lines, orient="records", lines=True
    )
    notes[["text"]].head(2).to_json(folder / "new-notes.jsonl", orient="records", lines=True)
    rng = np.random.default_rng(7)
    for ward in ("ward-a", "ward-b", "ward-c"):
        age = rng.integers(20, 90, 120)
        back = rng.random(120) < age / 120
        pd.DataFrame(
            {
                "patient": np.arange(120),
                "age": age,
                "haemoglobin": np.where(rng.random(120) < 0.1, np.nan, rng.normal(13, 2, 120)),
                "admitted": rng.choice(["planned", "emergency"], 120),
                "readmitted": np.where(back, "yes", "no"),
            }
        ).to_csv(folder / f"{ward}.csv", index=False)


@dataclass(frozen=True)
class Reader:
    """Somebody who types what a page shows.

    Args:
        folder: Where.
        forked: Starts the two commands of the project; a shell starts all else.
    """

    folder: Path
    forked: Forked

    def environment(self) -> dict[str, str]:
        """Return the environment of what is typed: wide lines, and the commands on the path."""
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        return {**os.environ, "PATH": programs, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def types(self, line: str) -> str:
        """Run a line; return what it printed."""
        name, *words = shlex.split(line)
        if name not in ENTRY or SHELL.search(QUOTED.sub("", line)):
            return self.runs(["bash", "-c", line])
        return self.starts(ENTRY[name], words)

    def starts(self, program: str, words: Sequence[str] = ()) -> str:
        """Run a program of Python; return what it printed."""
        printed = self.folder / "printed"
        printed.unlink(missing_ok=True)
        status = self.forked.run(
            program, words, folder=self.folder, output=printed, environment=self.environment()
        )
        assert status == 0, f"{program} {words} ended with {status}:\n{printed.read_text()}"
        return printed.read_text()

    def runs(self, command: list[str]) -> str:
        """Run any command; return what it printed."""
        told = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert told.returncode == 0, f"{command} ended with {told.returncode}:\n{told.stdout}"
        return told.stdout


def require_shown(command: Command, printed: str) -> None:
    """Each line that a page shows was printed, in that order; `...` stands for anything."""
    rest = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in command.shown:
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("..."))
        found = line == "..." or any(re.fullmatch(pattern, candidate) for candidate in rest)
        assert found, f"{command.line} does not print\n{line}\nbut\n{printed}"


def follow(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        if block.language == "python":
            reader.starts(block.text)
        for command in commands(block) if block.language == "console" else ():
            if command.is_run:
                require_shown(command, reader.types(command.line))


def documented_paths() -> list[str]:
    """Return the paths that docs/run-directory.md describes, as patterns."""
    table = (ROOT / "docs" / "run-directory.md").read_text()
    found = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    return [re.sub(r"\bT\b|SITE", "*", path) for path in found]


def left_behind(run_directory: Path) -> set[str]:
    files = [path for path in run_directory.rglob("*") if path.is_file()]
    return {path.relative_to(run_directory).as_posix() for path in files}


def is_documented(path: str, patterns: list[str]) -> bool:
    forms = [re.escape(p).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for p in patterns]
    return any(re.fullmatch(form, path) for form in forms)


def worth_table() -> dict[str, list[str]]:
    """Return the rows of the README's table of comparisons, by scenario."""
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", README.read_text(), re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def arms_as_written(comparison: Path) -> list[float]:
    """Return together, best alone, mean alone, pooled."""
    record = json.loads(comparison.read_text())
    by_kind: dict[str, list[float]] = {"federated": [], "alone": [], "pooled": []}
    for arm in record["arms"]:
        by_kind[arm["kind"]].append(arm["value"])
    alone = by_kind["alone"]
    return [*by_kind["federated"], max(alone), sum(alone) / len(alone), *by_kind["pooled"]]


@pytest.mark.timeout(1800)
def test_the_pages_can_be_followed(tmp_path: Path) -> None:
    """Every command and program in them runs, in order, and prints what is shown.

    What the runs leave behind is what docs/run-directory.md describes, and the figures of the
    README's row for the comparison it shows are those that come out. One test, as these are a
    minute and a half of runs.
    """
    prepare(tmp_path)
    with Forked(also=("peft",)) as forked:
        for page in reading_order():
            follow(page, Reader(tmp_path, forked))
    runs = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    left = set().union(*map(left_behind, runs))
    patterns = documented_paths()
    assert [path for path in sorted(left) if not is_documented(path, patterns)] == []
    absent = [p for p in patterns if not any(is_documented(path, [p]) for path in left)]
    assert absent == NOT_LEFT, "described, and in no run"
    _, _, *written = worth_table()["heart-diagnosis"]
    for cell, came in zip(
        written, arms_as_written(tmp_path / "runs/compared/comparison.json"), strict=True
    ):
        assert float(cell.split()[0]) == pytest.approx(came, abs=0.01)


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
