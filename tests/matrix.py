"""Try the package on every supported Python that is there: `python -m tests.matrix`.

For each, the package is built, installed without PyTorch in a new environment, and some scenarios
that count are run. Their models must be those of this interpreter, to the bit. Before that, built
files of all that the package needs are looked for, for each Python and kind of machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "privacy", "scenarios", "sites", "strategies")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")
RUNS: tuple[tuple[str, ...], ...] = (
    ("heart-odds",),
    ("bank-scorecard",),
    ("lung-survival", "--set", "aggregation=encrypted"),
)


def main() -> int:
    """Print what ran; return 1 if a version gave another model, or built files are missing."""
    complete = [tell_built_files(version, on) for version in VERSIONS for on in MACHINES]
    with tempfile.TemporaryDirectory() as folder:
        wanted = digests(Path(sys.executable).parent / "scenario", Path(folder) / "here")
        wheel = built_wheel(Path(folder))
        same = True
        for version in VERSIONS:
            python = interpreter(version)
            if python is None:
                sys.stdout.write(f"{version}: not there, not run\n")
                continue
            program = installed(python, wheel, Path(folder) / version)
            found = digests(program, Path(folder) / f"{version}-runs")
            same = same and found == wanted
            models = "the same models" if found == wanted else "OTHER MODELS"
            sys.stdout.write(f"{version}: {len(found)} scenarios, {models}\n")
            sys.stdout.flush()
    return 0 if same and all(complete) else 1


def tell_built_files(version: str, machine: str) -> bool:
    """Print whether the index has built files of all extras together for a Python and a machine."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--extra", "all"]
    command += ["--only-binary", ":all:", "--python-version", version]
    done = subprocess.run(
        [*command, "--python-platform", machine], check=False, cwd=ROOT, capture_output=True
    )
    said = f"failed:\n{done.stderr.decode()}" if done.returncode else "there"
    sys.stdout.write(f"{version} on {machine}: built files {said}\n")
    return done.returncode == 0


def interpreter(version: str) -> str | None:
    """Return the interpreter of a version that starts; some that are on the path do not."""
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    started = subprocess.run([found, "--version"], check=False, capture_output=True)
    return found if started.returncode == 0 else None


def built_wheel(folder: Path) -> Path:
    """Build the package in a copy, as building leaves files beside what is built."""
    copy = folder / "source"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(copy)]
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(python: str, wheel: Path, folder: Path) -> Path:
    """Install the package in a new environment, and return its program."""
    run([python, "-m", "venv", str(folder)])
    run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)])
    return folder / "bin" / "scenario"


def digests(program: Path, folder: Path) -> dict[str, str]:
    """Run the scenarios, and return the digest of each model."""
    return dict(model_digests(program, folder))


def model_digests(program: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each scenario, and the digest of its model."""
    folder.mkdir()
    for name, *words in RUNS:
        out = folder / name
        run([str(program), "run", name, *words, "--out", str(out)], inside=folder)
        yield name, json.loads((out / "summary.json").read_text())["model_digest"]


def run(command: Sequence[str], *, inside: Path | None = None) -> None:
    """Run a command without the repository on its path; show what it said if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, check=False, cwd=inside, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
