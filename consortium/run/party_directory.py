"""Paths in the directory of a party: those common to all parties, and a coordinator's own.

A site's own paths are in `consortium.site.directory`, which a coordinator never imports.
"""

from dataclasses import dataclass
from pathlib import Path

from consortium.run.paths import PathIn
from privacy.errors import ConsortiumError

CHARTER_FILE = "charter.json"
SIGNATURES_FILE = "signatures.json"
AUTHORITY_FILE = "authority.pem"
SERVER_FILE = "server.pem"
NODES_FILE = "nodes.json"
NODE_KEY_FILE = "node.pub"  # in the kit of a hub: the key by which the coordinator lets it in
COORDINATOR_AUTHORITY_FILE = "coordinator.pem"  # in the kit of a hub, which has an authority itself
LOG_FILE = "log.jsonl"
SITE_FILE = "site.json"


class NotACoordinator(ConsortiumError, ValueError, code="not-a-coordinator"):
    """No coordinator is set up in a directory."""


@dataclass(frozen=True)
class PartyDirectory:
    """Paths common to all parties: the files of a kit, and what each party keeps.

    Args:
        path: The directory of a site or a coordinator, or an unpacked kit.
    """

    path: Path

    charter = PathIn(CHARTER_FILE)
    """The charter in force."""

    signatures = PathIn(SIGNATURES_FILE)
    """All members' signatures of the charter in force."""

    authority = PathIn(AUTHORITY_FILE)
    """The certificate of the authority that the party trusts for TLS."""

    secrets = PathIn("secrets")
    """The folder of private keys, readable to the owner only."""

    audit = PathIn("audit")
    """The folder of the audit log and of the public keys that verify it."""

    audit_log = audit / LOG_FILE
    """The audit log."""

    flower = PathIn("flower", absolute=True)
    """The folder for Flower's own files."""

    programs = flower / "programs"
    """The folder of shims, the only one on the PATH of Flower's processes."""


@dataclass(frozen=True)
class CoordinatorDirectory(PartyDirectory):
    """Paths in a coordinator's directory; docs/operate.md says who writes each file."""

    server_key = PartyDirectory.secrets / "server.key"
    """The private key of the TLS certificate."""

    authority_key = PartyDirectory.secrets / "authority.key"
    """The private key of the coordinator's own authority."""

    question_key = PartyDirectory.secrets / "question.secret"
    """The private key that signs questions; its public half stands in the charter."""

    server_certificate = PathIn(SERVER_FILE)
    """The TLS certificate that the coordinator presents to sites."""

    certificate_request = PathIn("server.csr")
    """The certificate request, for the authority of an institution."""

    nodes = PathIn(NODES_FILE)
    """The public keys of the members' SuperNodes by member, from the kit."""

    app = PathIn("app")
    """The folder of the bundle that runs are submitted with."""

    order = PathIn("order.json")
    """The order of a run that has not started yet."""

    last_run = PathIn("last-run")
    """The file that holds the path of the run ordered last."""

    layout_size = PartyDirectory.flower / "layout-size"
    """The file that holds how many numbers the vector of the last run has."""

    superlink_log = PartyDirectory.flower / "superlink.log"
    """The file for the output of Flower's SuperLink."""

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.path.resolve() / "runs"

    def run(self, name: str) -> Path:
        """Return the directory of a run."""
        return self.runs / name


def require_coordinator(directory: Path) -> None:
    """Check that a coordinator is set up in a directory.

    Raises:
        NotACoordinator: It has no key of a server. The message says whose directory it is.
    """
    paths = CoordinatorDirectory(directory)
    if paths.server_key.is_file():
        return
    if (directory / SITE_FILE).is_file():
        raise NotACoordinator(
            f"{directory} is the directory of a site: name that of the coordinator, which has the "
            "runs"
        )
    above = CoordinatorDirectory(paths.path.resolve().parent.parent)
    if paths.path.resolve().parent == above.runs and above.server_key.is_file():
        raise NotACoordinator(
            f"{directory} is a run: name the directory of its coordinator, {above.path}; the "
            f"name of the run is {paths.path.resolve().name}"
        )
    raise NotACoordinator(
        f"no coordinator is set up in {directory}: name the directory of a coordinator, or set "
        "one up with `consortium coordinator init`"
    )
