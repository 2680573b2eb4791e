"""Paths in the directory of a hub: what it has beside the paths of a coordinator."""

from dataclasses import dataclass
from pathlib import Path

from consortium.run.party_directory import (
    AUTHORITY_FILE,
    CHARTER_FILE,
    NotACoordinator,
    require_coordinator,
)
from consortium.run.paths import PathIn


@dataclass(frozen=True)
class HubDirectory:
    """Paths in the directory of a hub.

    Between institutions a hub has the directory of a coordinator, to which its members come, and in
    it that of a node, with which it comes to the coordinator of the run.

    Args:
        path: The directory.
    """

    path: Path

    key = PathIn("secrets/hub.secret")
    """The key with which the hub signs each sum that it passes on. It decrypts nothing."""

    vault = PathIn("sealed")
    """The uploads that the hub added, of a run on one machine."""

    named = PathIn("hub")
    """The file that holds the hub's name; between institutions only."""

    node = PathIn("node", absolute=True)
    """The directory of the hub's SuperNode."""

    node_charter = node / CHARTER_FILE
    """The charter in force, once more: the SuperNode reads it where a site's does."""

    node_authority = node / AUTHORITY_FILE
    """The certificate of the authority that the hub trusts: that of the coordinator of the run."""

    node_log = node / "node.log"
    """Why a question of the coordinator was not answered."""


def run_of_hub(name: str, config: str) -> str:
    """Return the name of a hub's run: that of the coordinator's run, and the begin of its digest.

    Args:
        name: The name of the coordinator's run.
        config: Digest of its run config, hexadecimal: names may come again.
    """
    return f"{name}-{config[:8]}"


def hub_name(directory: Path) -> str:
    """Return the name of the hub whose directory this is; empty if it is of no hub."""
    path = HubDirectory(directory).named
    return path.read_text().strip() if path.is_file() else ""


def require_hub(directory: Path) -> str:
    """Return the name of the hub whose directory this is.

    Raises:
        NotACoordinator: It is of no hub.
    """
    name = hub_name(directory)
    if not name:
        raise NotACoordinator(
            f"{directory} is not the directory of a hub: name one, or set one up with "
            "`consortium coordinator init DIRECTORY --hub NAME --host HOST`"
        )
    return name


def require_leading(directory: Path) -> None:
    """Check that a coordinator is set up in a directory, and not a hub, which leads no run.

    Raises:
        NotACoordinator: It is of nobody, or a hub's. The message says whose directory it is.
    """
    require_coordinator(directory)
    name = hub_name(directory)
    if name:
        raise NotACoordinator(
            f"{directory} is the directory of the hub {name}, which asks its members what the "
            "coordinator of the run asks: name the directory of that coordinator"
        )
