"""Three institutions and a coordinator that have set up everything, up to the kits."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from consortium.charter.document import Charter, Floors
from consortium.charter.signatures import Signatures, sign_charter
from consortium.provisioning.certificates import certificate_digest, read_certificate
from consortium.provisioning.charter_drafts import NamedCoordinator, draft_charter, with_hubs
from consortium.provisioning.enrolment import PublicHalf, init_site
from consortium.provisioning.hub_enrolment import HubHalf, hub_half, init_hub
from consortium.provisioning.installation import init_coordinator, install_coordinator, install_site
from consortium.provisioning.provision import Tls, write_kits
from consortium.site.directory import read_identity
from scenarios.library.registry import SCENARIOS
from sites.data.source import TableFile

NAMES = ("east", "north", "west")
NOW = datetime.now(UTC)
HOST = "127.0.0.1"
TABLE = SCENARIOS["bank-credit"].table


@dataclass(frozen=True)
class Founded:
    """Where everything is.

    Args:
        path: Of all.
        halves: What the sites showed.
        charter: What they agreed on.
    """

    path: Path
    halves: tuple[PublicHalf, ...]
    charter: Charter

    @property
    def coordinator(self) -> Path:
        """The coordinator's directory."""
        return self.path / "coordinator"

    def site(self, name: str) -> Path:
        """Return a site's directory."""
        return self.path / name

    def kit(self, name: str) -> Path:
        """Return a party's kit, a directory."""
        return self.path / "provisioned" / "kits" / name

    def signatures(self, charter: Charter | None = None) -> Signatures:
        """Return the signatures of all members of a charter."""
        charter = charter or self.charter
        signed = [sign_charter(charter, read_identity(self.site(name))) for name in charter.names]
        return Signatures(signatures=tuple(signed))

    def provision(self, charter: Charter | None = None, *, now: datetime = NOW) -> None:
        """Make the kits, again if need be."""
        kits = self.path / "provisioned" / "kits"
        charter = charter or self.charter
        tls = Tls(authority=read_certificate(self.coordinator / "authority.pem"))
        write_kits(kits, charter, self.signatures(charter), self.halves, tls, now=now)

    def install(self, *, now: datetime = NOW) -> None:
        """Let every party take its kit over."""
        install_coordinator(self.coordinator, self.kit("coordinator"), now=now)
        for name in NAMES:
            install_site(self.site(name), self.kit(name), now=now)


def found(path: Path, *, port: int = 9_443) -> Founded:
    """Set up three sites and a coordinator; nothing is provisioned yet."""
    path.mkdir(exist_ok=True)
    halves = []
    for name in NAMES:
        data = path / f"{name}.csv"
        data.write_text("nothing is read here\n")
        halves.append(init_site(path / name, name=name, source=TableFile(path=data)))
    authority = read_certificate(init_coordinator(path / "coordinator", hosts=(HOST,), now=NOW))
    charter = draft_charter(
        "banks",
        task="credit",
        table=TABLE,
        members=halves,
        coordinator=NamedCoordinator(
            address=f"{HOST}:{port}", authority=certificate_digest(authority)
        ),
        floors=Floors(encrypted=True),
    )
    return Founded(path=path, halves=tuple(halves), charter=charter)


BEHIND = {"alps": ("east", "north"), "sea": ("west",)}
PORTS = {"alps": 9_444, "sea": 9_445}


def half_of(founded: Founded, name: str) -> HubHalf:
    """Return the public half of a hub."""
    return hub_half(founded.path / name, address=f"{HOST}:{PORTS[name]}")


def found_with_hubs(path: Path) -> Founded:
    """Set up three sites behind two hubs, and a coordinator; nothing is provisioned yet."""
    without = found(path)
    for name in BEHIND:
        init_hub(without.path / name, name=name, hosts=(HOST,), now=NOW)
    behind = [(half_of(without, name), members) for name, members in BEHIND.items()]
    return replace(without, charter=with_hubs(without.charter, behind))


def provide(
    founded: Founded, *, hubs: tuple[HubHalf, ...] | None = None, now: datetime = NOW
) -> None:
    """Make the kits of a consortium with hubs, again if need be."""
    given = tuple(half_of(founded, name) for name in BEHIND) if hubs is None else hubs
    authority = read_certificate(founded.coordinator / "authority.pem")
    write_kits(
        founded.kit("x").parent,
        founded.charter,
        founded.signatures(),
        founded.halves,
        Tls(authority=authority, hubs=given),
        now=now,
    )


def install_hubs(founded: Founded) -> None:
    """Let every party of a consortium with hubs take its kit over."""
    founded.install()
    for name in BEHIND:
        install_coordinator(founded.path / name, founded.kit(f"{name}.tar.gz"), now=NOW)
