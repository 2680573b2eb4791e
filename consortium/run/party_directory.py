"""Paths in the directory of a party: what a site and a coordinator hold alike, and a coordinator's.

The paths of a site stand in `consortium.site.directory`, which a coordinator never loads.
"""

from dataclasses import dataclass
from pathlib import Path

CHARTER_FILE = "charter.json"
SIGNATURES_FILE = "signatures.json"
AUTHORITY_FILE = "authority.pem"
SERVER_FILE = "server.pem"
NODES_FILE = "nodes.json"


@dataclass(frozen=True)
class PartyDirectory:
    """Paths of what a kit brings to every party, and of what each party keeps.

    Args:
        path: The directory of a site or of a coordinator, or a kit that is unpacked.
    """

    path: Path

    @property
    def charter(self) -> Path:
        """The charter in force."""
        return self.path / CHARTER_FILE

    @property
    def signatures(self) -> Path:
        """All members' signatures of the charter."""
        return self.path / SIGNATURES_FILE

    @property
    def authority(self) -> Path:
        """The certificate that TLS connections are checked against."""
        return self.path / AUTHORITY_FILE

    @property
    def secrets(self) -> Path:
        """Private keys; open to the owner only."""
        return self.path / "secrets"

    @property
    def audit(self) -> Path:
        """The audit log, and the keys of it that are nobody's identity."""
        return self.path / "audit"

    @property
    def flower(self) -> Path:
        """What Flower keeps for itself."""
        return self.path.resolve() / "flower"

    @property
    def programs(self) -> Path:
        """The only folder on the PATH of Flower's processes."""
        return self.flower / "programs"


@dataclass(frozen=True)
class CoordinatorDirectory(PartyDirectory):
    """Paths of what a coordinator keeps between runs; docs/operate.md says who writes each."""

    @property
    def server_key(self) -> Path:
        """Private key of the TLS certificate."""
        return self.secrets / "server.key"

    @property
    def server_certificate(self) -> Path:
        """Certificate that sites see; it comes with the kit."""
        return self.path / SERVER_FILE

    @property
    def certificate_request(self) -> Path:
        """What an authority is asked to certify."""
        return self.path / "server.csr"

    @property
    def nodes(self) -> Path:
        """Public keys of the members' SuperNodes, by member; it comes with the kit."""
        return self.path / NODES_FILE

    @property
    def app(self) -> Path:
        """The bundle that runs are submitted with."""
        return self.path / "app"

    @property
    def order(self) -> Path:
        """The run that was ordered and has not begun."""
        return self.path / "order.json"

    @property
    def last_run(self) -> Path:
        """Holds the path of the run that was ordered last."""
        return self.path / "last-run"

    @property
    def superlink_log(self) -> Path:
        """What Flower's SuperLink prints."""
        return self.flower / "superlink.log"

    def run(self, name: str) -> Path:
        """Return the directory of a run."""
        return self.path.resolve() / "runs" / name
