"""A site that keeps a list of bundles runs the bytes that its operator approved, and no others."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app as program
from consortium.deployment.code_approval import bundle_digest

APPROVED = "the approved code"
_PROJECT = """
[project]
name = "consortium-fl"
version = "0.2.0"
[tool.flwr.app]
publisher = "consortium"
[tool.flwr.app.components]
serverapp = "consortium.server_app:app"
clientapp = "consortium.client_app:app"
"""
_APP = "from flwr.clientapp import ClientApp\napp = ClientApp()\nprint({says!r}, end='')\n"

# What Flower's program does for a message: it hands over the bundle, and what the run says of it.
_PROGRAM = """
import sys, tempfile
from pathlib import Path
from consortium.deployment.flower_entrypoints import bundle_gate
site, bundle, *claimed = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    gate = bundle_gate(Path(site), Path(folder))
    gate.install_bundle(Path(bundle).read_bytes(), skip_prompt=True)
    gate.choose_app(*claimed)
"""


def bundle(path: Path, says: str) -> Path:
    """Write a bundle whose app says something as soon as it is loaded; return its path."""
    files = {
        "pyproject.toml": _PROJECT,
        "consortium/__init__.py": "",
        "consortium/client_app.py": _APP.format(says=says),
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(
            ".info/CONTENT", "\n".join(f"{name},{digest},0" for name, digest in digests.items())
        )
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose operator has approved one bundle."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.json").write_text('{"name": "west", "source": {"path": "records.csv"}}')
    approved = bundle(tmp_path / "approved.fab", APPROVED)
    done = CliRunner().invoke(program, ["site", "approve", str(site), str(approved), "--yes"])
    assert done.exit_code == 0, done.output
    return site


def folder_in_flower(site: Path, digest: str) -> Path:
    """Return where Flower unpacks the bundle of that digest, and where it looks for it."""
    return site / "flower" / "apps" / f"consortium.consortium-fl.0.2.0.{digest[:8]}"


def plant(folder: Path) -> None:
    """Leave other code in a folder, as a run before can, or who has the same 8 digits."""
    (folder / "consortium").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(_PROJECT)
    (folder / "consortium" / "__init__.py").write_text("")
    (folder / "consortium" / "client_app.py").write_text(_APP.format(says="planted"))


def loaded(site: Path, sent: Path, *, claimed: str) -> str:
    """Return what the app says that answers a message of a run."""
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c", _PROGRAM, str(site), str(sent)),
            *("consortium/consortium-fl", "0.2.0", claimed),
        ],
        env={**os.environ, "FLWR_HOME": str(site / "flower")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rpartition("\n")[2]  # Flower says where it unpacked a bundle


def test_what_lies_where_flower_would_look_is_not_run(site: Path, tmp_path: Path) -> None:
    approved = tmp_path / "approved.fab"
    digest = bundle_digest(approved.read_bytes())
    plant(folder_in_flower(site, digest))
    assert loaded(site, approved, claimed=digest) == APPROVED


def test_what_a_run_says_that_its_bundle_is_called_decides_nothing(
    site: Path, tmp_path: Path
) -> None:
    plant(folder_in_flower(site, "f" * 64))
    assert loaded(site, tmp_path / "approved.fab", claimed="f" * 64) == APPROVED


def test_a_bundle_that_nobody_approved_is_not_run_under_an_approved_name(
    site: Path, tmp_path: Path
) -> None:
    other = bundle(tmp_path / "other.fab", "other")
    assert not loaded(site, other, claimed=bundle_digest((tmp_path / "approved.fab").read_bytes()))


def test_of_two_runs_each_gets_its_own_bundle(site: Path, tmp_path: Path) -> None:
    """Both have the same name and version, and both are on the list."""
    second = bundle(tmp_path / "second.fab", "second")
    CliRunner().invoke(program, ["site", "approve", str(site), str(second), "--yes"])
    for sent, says in ((tmp_path / "approved.fab", APPROVED), (second, "second")):
        assert loaded(site, sent, claimed="0" * 64) == says
