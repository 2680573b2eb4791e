"""Paths in the directory of a party: those common to all parties, and a coordinator's own.

A site's own paths are in `consortium.site.directory`, which a coordinator never imports.
"""

from dataclasses import dataclass
from pathlib import Path

from privacy.errors import ConsortiumError

CHARTER_FILE = "charter.json"
SIGNATURES_FILE = "signatures.json"
AUTHORITY_FILE = "authority.pem"
SERVER_FILE = "server.pem"
NODES_FILE = "nodes.json"


class NotACoordinator(ConsortiumError, ValueError, code="not-a-coordinator"):
    """No coordinator is set up in a directory."""


@dataclass(frozen=True)
class PartyDirectory:
    """Paths common to all parties: the files of a kit, and what each party keeps.

    Args:
        path: The directory of a site or a coordinator, or an unpacked kit.
    """

    path: Path

    @property
    def charter(self) -> Path:
        """The charter in force."""
        return self.path / CHARTER_FILE

    @property
    def signatures(self) -> Path:
        """All members' signatures of the charter in force."""
        return self.path / SIGNATURES_FILE

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the party trusts for TLS."""
        return self.path / AUTHORITY_FILE

    @property
    def secrets(self) -> Path:
        """The folder of private keys, readable to the owner only."""
        return self.path / "secrets"

    @property
    def audit(self) -> Path:
        """The folder of the audit log and of the public keys that verify it."""
        return self.path / "audit"

    @property
    def flower(self) -> Path:
        """The folder for Flower's own files."""
        return self.path.resolve() / "flower"

    @property
    def programs(self) -> Path:
        """The folder of shims, the only one on the PATH of Flower's processes."""
        return self.flower / "programs"


@dataclass(frozen=True)
class CoordinatorDirectory(PartyDirectory):
    """Paths in a coordinator's directory; docs/operate.md says who writes each file."""

    @property
    def server_key(self) -> Path:
        """The private key of the TLS certificate."""
        return self.secrets / "server.key"

    @property
    def authority_key(self) -> Path:
        """The private key of the coordinator's own authority."""
        return self.secrets / "authority.key"

    @property
    def question_key(self) -> Path:
        """The private key that signs questions; its public half stands in the charter."""
        return self.secrets / "question.secret"

    @property
    def server_certificate(self) -> Path:
        """The TLS certificate that the coordinator presents to sites."""
        return self.path / SERVER_FILE

    @property
    def certificate_request(self) -> Path:
        """The certificate request, for the authority of an institution."""
        return self.path / "server.csr"

    @property
    def nodes(self) -> Path:
        """The public keys of the members' SuperNodes by member, from the kit."""
        return self.path / NODES_FILE

    @property
    def app(self) -> Path:
        """The folder of the bundle that runs are submitted with."""
        return self.path / "app"

    @property
    def order(self) -> Path:
        """The order of a run that has not started yet."""
        return self.path / "order.json"

    @property
    def last_run(self) -> Path:
        """The file that holds the path of the run ordered last."""
        return self.path / "last-run"

    @property
    def layout_size(self) -> Path:
        """The file that holds how many numbers the vector of the last run has."""
        return self.flower / "layout-size"

    @property
    def superlink_log(self) -> Path:
        """The file for the output of Flower's SuperLink."""
        return self.flower / "superlink.log"

    def run(self, name: str) -> Path:
        """Return the directory of a run."""
        return self.path.resolve() / "runs" / name


def require_coordinator(directory: Path) -> None:
    """Check that a coordinator is set up in a directory.

    Raises:
        NotACoordinator: It has no folder of private keys.
    """
    if not CoordinatorDirectory(directory).secrets.is_dir():
        raise NotACoordinator(
            f"no coordinator is set up in {directory}: name the directory of a coordinator, or set "
            "one up with `consortium coordinator init`"
        )
