"""Build the bundle (FAB) that Flower ships: this project's Python files and nothing else."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import consortium
import privacy
import sites
import strategies
from consortium.config import DEFAULTS, Scalar

RUNTIME_PACKAGES = (consortium, sites, strategies, privacy)
CLIENT_APP = "consortium.client_app:app"
SERVER_APP = "consortium.server_app:app"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What Flower runs.

    Args:
        packages: The packages whose Python files go into the bundle.
        client_app: The ClientApp, as `module:attribute`.
    """

    packages: tuple[ModuleType, ...] = RUNTIME_PACKAGES
    client_app: str = CLIENT_APP


def stage_bundle(folder: Path, bundle: Bundle) -> Path:
    """Copy the bundle's Python files and write a `pyproject.toml` for Flower; return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for package in bundle.packages:
        source = Path(package.__path__[0])
        shutil.copytree(source, folder / package.__name__, ignore=_names_to_ignore)
    includes = [f"{package.__name__}/**/*.py" for package in bundle.packages]
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "consortium-fl"\nversion = "{metadata.version("consortium-fl")}"\n\n'
        f'[tool.flwr.app]\npublisher = "consortium"\nfab-include = {json.dumps(includes)}\n\n'
        f'[tool.flwr.app.components]\nserverapp = "{SERVER_APP}"\n'
        f'clientapp = "{bundle.client_app}"\n\n'
        f"[tool.flwr.app.config]\n{toml_lines(DEFAULTS)}"
    )
    return folder


def _names_to_ignore(folder: str, names: list[str]) -> set[str]:
    kept = {name for name in names if name.endswith(".py") or (Path(folder) / name).is_dir()}
    return set(names) - kept | {"__pycache__"}


def toml_lines(values: Mapping[str, Scalar]) -> str:
    """Return values as lines of a TOML table; a dotted key stays a dotted key."""
    return "".join(
        f'"{key}" = {json.dumps(value)}\n' if "." not in key else f"{key} = {json.dumps(value)}\n"
        for key, value in values.items()
    )
