"""Somebody who reads a page and types what it shows, and what that leaves on the disk."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
from datasets import ClassLabel, Dataset, Features, List, Value, disable_progress_bars

from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.data.synthetic_cards import card_payments
from tests.docs.pages import HUBS, README, ROOT, Command, blocks, commands
from tests.fhir_exports import NOTES_MAP, heart_map, write_heart_export, write_notes_export
from tests.forked import Forked
from tests.omop_databases import heart_omop_map, write_heart_database
from tests.synthetic_notes import synthetic_notes

DOCS = ROOT / "docs"
SCIENTIST = DOCS / "scientist.md"
OFFICER = DOCS / "data-protection-officer.md"
PRIVACY = DOCS / "privacy.md"
TEXT = DOCS / "text.md"
LIARS = DOCS / "lying-sites.md"
STATISTICS = DOCS / "statistics.md"

# Of what docs/run-directory.md describes, what the runs of the README do not leave: the page whose
# runs do.
LEFT_BY: Mapping[str, Path] = {
    "comparison.json": SCIENTIST,
    "synthetic.json": SCIENTIST,
    **dict.fromkeys(
        [f"search/{one}" for one in ("plan.json", "sweep.json", "alone.json", "best.toml")],
        SCIENTIST,
    ),
    "search/trials/**": SCIENTIST,
    "coordinator/coordinator.log": SCIENTIST,
    "sites/*/site.log": SCIENTIST,
    "model/trained.safetensors": TEXT,
    "model/tokenizer.json": TEXT,
    "model/tokenizer_config.json": TEXT,
    "model/labels.json": TEXT,
    "model/README.md": TEXT,
    "sites/*/model/personal/*": SCIENTIST,
    "sites/*/last-update.json": SCIENTIST,
    "sites/*/own-data.parquet": TEXT,
    "model/results.json": STATISTICS,
    "model/table1.csv": STATISTICS,
    "model/table1-by-site.csv": STATISTICS,
    "sites/*/shown-columns.json": STATISTICS,
    "model/xgboost.json": STATISTICS,
    "periods/*/**": STATISTICS,
    "periods.csv": STATISTICS,
    "sites/*/periods/*": STATISTICS,
    "hubs/*/secrets/hub.secret": HUBS,
    "hubs/*/sealed/round-*/*/*.bin": HUBS,
    "liars.json": LIARS,
    "coordinator/evidence.jsonl": LIARS,
}
NOT_LEFT = (
    "privacy.json",  # minutes: each epsilon, several times
    "robustness.json",  # minutes: each attack against each rule
    "coordinator/sealed/round-*/*/uploads-deleted",  # by a deployed coordinator
    "sites/*/provisional/**",  # until the run's model is confirmed
    "coordinator/sealed/round-*/awaited.json",  # while a masked run waits for a site
    "coordinator/pause-after",  # in a trial of a sweep
    "search/paid/**",  # of a private search: tests/scenarios/sweep/test_tuned_arms.py
    "sites/*/validation.json",  # in a trial of a search
    "revision.json",  # drafted by `consortium resume --without`
    "sites/*/accepted-findings.json",  # once an operator accepted a finding
    "sites/*/mistakes/last.jsonl",  # if a site's policy asks for it
    "app/**",  # on Flower's engine: tests/scenarios/test_simulation.py
    "flower/**",
)
ENTRY = {
    "scenario": "from scenarios.cli.main import main; main()",
    "consortium": "from consortium.cli.main import main; main()",
}
QUOTED = re.compile(r"'[^']*'|\"[^\"$`]*\"")  # what a shell takes as it stands
SHELL = re.compile(r"[;|&<>$*`]")  # what a shell reads otherwise
SAYS_CODE = '; echo "exit code $?"'  # after a command that ends with another code than 0


def _save_dataset(folder: Path) -> None:
    """Save sentences as `datasets` does."""
    disable_progress_bars()
    tags = ClassLabel(names=["O", "B-Disease", "I-Disease"])
    columns = Features(id=Value("string"), tokens=List(Value("string")), ner_tags=List(tags))
    sentences = {
        "id": ["17", "17", "23"],
        "tokens": [["A", "cold"], ["No", "fever"], ["Yellow", "fever"]],
        "ner_tags": [[0, 1], [0, 1], [1, 2]],
    }
    Dataset.from_dict(sentences, columns).save_to_disk(folder)


def write_readers_files(folder: Path) -> None:
    """Write the files that a reader has."""
    for name, data in _readers_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


@cache
def _readers_files() -> Mapping[str, bytes]:
    """Return what is in each of them: to make them takes seconds, and each page needs them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_readers_files(folder)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def _make_readers_files(folder: Path) -> None:
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == "cleveland"].drop(columns=["hospital", "severity"])
    ours.to_csv(folder / "my.csv", index=False)
    pyreadstat.write_sav(ours, str(folder / "my.sav"))
    for name in ("cleveland", "hungary"):
        later = frame[heart_hospitals(frame) == name].drop(columns=["hospital", "severity"])
        later.to_csv(folder / f"{name}-2026-03.csv", index=False)
    ours.drop(columns="disease").head(3).to_csv(folder / "new-patients.csv", index=False)
    export = ours.drop(columns="patient").rename(columns={"age": "ALTER"})
    export = export.assign(cholesterol=export["cholesterol"].fillna(-9))
    export.to_csv(folder / "export.csv", index=False, sep=";", decimal=",")
    with sqlite3.connect(folder / "ward.db") as database:
        ours.to_sql("patients", database, index=False)
    database.close()
    write_heart_export(ours, folder / "ehr")
    (folder / "heart.toml").write_text(heart_map())
    for ending in ("db", "duckdb"):
        write_heart_database(ours, folder / f"cdm.{ending}")
    (folder / "omop.toml").write_text(heart_omop_map())
    broken = ours.astype(object)
    broken.loc[broken.index[1], "age"] = "63 years"
    broken.loc[broken.index[3], "chest_pain"] = "severe"
    broken.to_csv(folder / "broken.csv", index=False)
    payments = card_payments()
    own = payments[payments["bank"] == "delta-bank"].drop(columns=["bank", "time"])
    own.to_csv(folder / "payments.csv", index=False)
    as_of_2013 = payments.drop(columns=["card", "bank"]).rename(columns=str.capitalize)
    as_of_2013.iloc[::100].to_csv(folder / "creditcard.csv", index=False)
    notes = synthetic_notes(60, sentences=6, seed=7)
    lines = folder / "notes.jsonl"
    notes.assign(chapter=["eye", "injury"] * 30).rename(columns={"person": "category"}).to_json(
        lines, orient="records", lines=True
    )
    write_notes_export(notes["text"].tolist(), folder / "letters")
    (folder / "letters.toml").write_text(NOTES_MAP)
    notes[["text"]].head(2).to_json(folder / "new-notes.jsonl", orient="records", lines=True)
    _save_dataset(folder / "wards")
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
        command = line.removesuffix(SAYS_CODE)
        name, *words = shlex.split(command)
        if name not in ENTRY or SHELL.search(QUOTED.sub("", command)):
            return self.runs(["bash", "-c", line])
        if command == line:
            return self.starts(ENTRY[name], words)
        status, printed = self.ends(ENTRY[name], words)
        return f"{printed}exit code {status}\n"

    def starts(self, program: str, words: Sequence[str] = ()) -> str:
        """Run a program of Python that ends well; return what it printed."""
        status, printed = self.ends(program, words)
        assert status == 0, f"{program} {words} ended with {status}:\n{printed}"
        return printed

    def ends(self, program: str, words: Sequence[str] = ()) -> tuple[int, str]:
        """Run a program of Python; return its exit status and what it printed."""
        printed = self.folder / "printed"
        printed.unlink(missing_ok=True)
        status = self.forked.run(
            program, words, folder=self.folder, output=printed, environment=self.environment()
        )
        return status, printed.read_text()

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
    """Run every command and program of a page, in order; each prints what the page shows."""
    for block in blocks(page):
        if block.language == "python":
            reader.starts(block.text)
        for command in commands(block) if block.language == "console" else ():
            if command.is_run:
                require_shown(command, reader.types(command.line))


def command_that_makes(run: str) -> str:
    """Return the command of the README that makes a run directory."""
    shown = [one.line for block in blocks(README) for one in commands(block)]
    (line,) = (one for one in shown if one.endswith(f"--out {run}"))
    return line


def documented_paths() -> list[str]:
    """Return the paths that docs/run-directory.md describes, as patterns."""
    table = (ROOT / "docs" / "run-directory.md").read_text()
    found = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    return [re.sub(r"\bT\b|SITE|HUB", "*", path) for path in found]


def left_behind(run_directory: Path) -> set[str]:
    """Return the files below a run directory."""
    files = [path for path in run_directory.rglob("*") if path.is_file()]
    return {path.relative_to(run_directory).as_posix() for path in files}


def is_documented(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path is of one of these patterns."""
    forms = [re.escape(p).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for p in patterns]
    return any(re.fullmatch(form, path) for form in forms)


def require_described(folder: Path) -> list[str]:
    """Check that what the runs in a folder left is described; return the patterns that they left.

    The runs are in `runs`, as a reader has them.
    """
    runs = [path for path in folder.glob("runs/*") if path.is_dir()]
    left = set().union(*map(left_behind, runs))
    patterns = documented_paths()
    assert [path for path in sorted(left) if not is_documented(path, patterns)] == []
    return [one for one in patterns if any(is_documented(path, [one]) for path in left)]


def only_left_by(page: Path) -> set[str]:
    """Return the patterns that the runs of a page leave, and those of the README do not."""
    return {pattern for pattern, by in LEFT_BY.items() if by == page}
