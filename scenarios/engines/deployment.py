"""Deployment engine: a whole consortium on 127.0.0.1, shut down when the run has ended.

The same functions that institutions call one after the other set up charter, kits, a SuperLink and
one SuperNode a site; of each hub, both. Each party has a directory of its own, readable by its
owner only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from cryptography import x509

from consortium.charter.document import Charter
from consortium.charter.signatures import Signatures, sign_charter
from consortium.config import RunConfig
from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed, end_processes, free_port
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import certificate_digest, read_certificate
from consortium.provisioning.enrolment import PublicHalf, public_half
from consortium.provisioning.hub_enrolment import HubHalf, hub_half, init_hub
from consortium.provisioning.installation import init_coordinator, install_coordinator, install_site
from consortium.provisioning.provision import Tls, write_kits
from consortium.provisioning.public_halves import create_node_key
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory, read_identity
from privacy.secrets.keys import Identity
from scenarios.scenario import Scenario

HOST = "127.0.0.1"

_POLL_S = 0.5
_ASK_EVERY = 40  # polls; asking the SuperLink starts a process
_LEAVE_LIMIT_S = 30.0


def deploy(run: RunDirectory, scenario: Scenario, config: RunConfig) -> None:
    """Run a staged scenario on Flower's deployment engine and wait for its end.

    Guarantee: no process started here is alive afterwards, not even after Ctrl-C.

    Raises:
        LaunchFailed: Flower did not start, or the run failed; the error names the log.
    """
    office = run.path / "deployment"
    sites = [run.site(name) for name in scenario.sites]
    coordinator = office / "coordinator"
    hubs = {hub.name: run.hub(hub.name).path for hub in Charter.read(run.charter).hubs}
    if not coordinator.exists():  # a resumed run has one already
        set_up_consortium(office, run.charter, sites, hubs=hubs)
    with running_consortium(coordinator, sites, hubs=[*hubs.values()]) as control:
        number = control.submit_order(RunOrder(run=run.path.resolve(), config=config.flat()))
        await_end(control, run, number)


def set_up_consortium(
    office: Path,
    charter: Path,
    sites: Sequence[Path],
    *,
    hosts: Sequence[str] = (HOST,),
    hubs: Mapping[str, Path] = MappingProxyType({}),
) -> Charter:
    """Have staged sites sign a charter with the coordinator's address; install all kits.

    Args:
        office: Where the coordinator's directory and the kits go.
        charter: File of the charter; replaced by the signed one.
        sites: Directories of the staged sites.
        hosts: Host names and addresses in the coordinator's certificate.
        hubs: Directories of the staged hubs, by name.
    """
    for site in sites:
        site.chmod(0o700)  # staged with the default mode, and secrets follow
        if not SiteDirectory(site).identity.exists():
            # A run in the clear is staged without identities, but a charter is signed with them.
            Identity.generate(site.name).write(SiteDirectory(site).identity)
        create_node_key(site)
    halves = [public_half(site) for site in sites]
    now = datetime.now(UTC)
    coordinator = office / "coordinator"
    authority = read_certificate(init_coordinator(coordinator, hosts=tuple(hosts), now=now))
    regional = [_set_up_hub(name, path, hosts, now=now) for name, path in hubs.items()]
    # Address and authority are part of the charter, so they must be known before anybody signs.
    agreed = _with_doors(Charter.read(charter), halves, authority, regional)
    agreed.write(charter)
    signed = Signatures(
        signatures=tuple(sign_charter(agreed, read_identity(site)) for site in sites)
    )
    kits, tls = office / "kits", Tls(authority=authority, hubs=tuple(regional))
    write_kits(kits, agreed, signed, halves, tls, now=now)
    install_coordinator(coordinator, kits / "coordinator.tar.gz", now=now)
    for name, path in hubs.items():
        install_coordinator(path, kits / f"{name}.tar.gz", now=now)
    for site, half in zip(sites, halves, strict=True):
        install_site(site, kits / f"{half.name}.tar.gz", now=now)
    return agreed


def _set_up_hub(name: str, hub: Path, hosts: Sequence[str], *, now: datetime) -> HubHalf:
    hub.chmod(0o700)
    init_hub(hub, name=name, hosts=tuple(hosts), now=now)
    return hub_half(hub, address=f"{HOST}:{free_port()}")


def _with_doors(
    charter: Charter,
    halves: Sequence[PublicHalf],
    authority: x509.Certificate,
    hubs: Sequence[HubHalf],
) -> Charter:
    """Return a charter that names all keys, and the addresses of the coordinator and the hubs."""
    regional = {half.name: half for half in hubs}
    return charter.model_copy(
        update={
            "members": tuple(half.member for half in halves),
            "coordinator": f"{HOST}:{free_port()}",
            "authority": certificate_digest(authority),
            "hubs": tuple(regional[hub.name].before(hub.members) for hub in charter.hubs),
        }
    )


@contextmanager
def running_consortium(
    coordinator: Path,
    sites: Sequence[Path],
    *,
    listen: str | None = None,
    hubs: Sequence[Path] = (),
) -> Iterator[Control]:
    """Run a coordinator, its hubs and its sites on this machine; stop all of them afterwards.

    Args:
        coordinator: Directory of the coordinator.
        sites: Directories of the sites.
        listen: Address of the SuperLink; by default the one in the charter.
        hubs: Directories of the hubs.
    """
    superlinks = [SuperLink(coordinator), *(SuperLink(hub) for hub in hubs)]
    nodes = [*(SuperNode.of_hub(hub) for hub in hubs), *(SuperNode(site) for site in sites)]
    started = []
    try:
        for superlink in superlinks:
            started.append(superlink.start(host=listen))
            Control(superlink).enrol_nodes()
        started += [node.launch() for node in nodes]
        for node in nodes:
            node.wait_until_healthy()
        yield Control(superlinks[0])
    finally:
        # Nodes before their SuperLink, so that none of them sees it vanish.
        for service in [*reversed(nodes), *reversed(superlinks)]:
            end_processes(service.mark.marked_processes())
        for process in started:
            process.wait()  # collect its exit status, so that no zombie stays


def await_end(control: Control, run: RunDirectory, number: int) -> None:
    """Wait until a run has ended.

    Raises:
        LaunchFailed: The run did not finish; the error names the log.
    """
    polls = 0
    while not run.summary.exists():
        polls += 1
        if polls % _ASK_EVERY == 0 and control.run_status(number).startswith("finished"):
            break
        time.sleep(_POLL_S)
    # The summary is written before Flower knows that the run is over: give it time to notice.
    until = time.monotonic() + _LEAVE_LIMIT_S
    status = control.run_status(number)
    while not status.startswith("finished") and time.monotonic() < until:
        time.sleep(_POLL_S)
        status = control.run_status(number)
    if status != "finished:completed":
        raise LaunchFailed(f"the run ended as '{status}'; see {control.superlink.log}")
