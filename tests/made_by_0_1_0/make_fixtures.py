"""Makes the fixtures of this directory with the code of version 0.1.0; README.md says what each is.

python make_fixtures.py CHECKOUT: CHECKOUT is the repository at version 0.1.0. No module of the
product is imported here, so that this file stays as it is whatever becomes of the modules: what
is done is what a person types, in processes that find the modules in CHECKOUT. The secret keys in
the fixtures are of no use elsewhere: they were made for this and protect nothing.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
ROOM = Path("/tmp/made-by-0.1.0")  # noqa: S108 -- paths in the files begin with it
SCENARIO = "from scenarios.cli import main; main()"
CONSORTIUM = "from consortium.cli import main; main()"
DYING = """
import os, signal
from sites.tabular import TabularTask
train, called = TabularTask.train, [0]

def dies(*given, **named):
    called[0] += 1
    if called[0] == 11:  # the third of four sites, in round 3
        os.kill(os.getpid(), signal.SIGKILL)
    return train(*given, **named)

TabularTask.train = dies
"""
SPENT = """
import json, sys
from pathlib import Path
from consortium.ledger_view import view_of
view = view_of(Path(sys.argv[1]))
print(json.dumps({one.data_set: one.spent.pld for one in view.accounts}))
"""
SITES = ("cleveland", "hungary", "va")
THREE = ("--set", "num-server-rounds=3")
SEALED = ("--set", "aggregation=encrypted", "--set", "parameter-set=strict-256")
PRIVATE = ("--set", "dp.unit=person", "--set", "dp.epsilon=2.0", "--set", "dp.steps=3")
BUDGET = ("--set", "dp.unit=person", "--set", "dp.epsilon=0.75", "--set", "dp.delta=1e-6")
TWICE = ("--set", "model=logistic", "--set", "num-server-rounds=2", "--set", "dp.steps=3")
PACKED = (
    "clear-compared",
    "clear-interrupted",
    "clear-with-a-liar",
    "deployed",
    "private-finished",
    "private-interrupted",
    "sealed-interrupted",
)
LEFT_OUT = ("**/flower", "**/app", "**/plots", "**/report.html")
SPARE_EVIDENCE = (  # ciphertexts are what is large here, and what these runs can do without
    "sealed-interrupted/coordinator/sealed/round-0",
    "sealed-interrupted/coordinator/sealed/round-2/*/upload-*",
    "deployed/coordinator/runs/first/coordinator/sealed/round-[03]",
    "deployed/coordinator/runs/first/coordinator/sealed/round-2/counts",
    "deployed/coordinator/runs/second/coordinator/sealed",
)


@dataclass(frozen=True)
class Maker:
    """Version 0.1.0, and where its work goes.

    Args:
        checkout: The repository at that version.
    """

    checkout: Path

    def run(self, program: str, *words: str, status: int = 0) -> str:
        """Run a program of that version to its end; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *words],
            cwd=ROOM,
            env={**os.environ, "PYTHONPATH": str(self.checkout), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != status:
            raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def scenario(self, out: str, *settings: str, name: str = "heart-diagnosis") -> None:
        """Run a scenario to its end."""
        self.run(SCENARIO, "run", name, "--out", out, *settings)

    def interrupted(self, out: str, *settings: str) -> None:
        """Run a scenario until its process is killed in round 3."""
        words = ("run", "heart-diagnosis", "--out", out, *THREE, *settings)
        self.run(DYING + SCENARIO, *words, status=-signal.SIGKILL)

    def consortium(self, *words: str) -> str:
        """Do what an operator types."""
        return self.run(CONSORTIUM, *words)

    def spent(self, site: Path) -> dict[str, float]:
        """Return the epsilon of each data set of a site's ledger."""
        found: dict[str, float] = json.loads(self.run(SPENT, str(site)))
        return found


def main() -> None:
    """Make everything anew."""
    shutil.rmtree(ROOM, ignore_errors=True)
    ROOM.mkdir(mode=0o700)
    maker = Maker(Path(sys.argv[1]).resolve())
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "root": str(ROOM),
        "processor": processor(),
        "models": models(maker),
        "ledgers": private(maker),
        "deployed": deployed(maker),
        "predicted": predicted(maker, "deployed/practice/hungary.csv"),
    }
    pack()
    (HERE / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


def processor() -> dict[str, str]:
    """Return what decides how numbers are rounded here."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    return {
        "machine": platform.machine(),
        "model": ", ".join(sorted(named)),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def models(maker: Maker) -> dict[str, str]:
    """Make runs in the clear and encrypted; return the digests of the models."""
    maker.interrupted("clear-interrupted")
    maker.interrupted("sealed-interrupted", *SEALED)
    maker.run(SCENARIO, "compare", "heart-diagnosis", "--out", "clear-compared", *THREE)
    maker.scenario("sealed-finished", *THREE, *SEALED)
    maker.scenario("clear-with-a-liar", *THREE, "--attack", "nan")
    return {"clear": digest(ROOM / "clear-compared"), "sealed": digest(ROOM / "sealed-finished")}


def predicted(maker: Maker, table: str) -> str:
    """Return what the model of the run in the clear says of a table, as CSV."""
    return maker.run(SCENARIO, "predict", "clear-compared", table)


def private(maker: Maker) -> dict[str, dict[str, float]]:
    """Make private runs in the clear, one interrupted; return what the ledgers of the other say."""
    maker.scenario("private-finished", *THREE, *PRIVATE)
    maker.interrupted("private-interrupted", *PRIVATE)
    sites = sorted((ROOM / "private-finished" / "sites").iterdir())
    return {site.name: maker.spent(site) for site in sites}


def deployed(maker: Maker) -> dict[str, Any]:
    """Found a consortium, let it run twice and die in a third run; return what is known of it."""
    (ROOM / "deployed").mkdir()
    fingerprint = founded(maker)
    services = [("coordinator", "deployed/coordinator")]
    services += [("site", f"deployed/{name}") for name in SITES]
    for kind, directory in services:
        maker.consortium(kind, "up", directory, "--detach")
    start = ("run", "deployed/coordinator", *TWICE, *BUDGET, "--set", "quorum=3")
    try:
        said = [maker.consortium(*start, *SEALED, "--name", name) for name in ("first", "second")]
        for name in SITES:
            let_in_the_clear(ROOM / "deployed" / name / "policy.json")
        maker.consortium(*start, "--name", "third", "--no-wait")
        maker.consortium("wait", "deployed/coordinator", "--round", "2")
    finally:
        for kind, directory in services:
            maker.consortium(kind, "down", directory, "--kill")
    return {
        "fingerprint": fingerprint,
        "models": [one.split()[-1] for one in said],
        "ledgers": {name: maker.spent(ROOM / "deployed" / name) for name in SITES},
    }


def founded(maker: Maker) -> str:
    """Make the sites, the coordinator, the charter and the kits; return its fingerprint."""
    maker.run(SCENARIO, "practice", "heart-diagnosis", "deployed/practice")
    sent = ROOM / "deployed" / "sent"
    sent.mkdir()
    members: list[str] = []
    for name, data in zip(SITES, ("cleveland", "hungary", "va-long-beach"), strict=True):
        table, half = f"deployed/practice/{data}.csv", f"deployed/sent/{name}.json"
        maker.consortium("site", "init", f"deployed/{name}", "--name", name, "--data", table)
        maker.consortium("site", "public", f"deployed/{name}", "--out", half)
        members += ["--member", half]
    maker.consortium("coordinator", "init", "deployed/coordinator", "--host", "127.0.0.1")
    agreed = "deployed/sent/charter.json"
    table, at = "deployed/practice/schema.json", "127.0.0.1:9443"
    told = ("--name", "heart", "--task", "diagnosis", "--table", table, "--coordinator", at)
    said = maker.consortium("charter", "new", agreed, *told, "--no-encrypted", *members)
    for name in SITES:
        maker.consortium("charter", "sign", agreed, f"deployed/{name}")
    request = ("--request", "deployed/coordinator/server.csr")
    kits = ("provision", "deployed/provisioned", "--charter", agreed, *members, *request)
    maker.consortium(*kits)
    for name in ("coordinator", *SITES):
        kit = f"deployed/provisioned/kits/{name}.tar.gz"
        kind = "coordinator" if name == "coordinator" else "site"
        maker.consortium(kind, "install", f"deployed/{name}", kit)
    return said.split()[-1]


def let_in_the_clear(policy: Path) -> None:
    """Edit a policy as its operator does: runs in the clear are answered as well."""
    told = json.loads(policy.read_text())
    policy.write_text(json.dumps({**told, "require_encryption": False}, indent=1))


def digest(run: Path) -> str:
    """Return the digest of a run's model."""
    return str(json.loads((run / "summary.json").read_text())["model_digest"])


def pack() -> None:
    """Write all of it as a file of this directory, with the modes of the files."""
    for path in sorted(ROOM.rglob("*.sqlite")):
        compact(path)
    for pattern in (*LEFT_OUT, *SPARE_EVIDENCE):
        for path in sorted(ROOM.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with tarfile.open(HERE / "made.tar.xz", "w:xz") as archive:
        for name in PACKED:
            archive.add(ROOM / name, name, filter=owned_by_nobody)


def compact(path: Path) -> None:
    """Bring what stands in the log of an SQLite file into the file, and leave out what is free."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def owned_by_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the file."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
